from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ondes import picture
from ondes.audio import Audio
from ondes.representations.mel import to_log_mel
from ondes.score import Notes, read_score, to_notes
from ondes.scores.notation import Page, to_midi


@pytest.fixture(scope="module")
def notes() -> Notes:
    piano, drums = Page("Piano"), Page("Drums", is_drum=True)
    piano.note(0, 60, 2, 100)
    piano.note(2, 69, 2, 50)
    drums.note(1, 38, 0.5, 90)
    return to_notes(read_score(to_midi([piano, drums], [(0.0, 120.0)])))


def _tone(frequency_hz: float, duration_s: float) -> Audio:
    wave = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(int(44_100 * duration_s)) / 44_100)
    return Audio(np.stack([wave, wave]).astype(np.float32), 44_100)


@pytest.mark.parametrize("frames", [100, 2048, 2049, 2051, 4100])
def test_the_spectrogram_in_pieces_equals_the_whole(frames: int) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2, frames * 512)).astype(np.float32)
    whole = to_log_mel(torch.from_numpy(noise.mean(axis=0))).numpy()
    np.testing.assert_allclose(picture.picture_mel(Audio(noise, 44_100)), whole, atol=1e-5)


@pytest.mark.parametrize("frequency_hz", [500.0, 1000.0, 5000.0, 10_000.0])
def test_a_tone_lies_at_its_tick(frequency_hz: float, notes: Notes) -> None:
    mel = picture.picture_mel(_tone(frequency_hz, 2.0))
    axes: Any = picture.rendering_figure(notes, mel, title="").axes[1]
    tick = axes.get_yticks()[picture.TICKS_HZ.index(int(frequency_hz))]
    assert abs(mel.mean(axis=1).argmax() - tick) <= 0.6


def test_both_halves_share_one_time_axis_in_seconds(notes: Notes) -> None:
    figure = picture.rendering_figure(notes, picture.picture_mel(_tone(440.0, 2.5)), title="A tone")
    roll, spectrum, bar = figure.axes
    figure.canvas.draw()
    assert roll.get_xlim() == spectrum.get_xlim() == pytest.approx((0, 2.5), abs=0.02)
    assert roll.get_position().x0 == pytest.approx(spectrum.get_position().x0)
    assert roll.get_position().x1 == pytest.approx(spectrum.get_position().x1)
    assert spectrum.get_xlabel() == "time (s)"
    assert spectrum.get_ylabel() == "frequency (Hz)"
    assert "dB" in bar.get_ylabel()


def test_notes_are_drawn_from_onset_to_release_in_the_colour_of_their_part(notes: Notes) -> None:
    figure = picture.rendering_figure(notes, np.zeros((128, 10), np.float32), title="")
    piano, pedal, drums, _ = figure.axes[0].collections
    first = piano.get_paths()[0].vertices
    assert np.asarray(first)[:, 0].min() == pytest.approx(0.0)
    assert np.asarray(first)[:, 0].max() == pytest.approx(1.0)
    assert np.asarray(pedal.get_facecolor())[0, 3] < np.asarray(piano.get_facecolor())[0, 3]
    louder, softer = np.asarray(piano.get_facecolor())
    assert louder[3] > softer[3]
    assert not np.allclose(louder[:3], np.asarray(drums.get_facecolor())[0, :3])


def test_the_picture_is_a_png_that_appears_whole(notes: Notes, tmp_path: Path) -> None:
    picture.draw_rendering(tmp_path / "a.png", notes, _tone(440.0, 2.5), title="A tone")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1540, 825)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_score_without_notes_can_be_drawn() -> None:
    nothing = to_notes(read_score(to_midi([Page("Nobody")], [(0.0, 120.0)])))
    picture.rendering_figure(nothing, np.zeros((128, 10), np.float32), title="Silence").canvas.draw()


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 44100 Hz"):
        picture.picture_mel(Audio.silence(1.0, sample_rate_hz=48_000))


def _bars(axes: Any) -> list[tuple[float, float, float]]:
    """Left, right and middle height of each rectangle that is drawn."""
    corners = [path.vertices for collection in axes.collections for path in collection.get_paths()]
    return sorted((c[:, 0].min(), c[:, 0].max(), round(c[:, 1].mean())) for c in corners)


def test_each_score_has_a_roll_of_its_own_with_its_notes_and_parts(notes: Notes, tmp_path: Path) -> None:
    one, other = picture.scores_figure({"first": notes, "second": notes.window(0.0, 0.9)}).axes
    assert (one.get_title(loc="left"), other.get_title(loc="left")) == ("first", "second")
    assert {(left, right) for left, right, _ in _bars(one)} >= {(0.0, 1.0), (1.0, 2.0), (0.5, 0.75)}
    assert one.get_xlim()[1] == pytest.approx(2.0)
    assert other.get_xlim()[1] == pytest.approx(0.9)
    legend = one.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["Piano", "Drums"]
    picture.draw_scores(tmp_path / "rolls.png", {"first": notes})
    with Image.open(tmp_path / "rolls.png") as image:
        assert image.size == (1540, 352)


def test_histograms_of_sets_that_lie_apart_are_drawn_apart(tmp_path: Path) -> None:
    low, high = np.full(10, 0.1), np.append(np.full(10, 0.9), np.nan)
    path = tmp_path / "figures.png"
    picture.draw_histograms(path, {"one": {"low": low, "high": high}, "none": {"low": high[-1:]}})
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    colours = [np.array([int(code[k : k + 2], 16) for k in (1, 3, 5)]) for code in picture.PART_COLOURS[:2]]
    left = pixels[60:, : pixels.shape[1] // 3]  # below the legend
    columns = [np.nonzero(np.abs(left - colour).sum(axis=2) < 20)[1] for colour in colours]
    assert columns[0].min() < columns[1].min()
    assert np.median(columns[0]) < np.median(columns[1])
