"""`ondes evaluate synth` measures a stand-in, writes its report, and refuses what cannot be used."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sine_pipeline import Ondes, SinePipeline

from ondes.audio import Audio
from ondes.cli import evaluate, rendering
from ondes.datasets import render
from ondes.evaluation import synth_run
from ondes.models import griffin_lim
from ondes.models.griffin_lim import GriffinLim
from ondes.score import to_notes
from ondes.scores.notation import Page, to_midi


class WholePipeline(SinePipeline):
    """Sines with the other verbs that an evaluation uses."""

    def __init__(self) -> None:
        super().__init__()
        self.vocoder = GriffinLim(iterations=1)

    def __call__(self, score, *, seed: int, steps: int) -> Audio:
        assert steps == self.default_steps
        return Audio.concatenate(self.stream(score, seed=seed))

    def stream(self, score, **choices) -> Iterator[Audio]:
        return super().stream(to_notes(score), **choices)

    def join_times_s(self, duration_s: float) -> np.ndarray:
        return np.arange(1.0, duration_s, 1.5)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two piano pieces, a player of SoundFonts and a model, none of which need anything."""
    for name in ("one", "two"):
        page = Page("Piano", 0)
        for beat in range(60):
            page.note(beat / 2, 60 + beat * (3 if name == "one" else 5) % 13, 0.5, 120)
        (tmp_path / "scores").mkdir(exist_ok=True)
        (tmp_path / "scores" / f"{name}.mid").write_bytes(to_midi([page], [(0.0, 120.0)]))
    for name in ("a.sf2", "b.sf2"):
        (tmp_path / name).write_text(name)
    pipeline = WholePipeline()

    def open_renderer(soundfont: Path) -> SimpleNamespace:
        return SimpleNamespace(
            soundfont=Path(soundfont),
            soundfont_hash=Path(soundfont).read_text() * 8,
            render=lambda score: pipeline(score, seed=0, steps=8),
        )

    monkeypatch.setattr(render, "open_renderer", open_renderer)
    monkeypatch.setattr(griffin_lim, "GriffinLim", functools.partial(GriffinLim, iterations=1))
    monkeypatch.setattr(rendering, "load_pipeline", lambda *_, **__: pipeline)
    monkeypatch.setattr(synth_run, "PROBED", ((0,), (30, 60, 90)))
    monkeypatch.setattr(synth_run, "FIRST_BLOCKS", 1)
    return tmp_path


def words(stage: Path, *more: object) -> list[object]:
    fixed = ["evaluate", "synth", "--data", stage / "scores", "--soundfont", stage / "a.sf2"]
    return [*fixed, "--excerpts", 2, "--seconds", 6, "--no-memory", *more]


@pytest.mark.slow
def test_a_report_is_printed_and_written(ondes: Ondes, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "_vocoders", lambda _: {})
    run = ondes(*words(stage, "-o", stage / "report", "--second-soundfont", stage / "b.sf2"))
    assert run.status == 0, run.err
    assert (stage / "report" / "synth_report.md").read_text() == run.out
    report = json.loads((stage / "report" / "synth_report.json").read_text())
    assert report["settings"]["steps"] == 8
    assert report["settings"]["render"].startswith("a.sf2")
    shares = [row for row in report["rows"] if row["figure"].startswith("note F1, share")]
    assert {row["against"] for row in shares} == {"render", "second"}
    assert {row["value"]["value"] for row in shares} == {1.0}
    assert len(report["excerpts"]) == 1
    assert "velocity probes" in run.err


@pytest.mark.slow
def test_a_vocoder_can_be_measured_alone(ondes: Ondes, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ondes.pipelines import loading  # noqa: PLC0415

    asked = []
    monkeypatch.setattr(loading, "load_vocoder", lambda name: asked.append(name) or GriffinLim(iterations=1))
    run = ondes(*words(stage, "--vocoder-only"))
    assert run.status == 0, run.err
    assert asked == ["vocoder-small"]
    assert "| vocoder alone: note F1 share | all | render |" in run.out
    assert "real-time" not in run.out


def test_one_soundfont_cannot_stand_for_two(ondes: Ondes, stage: Path) -> None:
    run = ondes(*words(stage, "--second-soundfont", stage / "a.sf2"))
    assert run.status == 2
    assert "is the SoundFont that is compared with already" in run.err


def test_an_output_that_is_a_file_is_refused_first(ondes: Ondes, stage: Path) -> None:
    run = ondes(*words(stage, "-o", stage / "a.sf2"))
    assert run.status == 2
    assert "cannot hold a report" in run.err


def test_an_unknown_data_set_is_refused(ondes: Ondes, stage: Path) -> None:
    run = ondes(*words(stage, "--data", "nothing:test"))
    assert run.status == 2
    assert "there is no data set 'nothing'" in run.err


def test_missing_extras_are_named(ondes: Ondes, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    run = ondes(*words(stage))
    assert run.status == 2
    assert "pip install 'ondes[eval]'" in run.err
