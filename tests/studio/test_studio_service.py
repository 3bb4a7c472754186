"""What the page and the API may do, with a worker that is a thread and tasks that need no model."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import aclosing
from pathlib import Path

import pytest
from studio_bench import HOLDS, RATE_HZ, Tone, ended, quiet, threaded, tone, wait_until

from ondes.errors import UserError
from ondes.scores import bundled_score
from ondes.studio.examples import EXAMPLES, Example
from ondes.studio.service import Job, LiveFormat, NotFound, QueueFull, Studio
from ondes.studio.settings import StudioSettings
from ondes.wav import to_pcm16


def uploaded(studio: Studio, name: str = "song.mid") -> str:
    return studio.add_file(name, bundled_score("prelude").path).id


async def watched(studio: Studio, job: Job) -> list[Job]:
    return [seen async for seen in studio.watch(job.id)]


def test_a_job_is_watched_and_heard_by_many_while_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches: list[list[Job]] = [[] for _ in range(5)]
    sounds: list[tuple[LiveFormat, list[bytes]]] = []

    async def watch(studio: Studio, job: Job, seen: list[Job]) -> None:
        async for now in studio.watch(job.id):
            seen.append(now)

    async def listen(studio: Studio, job: Job) -> None:
        sounds.append((await studio.live_format(job.id), pieces := []))
        async for piece in studio.live(job.id):
            pieces.append(piece)

    async def follow(studio: Studio, job: Job) -> None:
        watching = (watch(studio, job, seen) for seen in watches)
        await asyncio.gather(*watching, *(listen(studio, job) for _ in watches))

    def hold(block: int) -> None:
        """The job goes on when everybody has heard its beginning, and seen that it goes on and how far it is."""
        if block == 1:
            wait_until(lambda: len(sounds) == 5 and all(pieces for _, pieces in sounds))
            wait_until(lambda: all(seen and seen[-1].done > 0 for seen in watches))
        if block == 10:
            wait_until(lambda: all(seen[-1].done > RATE_HZ / 10 for seen in watches))

    monkeypatch.setitem(HOLDS, "many", hold)
    with threaded(tmp_path) as studio:
        job = studio.submit(Tone(duration_s=1.5, seed=1, hold="many"), client="me")
        asyncio.run(follow(studio, job))
    for seen in watches:
        assert seen[-1].state == "done"
        assert {one.state for one in seen} <= {"queued", "running", "done"}
        assert [one.done for one in seen] == sorted(one.done for one in seen)
        assert len({one.done for one in seen}) >= 3
    pcm = to_pcm16(tone(1.5, 1))
    assert all(kind == LiveFormat(RATE_HZ, 1) and b"".join(pieces) == pcm for kind, pieces in sounds)


def test_who_stops_listening_leaves_nothing_behind(tmp_path: Path) -> None:
    async def listen_a_little(studio: Studio, job: Job) -> None:
        async with aclosing(studio.live(job.id)) as pieces:
            async for _ in pieces:
                break

    with threaded(tmp_path) as studio:
        job = studio.submit(Tone(duration_s=100, pause_s=0.05))
        asyncio.run(listen_a_little(studio, job))
        assert not studio.watching._watches
        studio.cancel(job.id)
        assert ended(studio, job).state == "cancelled"


def test_a_job_without_sound_says_so(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.start()
    job = studio.submit(Tone())
    studio.cancel(job.id)
    with pytest.raises(NotFound, match="streams no sound"):
        asyncio.run(studio.live_format(job.id))
    for call in (studio.job, studio.files_of, studio.cancel, studio.resume):
        with pytest.raises(NotFound, match="there is no job"):
            call("nobody")
    with pytest.raises(NotFound, match="there is no job"):
        asyncio.run(watched(studio, Job(id="nobody", kind="", options="")))
    with pytest.raises(UserError, match="is cancelled and cannot go on; submit it again"):
        studio.resume(job.id)
    studio.stop()


def test_jobs_of_before_run_after_a_restart(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.start()
    waiting, running = studio.submit(Tone(seed=1)), studio.submit(Tone(seed=2))
    assert studio.store.claim("dead", resume=True) is not None
    studio.stop()
    again = quiet(tmp_path)
    again.start()
    interrupted = again.job(waiting.id)
    assert interrupted.state == "interrupted"
    assert "the studio ended in the middle of the job" in str(interrupted.error)
    again.stop()
    with threaded(tmp_path) as last:
        assert [ended(last, job).state for job in (waiting, running)] == ["done", "done"]
        assert [len(last.files_of(job.id)) for job in (waiting, running)] == [2, 2]
    with threaded(tmp_path) as after:
        assert after.job(waiting.id).state == "done"
        assert after.file(after.files_of(waiting.id)[0].id)[1].is_file()


def test_interrupted_jobs_wait_for_a_word_where_the_settings_say_so(tmp_path: Path) -> None:
    with threaded(tmp_path, resume=False, queue_limit=1) as studio:
        with studio.store.writing() as session:
            session.add(job := Job(kind="tone", options=Tone().model_dump_json(), state="interrupted"))
        assert asyncio.run(watched(studio, job))[-1].state == "interrupted"
        ended(studio, studio.submit(Tone()))
        assert studio.job(job.id).state == "interrupted"
        studio.resume(job.id)
        assert ended(studio, job).state == "done"


def test_two_servers_on_one_folder_are_refused(tmp_path: Path) -> None:
    first, second = quiet(tmp_path), quiet(tmp_path)
    first.start()
    with pytest.raises(UserError, match=r"another server uses .*; stop it, or give this one another folder"):
        second.start()
    first.stop()
    second.start()
    second.stop()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Tone(model="synth-smal"), "'synth-smal' is not one of this studio: did you mean 'synth-small'"),
        (Tone(model="/etc"), "'/etc' is not one of this studio"),
        (Tone(duration_s=601), "the job makes 601 s of audio; 600 s are allowed"),
        (Tone(score="example:preludes"), "no example 'preludes': did you mean 'prelude'"),
        (Tone(score="../../etc/passwd"), r"no file '\.\./\.\./etc/passwd'"),
        (Tone(score="0" * 32), "there is no file '0000"),
    ],
)
def test_what_is_not_allowed_is_refused_before_it_waits(tmp_path: Path, task: Tone, words: str) -> None:
    studio = quiet(tmp_path)
    studio.start()
    with pytest.raises(UserError, match=words):
        studio.submit(task)
    assert studio.jobs() == []
    studio.stop()


def test_a_file_of_the_wrong_kind_and_a_long_score_are_refused(tmp_path: Path) -> None:
    studio = quiet(tmp_path, audio_s=200.0)
    studio.start()
    tone(0.5, 1).write(tmp_path / "a.wav")
    sound = studio.add_file("a.wav", tmp_path / "a.wav")
    with pytest.raises(UserError, match=r"score is a\.wav, which is no score"):
        studio.submit(Tone(score=sound.id))
    with pytest.raises(UserError, match="200 s are allowed"):
        studio.submit(Tone(score=uploaded(studio), duration_s=190))
    studio.stop()


def test_the_queue_is_full_until_a_job_ends(tmp_path: Path) -> None:
    studio = quiet(tmp_path, queue_limit=2)
    studio.start()
    first, _ = studio.submit(Tone()), studio.submit(Tone())
    with pytest.raises(QueueFull, match="2 jobs wait already"):
        studio.submit(Tone())
    assert studio.counts()["jobs_queued"] == 2
    studio.cancel(first.id)
    studio.submit(Tone())
    studio.stop()


def test_names_of_uploads_are_for_display_alone(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.start()
    names = {
        "../../../etc/passwd.mid": "passwd.mid",
        "C:\\music\\a\x00b\r\n.mid": "ab .mid",
        "\u202egnp.mid": "gnp.mid",
        "..": "upload",
        "x" * 500 + ".mid": "x" * 116 + ".mid",
    }
    for given, shown in names.items():
        file = studio.add_file(given, bundled_score("prelude").path)
        assert file.name == shown
        path = studio.file(file.id)[1]
        assert path == tmp_path / "files" / f"{file.id}.mid"
    assert (file.kind, file.notes, file.media_type) == ("score", 549, "audio/midi")
    assert len(list((tmp_path / "files").iterdir())) == len(names)
    assert list((tmp_path / "incoming").iterdir()) == []
    studio.stop()


def test_uploads_have_limits(tmp_path: Path) -> None:
    studio = quiet(tmp_path, upload_bytes=1000, notes=100)
    studio.start()
    with pytest.raises(UserError, match=r"big\.mid is larger than 0\.000953674 MiB"):
        studio.add_file("big.mid", io.BytesIO(bytes(1001)))
    with pytest.raises(UserError, match="empty"):
        studio.add_file("no.mid", io.BytesIO())
    studio.stop()
    other = quiet(tmp_path / "other", notes=100, audio_s=0.25)
    other.start()
    with pytest.raises(UserError, match=r"song\.mid has 549 notes; 100 are allowed"):
        uploaded(other)
    tone(0.5, 1).write(tmp_path / "a.flac")
    with pytest.raises(UserError, match=r"a\.flac is longer than 0\.25 s"):
        other.add_file("a.flac", tmp_path / "a.flac")
    assert other.counts()["files"] == 0
    assert list((tmp_path / "other" / "incoming").iterdir()) == []
    other.stop()


def test_files_expire_unless_a_job_still_needs_them(tmp_path: Path) -> None:
    studio = quiet(tmp_path, keep_s=1000.0)
    studio.start()
    lone, needed = uploaded(studio, "lone.mid"), uploaded(studio, "needed.mid")
    job = studio.submit(Tone(score=needed))
    studio.view(lone, "notes")
    studio.janitor.tidy(time.time() + 2000)
    assert not list((tmp_path / "files").glob(f"{lone}*"))
    assert not (tmp_path / "views" / lone).exists()
    with pytest.raises(NotFound, match=r"lone\.mid has expired"):
        studio.file(lone)
    assert studio.file(needed)[1].is_file()
    assert studio.example("prelude").expires_at is None
    studio.cancel(job.id)
    studio.janitor.tidy(time.time() + 2000)
    assert not list((tmp_path / "files").glob(f"{needed}*"))
    studio.stop()


def test_the_oldest_files_make_room_and_what_jobs_need_does_not(tmp_path: Path) -> None:
    size = bundled_score("prelude").path.stat().st_size
    studio = quiet(tmp_path, storage_bytes=int(2.5 * size))
    studio.start()
    first, second = uploaded(studio), uploaded(studio)
    third = uploaded(studio)
    with pytest.raises(NotFound, match="expired"):
        studio.file(first)
    for file in (second, third):
        studio.submit(Tone(score=file))
    with pytest.raises(QueueFull, match="has no room"):
        uploaded(studio)
    assert studio.counts()["stored_bytes"] == 2 * size
    studio.stop()


def test_what_an_interrupted_server_left_is_swept(tmp_path: Path) -> None:
    studio = quiet(tmp_path)
    studio.start()
    kept = uploaded(studio)
    studio.stop()
    for name in ("files/abc.wav", "incoming/def"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "views" / "ghi").mkdir()
    again = quiet(tmp_path)
    again.start()
    assert [path.stem for path in (tmp_path / "files").iterdir()] == [kept]
    assert list((tmp_path / "incoming").iterdir()) == list((tmp_path / "views").iterdir()) == []
    again.stop()


def test_settings_survive_the_way_to_a_worker(tmp_path: Path) -> None:
    settings = StudioSettings(tmp_path, wall_s=5.0, models=("a", "b"), threads=2)
    settings.write()
    assert StudioSettings.read(tmp_path) == settings
    with pytest.raises(UserError, match="is not the folder of a studio"):
        StudioSettings.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match="wall_s is 0; give more than 0"):
        StudioSettings(tmp_path, wall_s=0)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_a_file_that_never_expires(tmp_path: Path, example: Example) -> None:
    studio = quiet(tmp_path)
    studio.start()
    try:
        file = studio.example(example.name)
        assert (file.name, file.expires_at, file.origin) == (example.file_name, None, example.origin)
        assert file.kind == ("audio" if example.name.endswith("-played") else "score")
        assert 8 < (file.duration_s or 0) < 150
        assert studio.example(example.name).id == file.id
        assert studio.file(f"example:{example.name}")[1].read_bytes() == example.path.read_bytes()
    finally:
        studio.stop()


def test_models_and_counts(tmp_path: Path) -> None:
    with threaded(tmp_path, models=()) as studio:
        kinds = {model.name: model.kind for model in studio.models()}
        assert kinds["synth-small"] == "synthesiser"
        assert not any(model.loaded for model in studio.models())
        ended(studio, studio.submit(Tone()))
        wait_until(lambda: studio.counts()["files"] == 2)
        assert studio.counts()["jobs_done"] == 1
        assert studio.jobs()[0].state == "done"
        assert studio.jobs(client="x") == []
