"""How a worker ends its jobs: each in one way, said in a sentence, with its files or without."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from studio_bench import RATE_HZ, Tone, quiet, tone, wait_until, worker_of

from ondes.audio import Audio
from ondes.studio import worker
from ondes.studio.live import FORMAT, PCM
from ondes.studio.service import Job, Studio
from ondes.studio.worker import PROGRESS_S, STOPPED, Pulse, job_folder
from ondes.wav import to_pcm16

AT_ONCE_S = 20.0
"""Longest that what happens at once may take on a machine that does much else; whole jobs here take 100 s."""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = quiet(tmp_path)
    studio.start()
    yield studio
    studio.stop()


def worked(studio: Studio, task: Tone, stopping: threading.Event | None = None) -> Job:
    """The job of a task after a worker has had it."""
    job = studio.submit(task)
    claimed = studio.store.claim("w", resume=True)
    assert claimed is not None
    assert claimed.id == job.id
    worker_of(studio).work(claimed, stopping or threading.Event())
    return studio.job(job.id)


def test_results_are_described_and_can_be_read(studio: Studio) -> None:
    job = worked(studio, Tone(duration_s=0.3, seed=5))
    assert (job.state, job.error, job.done) == ("done", None, job.total)
    sound, record = studio.files_of(job.id)
    assert (sound.name, sound.kind, sound.media_type) == ("tone.wav", "audio", "audio/wav")
    assert (sound.duration_s, sound.sample_rate_hz, sound.channels) == (0.3, RATE_HZ, 1)
    assert sound.report == "a remark"
    assert (record.kind, record.media_type) == ("record", "application/json")
    _, path = studio.file(sound.id)
    assert path.stat().st_size == sound.bytes
    assert abs(Audio.read(path).samples - tone(0.3, 5).samples).max() < 2**-22
    assert json.loads(studio.file(record.id)[1].read_text()) == {"seed": 5}
    assert sorted(path.name for path in job_folder(studio.settings.folder, job.id).iterdir()) == [FORMAT, PCM]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("user", "prelude.mid has no end; give one that has"),
        ("memory", "there is not enough memory for this job"),
        ("bug", "an error in ondes ended this job (ZeroDivisionError); see the log"),
    ],
)
def test_what_fails_is_said_without_places_or_details(studio: Studio, fault: str, words: str) -> None:
    score = studio.example("prelude")
    job = worked(studio, Tone.model_validate({"fault": fault, "score": "example:prelude"}))
    assert job.state == "failed"
    assert str(job.error).replace("bundled:prelude", score.name).startswith(words)
    assert studio.files_of(job.id) == []
    assert worked(studio, Tone()).state == "done"


def test_a_job_that_takes_too_long_fails_after_its_time(tmp_path: Path) -> None:
    studio = quiet(tmp_path, wall_s=0.4)
    studio.start()
    job = worked(studio, Tone(duration_s=100, pause_s=0.1))
    assert job.state == "failed"
    assert "the job took more than 0.4 s" in str(job.error)
    assert 0.4 <= (job.finished_at or 0) - (job.started_at or 0) < AT_ONCE_S
    studio.stop()


def test_cancelling_takes_one_block(studio: Studio) -> None:
    job = studio.submit(Tone(duration_s=100, pause_s=0.1))
    claimed = studio.store.claim("w", resume=True)
    assert claimed is not None
    thread = threading.Thread(target=worker_of(studio).work, args=(claimed, threading.Event()))
    thread.start()
    wait_until(lambda: studio.job(job.id).done > 0)
    asked_s = time.monotonic()
    studio.cancel(job.id)
    thread.join()
    assert time.monotonic() - asked_s < AT_ONCE_S
    assert studio.job(job.id).state == "cancelled"
    assert not (job_folder(studio.settings.folder, job.id) / "journal").exists()


def test_a_worker_that_is_stopped_leaves_its_job_to_go_on(studio: Studio) -> None:
    stopping = threading.Event()
    stopping.set()
    job = worked(studio, Tone(duration_s=100, pause_s=0.01), stopping)
    assert (job.state, job.error, job.attempts) == ("interrupted", STOPPED, 0)
    assert studio.resume(job.id).state == "queued"


def test_what_a_lost_worker_made_is_thrown_away(studio: Studio) -> None:
    job = studio.submit(Tone(fault="deaf", duration_s=0.2, pause_s=0.05))
    claimed = studio.store.claim("lost", resume=True)
    assert claimed is not None
    studio.store.release("lost", "it seemed dead", attempts=3)
    worker_of(studio, "lost").work(claimed, threading.Event())
    assert studio.job(job.id).state == "interrupted"
    assert studio.files_of(job.id) == []
    assert list((studio.settings.folder / "files").iterdir()) == []
    again = studio.store.claim("w", resume=True)
    assert again is not None
    worker_of(studio).work(again, threading.Event())
    assert len(studio.files_of(job.id)) == 2


def test_who_goes_on_writes_the_same_sound_over_what_was_heard(studio: Studio) -> None:
    job = studio.submit(Tone(duration_s=0.5, seed=3))
    folder = job_folder(studio.settings.folder, job.id)
    folder.mkdir()
    pcm = to_pcm16(tone(0.5, 3))
    (folder / FORMAT).write_text(json.dumps({"sample_rate_hz": RATE_HZ, "channels": 1}))
    (folder / PCM).write_bytes(pcm[:1001])  # half a sample was written when the worker died
    claimed = studio.store.claim("w", resume=True)
    assert claimed is not None
    worker_of(studio).work(claimed, threading.Event())
    assert (folder / PCM).read_bytes() == pcm


def test_progress_is_written_at_most_five_times_a_second_and_says_how_long(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[float, float, float | None]] = []
    now_s = begun_s = 1000.0

    def progress(job_id: str, worker: str, done: float, total: float, eta_s: float | None) -> bool:
        written.append((now_s, done, eta_s))
        return True

    class Ticks:
        """Lets a clock of its own run instead of waiting; the job does ten units a second, of twenty."""

        def wait(self, _pause_s: float) -> bool:
            nonlocal now_s
            now_s += 1 / 16
            pulse.progress(10 * (now_s - begun_s), 20.0)
            return now_s > begun_s + 1

    monkeypatch.setattr(studio.store, "progress", progress)
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: now_s))
    job = Job(kind="tone", options="", worker="w", state="running")
    with studio.store.writing() as session:
        session.add(job)
    pulse = Pulse(studio.store, job, 60, threading.Event())
    monkeypatch.setattr(pulse, "_over", Ticks())
    pulse._beat()
    # At the first tick, then as soon as a fifth of a second has passed.
    assert np.diff([at_s for at_s, *_ in written]) == pytest.approx([0.25] * 3)
    assert PROGRESS_S == 0.2
    (_, _, first_eta_s), *others = written
    assert first_eta_s is None
    assert [eta_s for *_, eta_s in others] == pytest.approx([2.0 - done / 10 for _, done, _ in others])
