"""Regions of a recording that the synthesiser plays anew from a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines import splicing
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.score import Notes
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]
from tiny_model import save_tiny_model  # pyright: ignore[reportMissingImports]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> SynthesisPipeline:
    """Its untrained network plays the sketch of the notes, and noise."""
    return SynthesisPipeline.from_pretrained(save_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions from less."""
    monkeypatch.setattr(splicing, "PREDICTION_ORDER", 64)
    monkeypatch.setattr(splicing, "PREDICTION_CONTEXT", 2048)


def tone(duration_s: float, rate_hz: int, channels: int) -> Audio:
    time = np.arange(round(duration_s * rate_hz)) / rate_hz
    return Audio(np.stack([0.2 * np.sin(2 * np.pi * 220 * time)] * channels).astype(np.float32), rate_hz)


def one_note(pitch: int) -> Notes:
    return plain_notes([(0.3, 0.9, pitch, 100, 0)])


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (48_000, 1)])
def test_notes_are_played_in_the_region_and_nothing_changes_outside(
    pipeline: SynthesisPipeline, rate_hz: int, channels: int
) -> None:
    take = tone(1.2, rate_hz, channels)
    made = {pitch: pipeline.inpaint(take, "0.3-0.9", one_note(pitch)) for pitch in (57, 76)}
    first, last = round(0.3 * rate_hz), round(0.9 * rate_hz)
    for new in made.values():
        assert new.samples.shape == take.samples.shape
        assert np.array_equal(new.samples[:, :first], take.samples[:, :first])
        assert np.array_equal(new.samples[:, last:], take.samples[:, last:])
    assert not np.allclose(made[57].samples[:, first:last], made[76].samples[:, first:last], atol=1e-3)


def test_what_was_in_the_region_plays_no_part_and_the_seed_does(pipeline: SynthesisPipeline) -> None:
    take, score = tone(1.0, 44_100, 2), one_note(64)
    spoilt = take.samples.copy()
    spoilt[:, 20_000:30_000] = np.random.default_rng(0).uniform(-0.2, 0.2, (2, 10_000))
    region = [(20_000 / 44_100, 30_000 / 44_100)]
    one, other, next_seed = (
        pipeline.inpaint(Audio(rows, 44_100), region, score, seed=seed).samples[:, 20_000:30_000]
        for rows, seed in ((take.samples, 0), (spoilt, 0), (take.samples, 1))
    )
    assert np.array_equal(one, other)
    assert not np.allclose(one, next_seed, atol=1e-4)


def test_a_region_without_notes_is_remarked_on(
    pipeline: SynthesisPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.inpaint(tone(1.5, 44_100, 1), "0.4-0.6,1.2-1.3", one_note(60))
    assert [record.getMessage() for record in caplog.records] == [
        "the score has no note from 1.20 s to 1.30 s: nothing is played there"
    ]


def test_what_is_no_score_is_refused(pipeline: SynthesisPipeline, tmp_path: Path) -> None:
    (tmp_path / "words.mid").write_text("no notes")
    with pytest.raises(UserError, match=r"words\.mid"):
        pipeline.stream_inpaint(tone(1.0, 44_100, 1), "0.2-0.4", score=tmp_path / "words.mid")
