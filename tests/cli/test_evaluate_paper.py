"""`ondes evaluate synth --protocol paper` plays whole songs and writes its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sine_pipeline import Ondes, SinePipeline

from ondes.audio import Audio
from ondes.cli import evaluate, rendering
from ondes.datasets import render
from ondes.evaluation import embeddings, excerpts, program_f1
from ondes.evaluation.program_f1 import Listener
from ondes.notes import Notes
from ondes.score import to_notes
from ondes.scores.notation import Page, to_midi


class SongPipeline(SinePipeline):
    """Sines by the verb that the protocol uses."""

    vocoder = None

    def stream(self, score, *, seed: int, steps: int) -> Iterator[Audio]:
        assert isinstance(score, Notes)
        assert (seed, steps) == (5, 8)
        return super().stream(score, seed=seed)


class Loudness:
    """Root mean square of each second."""

    name, sample_rate_hz, dimension = "musicnn", 100, 1

    def __call__(self, audio: Audio) -> np.ndarray:
        mono = audio.samples[0]
        whole = len(mono) // audio.sample_rate_hz * audio.sample_rate_hz
        return np.sqrt(np.square(mono[:whole]).reshape(-1, audio.sample_rate_hz).mean(axis=1))[:, None]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two piano pieces of 12 s and one too empty; ears that cost nothing."""
    (tmp_path / "scores").mkdir()
    for name, notes in (("one", 24), ("two", 24), ("empty", 3)):
        page = Page("Piano", 0)
        for beat in range(notes):
            page.note(beat / 2, 60 + beat * (3 if name == "one" else 5) % 13, 0.5, 120)
        (tmp_path / "scores" / f"{name}.mid").write_bytes(to_midi([page], [(0.0, 120.0)]))
    (tmp_path / "a.sf2").write_text("a")
    pipeline = SongPipeline()

    def open_renderer(soundfont: Path) -> SimpleNamespace:
        def play(score) -> Audio:
            return Audio.concatenate(list(SinePipeline.stream(pipeline, to_notes(score), seed=0)))

        return SimpleNamespace(soundfont=Path(soundfont), soundfont_hash="ab" * 32, render=play)

    monkeypatch.setattr(render, "open_renderer", open_renderer)
    monkeypatch.setattr(rendering, "load_pipeline", lambda *_, **__: pipeline)
    monkeypatch.setattr(evaluate, "_machine", lambda: {"threads": 1})  # spares the import of every model
    monkeypatch.setattr(
        program_f1,
        "basic_pitch",
        lambda: Listener("nobody", lambda _: silence(), ("flat",), hears_drums=False),
    )
    return tmp_path


def silence() -> Notes:
    from plain_notes import plain_notes  # noqa: PLC0415

    return plain_notes([])


def words(stage: Path, *more: object) -> list[object]:
    fixed = ["evaluate", "synth", "--protocol", "paper", "--data", stage / "scores"]
    return [*fixed, "--soundfont", stage / "a.sf2", "--seed", 5, *more]


def test_songs_are_played_and_reported(ondes: Ondes, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, *, weights: str | None) -> Loudness:
        asked.append((name, weights))
        return Loudness()

    monkeypatch.setattr(embeddings, "load_embedding", load)
    run = ondes(
        *words(stage, "-o", stage / "report", "--embedding", "vggish", "--embedding-weights", "w.pth")
    )
    assert run.status == 0, run.err
    assert asked == [("vggish", "w.pth")]
    assert (stage / "report" / "paper_report.md").read_text() == run.out
    report = json.loads((stage / "report" / "paper_report.json").read_text())
    assert {song["name"].split("/")[-1].removesuffix(".mid") for song in report["songs"]} == {"one", "two"}
    assert report["settings"]["true audio"].startswith("a.sf2")
    assert report["settings"]["steps"] == 8
    model = report["groups"]["whole songs"]["audio"]["model"]
    assert model["frechet"] == pytest.approx(0, abs=1e-6)
    assert max(model["reconstruction"]) < 2e-5
    assert "Clean floor of the Fréchet distance" in run.out
    assert "vocoder ceiling" not in run.out


def test_what_cannot_be_used_is_refused(ondes: Ondes, stage: Path) -> None:
    run = ondes(*words(stage, "--embedding", "clap"))
    assert run.status == 2
    assert "there is no embedding 'clap'" in run.err
    run = ondes(*words(stage, "--embedding", "vggish"))
    assert run.status == 2
    assert "VGGish's weights do not come with ondes" in run.err
    run = ondes(*words(stage, "--vocoder-only"))
    assert run.status == 2
    assert "--vocoder-only has no meaning for --protocol paper" in run.err


def test_scores_without_enough_notes_are_refused(
    ondes: Ondes, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "load_embedding", lambda *_, **__: Loudness())
    for name in ("one", "two"):
        (stage / "scores" / f"{name}.mid").unlink()
    run = ondes(*words(stage))
    assert run.status == 2
    assert "none of 1 scores has 20 notes" in run.err


def test_a_pipeline_that_cannot_play_excerpts_is_pointed_here(
    ondes: Ondes, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = [word for word in words(stage) if word not in ("--protocol", "paper")]
    monkeypatch.setattr(excerpts, "choose_excerpts", lambda *_, **__: [])
    run = ondes(*rest)
    assert run.status == 2
    assert "pass --protocol paper" in run.err
