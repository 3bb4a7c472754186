"""`ondes batch`: what is typed reaches the task, failures are counted, and Ctrl-C ends it in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sine_pipeline import Ondes

from ondes.scores.notation import Page, to_midi
from ondes.tasks import batch_engines
from ondes.tasks.batch import RECORD, Done, Item, Plan
from tiny_model import save_tiny_model

PATIENCE_S = 600.0
"""Far more than it takes, for machines that have much else to do."""


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Plan, int]]:
    """Plans and workers that an engine was given, which makes whatever is not called bad."""
    given: list[tuple[Plan, int]] = []

    def engine(plan: Plan, items: Sequence[Item], workers: int) -> Iterator[Done]:
        given.append((plan, workers))
        for item in items:
            bad = "bad" in item.name
            yield Done(item.name, "failed" if bad else "made", f"{item.name} is bad" if bad else "")

    monkeypatch.setattr(batch_engines, "with_processes", engine)
    return given


def scores(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.mid").write_bytes(b"MThd")
    return folder


def test_options_reach_the_task_and_typed_ones_win(ondes: Ondes, plans: list[Any], tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("steps: 9\nstyle: piano\nseed: 3\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "take.wav").write_bytes(b"RIFF")
    words = ("--config", tmp_path / "options.yaml", "steps=4", "before_s=2", "--workers", 3, "--threads", 2)
    assert ondes("batch", "outpaint", tmp_path / "in", "-o", tmp_path / "out", *words).status == 0
    ((plan, workers),) = plans
    chosen = plan.asked()
    assert (plan.kind, workers, chosen["threads"]) == ("outpaint", 3, 2)
    assert (
        chosen["options"] | {"steps": 4, "before_s": 2.0, "style": ["piano"], "seed": 3} == chosen["options"]
    )


def test_failures_are_counted_listed_and_the_exit_status(
    ondes: Ondes, plans: list[Any], tmp_path: Path
) -> None:
    folder = scores(tmp_path / "in", "a", "bad", "c")
    run = ondes("batch", "synth", folder, "-o", tmp_path / "out")
    assert run.status == 1
    assert "3 files: 2 made, 0 were there, 1 failed" in run.err
    assert "bad.mid is bad" in run.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "errors.jsonl").read_text().splitlines()]
    assert rows == [{"input": "bad.mid", "error": "bad.mid is bad"}]
    (folder / "bad.mid").rename(folder / "good.mid")
    assert ondes("batch", "synth", folder, "-o", tmp_path / "out").status == 0
    assert not (tmp_path / "out" / "errors.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("steps",), "'steps' is no option of the task; write KEY=VALUE"),
        (("step=4",), "did you mean 'steps'"),
        (("--engine", "slurm"), "there is no engine 'slurm'"),
        (("--config", "missing.yaml"), "missing.yaml cannot be read"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(
    ondes: Ondes, plans: list[Any], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    run = ondes("batch", "synth", scores(tmp_path / "in", "a"), "-o", tmp_path / "out", *words)
    assert run.status == 2
    assert message in run.err
    assert not plans


def real_scores(folder: Path, count: int) -> Path:
    """Scores of some seconds."""
    folder.mkdir()
    for number in range(count):
        page = Page("Piano", 0)
        for beat in range(8):
            page.note(beat, 50 + beat + number, 0.9, 80)
        (folder / f"{number}.mid").write_bytes(to_midi([page], [(0.0, 120.0)]))
    return folder


PROGRAM = """
import signal, sys
from ondes.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
"""Hears Ctrl-C where the tests themselves run in the background of a shell, which makes its jobs deaf to it, too."""


@contextmanager
def begun(model: Path, folder: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """`ondes batch` with two workers, in a process group of its own, as a terminal would begin it."""
    words = ["batch", "synth", folder, "-o", out, "--workers", "2", f"model={model}", "steps=8"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def finished(out: Path) -> list[str]:
    return sorted(path.parent.name for path in out.glob(f"*/{RECORD}"))


def children(process: subprocess.Popen[str]) -> int:
    """How many processes a process has begun; they are still alive."""
    count = 0
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with suppress(OSError):  # a thread that has ended since
            count += len((task / "children").read_text().split())
    return count


def is_empty(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_whole_results_and_the_next_run_makes_the_others(
    sent: signal.Signals, status: int, tmp_path: Path
) -> None:
    count = 10  # so many that not all are finished before the signal is there
    model, folder = save_tiny_model(tmp_path / "model"), real_scores(tmp_path / "in", count)
    out = tmp_path / "out"
    with begun(model, folder, out) as process:
        wait_until(lambda: len(finished(out)) >= 1 and any(out.glob(".ondes-*")))
        if sent == signal.SIGINT:
            os.killpg(process.pid, sent)  # Ctrl-C reaches everybody in the group
        else:
            process.send_signal(sent)
        said, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, said) == (status, "")
        assert "Traceback" not in err
        wait_until(lambda: is_empty(process.pid))
    made = finished(out)
    assert 1 <= len(made) < count
    assert sorted(path.name for path in out.iterdir()) == made, "nothing half-written is left"
    before = {name: (out / name / f"{name}.wav").read_bytes() for name in made}
    with begun(model, folder, out) as again:
        _, err = again.communicate(timeout=PATIENCE_S)
        assert again.returncode == 0, err
    assert f"{count} files: {count - len(made)} made, {len(made)} were there, 0 failed" in err
    assert finished(out) == sorted(str(number) for number in range(count))
    assert {name: (out / name / f"{name}.wav").read_bytes() for name in made} == before


@pytest.mark.slow
def test_ctrl_c_while_workers_begin_ends_them_without_a_word_of_theirs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    model, folder = save_tiny_model(tmp_path / "model"), real_scores(tmp_path / "in", 2)
    with begun(model, folder, out) as process:
        wait_until(lambda: children(process) >= 3)  # two workers, and what keeps track of their semaphores
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert err.endswith("ondes: stopped; nothing half-written is left\n")
        wait_until(lambda: is_empty(process.pid))
    assert not out.exists() or not list(out.iterdir())
