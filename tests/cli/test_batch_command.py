"""`ondes batch`: what is typed reaches the task, failures are counted, and Ctrl-C ends it in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sine_pipeline import Ondes

from ondes.tasks import batch_engines
from ondes.tasks.batch import Done, Item, Plan


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
