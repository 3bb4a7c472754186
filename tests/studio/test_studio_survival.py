"""Servers and workers are killed in the middle of their work: every accepted job ends once, with one set of results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studio_bench import Tone, ended, quiet, tone, wait_until

from ondes.audio import Audio
from ondes.studio import supervision
from ondes.studio.service import Job, Studio
from ondes.studio.settings import StudioSettings
from ondes.studio.store import Store
from plain_notes import plain_notes

HERE = Path(__file__).parent
TONE_WORKER = (sys.executable, str(HERE / "tone_worker.py"))

pytestmark = pytest.mark.slow


def server(folder: Path, jobs: int, pause_s: float) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """A server with so many jobs in a group of its own, and what it says of them."""
    command = [sys.executable, str(HERE / "tone_server.py"), str(folder), str(jobs), str(pause_s)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def buried(process: subprocess.Popen[str]) -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def tones(folder: Path, **limits: Any) -> Iterator[Studio]:
    """A studio with a real worker of tones."""
    studio = Studio(StudioSettings(folder, **limits))
    studio.supervisor.command = TONE_WORKER
    studio.start()
    try:
        yield studio
    finally:
        studio.stop()


@pytest.mark.parametrize("seed", [0, 1])
def test_twenty_jobs_survive_the_death_of_everything(tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    process, said = server(tmp_path, 20, 0.1)  # so long that not all jobs end before the server does
    store = Store(tmp_path)
    after = int(chance.integers(1, 12))
    wait_until(lambda: store.counts()["done"] >= after)
    time.sleep(chance.uniform(0, 0.2))
    os.killpg(process.pid, signal.SIGKILL)
    buried(process)
    wait_until(lambda: not any(map(alive, said["workers"])))
    before = {job.id: job for job in store.jobs()}
    assert after <= sum(job.state == "done" for job in before.values()) < 20
    kept = {job: [file.id for file in store.files.of_job(job)] for job in before}

    again, _ = server(tmp_path, 0, 0.0)
    wait_until(lambda: store.counts()["done"] == 20)
    jobs = {job.id: job for job in store.jobs()}
    assert set(jobs) == set(said["jobs"])
    paths = set()
    for number, job_id in enumerate(said["jobs"]):
        files = store.files.of_job(job_id)
        assert [file.name for file in files] == ["tone.wav", "record.json"]
        if before[job_id].state == "done":
            assert [file.id for file in files] == kept[job_id]
        path = tmp_path / "files" / f"{files[0].id}.wav"
        assert abs(Audio.read(path).samples - tone(0.3, number).samples).max() < 2**-22
        paths |= {f"{file.id}{file.suffix}" for file in files}
    assert {path.name for path in (tmp_path / "files").iterdir()} == paths
    begun = [line.split()[0] for line in (tmp_path / "runs.log").read_text().splitlines()]
    twice = {job for job in begun if begun.count(job) > 1}
    assert len(twice) <= 1  # the one that ran when all died
    assert all(before[job].state == "running" for job in twice)
    again.kill()
    buried(again)
    store.close()


def test_a_worker_does_not_outlive_its_server(tmp_path: Path) -> None:
    process, said = server(tmp_path, 2, 30.0)
    store = Store(tmp_path)
    wait_until(lambda: store.counts()["running"] == 1)
    (worker,) = said["workers"]
    assert alive(worker)
    process.kill()
    killed_s = time.monotonic()
    buried(process)
    wait_until(lambda: not alive(worker))
    assert time.monotonic() - killed_s < 20, "it did not wait for its next block"
    store.close()
    studio = quiet(tmp_path)
    studio.start()
    assert sorted(job.state for job in studio.jobs()) == ["interrupted", "queued"]
    studio.stop()


def test_a_dead_worker_is_begun_again_and_its_job_tried_three_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def release(*arguments: Any, **named: Any) -> list[Job]:
        """Takes note of what becomes of the jobs of the dead; soon others run them."""
        jobs = Store.release(studio.store, *arguments, **named)
        taken.extend(job.state for job in jobs)
        return jobs

    with tones(tmp_path) as studio:
        monkeypatch.setattr(studio.store, "release", release)
        job = studio.submit(Tone(duration_s=0.3, pause_s=30.0))
        for attempt in (1, 2, 3):
            wait_until(lambda attempt=attempt: studio.job(job.id).attempts == attempt)
            assert studio.job(job.id).state == "running"
            time.sleep(0.1)
            process = studio.supervisor._slots[0].process
            assert process is not None
            process.kill()
        assert ended(studio, job).state == "failed"
        wait_until(lambda: len(taken) == 3)
        assert taken == ["interrupted", "interrupted", "failed"]
        assert "the worker died in the middle of the job, 3 times" in str(studio.job(job.id).error)
        assert ended(studio, studio.submit(Tone())).state == "done"
        assert studio.counts()["worker_restarts"] == 3


def test_a_worker_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "WALL_GRACE_S", 0.5)
    monkeypatch.setattr(supervision, "CANCEL_GRACE_S", 0.5)
    with tones(tmp_path, wall_s=5.0) as studio:
        deaf = studio.submit(Tone(fault="deaf", duration_s=0.3, pause_s=100.0))
        assert ended(studio, deaf).state == "failed"
        assert "the job took more than 5 s" in str(studio.job(deaf.id).error)
        assert ended(studio, studio.submit(Tone())).state == "done"
    with tones(tmp_path / "other") as studio:
        deaf = studio.submit(Tone(fault="deaf", duration_s=0.3, pause_s=100.0))
        wait_until(lambda: studio.job(deaf.id).state == "running")
        studio.cancel(deaf.id)
        assert ended(studio, deaf).state == "cancelled"
        assert ended(studio, studio.submit(Tone())).state == "done"


def test_a_job_of_a_real_model_is_played_by_a_real_worker_and_goes_on_after_its_death(tmp_path: Path) -> None:
    from ondes.tasks import Synthesize  # noqa: PLC0415

    studio = Studio(StudioSettings(tmp_path, threads=1))
    studio.start()
    try:
        file = studio.add_file("short.mid", _short_score(tmp_path))
        task = Synthesize(score=file.id, steps=1, format="wav")
        first = ended(studio, studio.submit(task))
        assert (first.state, first.error) == ("done", None)
        sound, record = studio.files_of(first.id)
        assert record.kind == "record"
        assert studio.counts()["workers_alive"] == 1
        assert [model.name for model in studio.models() if model.loaded] == ["synth-small"]
        second = studio.submit(task)
        wait_until(lambda: studio.job(second.id).done > 0 or studio.job(second.id).is_final)
        process = studio.supervisor._slots[0].process
        assert process is not None
        with suppress(ProcessLookupError):
            process.kill()
        again = ended(studio, second)
        assert again.state == "done"
        assert studio.files_of(again.id)[0].sha256 == sound.sha256
    finally:
        studio.stop()


def _short_score(folder: Path) -> Path:
    """A scale of twelve seconds, which the model plays in several segments."""
    from ondes.score import notes_to_score  # noqa: PLC0415

    notes = plain_notes([(0.5 * step, 0.5 * step + 0.4, 48 + step, 80, 0) for step in range(24)])
    notes_to_score(notes).dump_midi(folder / "short.mid")
    return folder / "short.mid"
