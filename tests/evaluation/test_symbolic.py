"""The figures are muspy's, whatever the windows beside them, and have the values that can be worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symbolic_notes import from_tracks, tune, windows_of

import ondes
from ondes.evaluation.symbolic import (
    FIGURES,
    grid_share,
    groove_consistency,
    note_density,
    pitch_class_entropy,
    pitches_used,
    polyphony,
    polyphony_rate,
    scale_consistency,
)
from ondes.evaluation.symbolic_windows import NoteWindows, join_windows, to_note_windows
from ondes.representations.note_sequence import DRUMS, to_note_sequence
from ondes.score import read_score

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "symbolic.json").read_text())
SCORES = Path(ondes.__file__).parent / "scores"


def muspys(windows: NoteWindows) -> dict[str, np.ndarray]:
    return {
        "pitch_class_entropy": pitch_class_entropy(windows),
        "scale_consistency": scale_consistency(windows),
        "pitches_used": pitches_used(windows),
        "polyphony": polyphony(windows),
        "polyphony_rate": polyphony_rate(windows, at_least=3),
        "groove_consistency": groove_consistency(windows, cell_steps=1),
    }


@pytest.fixture(scope="module")
def pieces() -> NoteWindows:
    return from_tracks([piece["rows"] for piece in GOLDEN["pieces"].values()])


@pytest.mark.parametrize("name", list(GOLDEN["pieces"]["free"]["muspy"]))
def test_figures_are_muspys(pieces: NoteWindows, name: str) -> None:
    theirs = [piece["muspy"][name] for piece in GOLDEN["pieces"].values()]
    np.testing.assert_allclose(muspys(pieces)[name], theirs, rtol=1e-12)


@pytest.mark.parametrize("name", list(GOLDEN["files"]))
def test_figures_of_whole_files_are_muspys(name: str) -> None:
    piece = to_note_sequence(read_score(SCORES / name), quantise=False)
    windows = to_note_windows([piece], [name])
    ours = muspys(windows) | {"groove_consistency": groove_consistency(windows)}
    for figure, value in GOLDEN["files"][name].items():
        assert ours[figure][0] == pytest.approx(value, rel=1e-9), figure


def test_a_window_has_the_same_figures_alone_and_among_others(pieces: NoteWindows) -> None:
    for figure in FIGURES.values():
        together = figure(pieces)
        alone = [figure(pieces.select([k]))[0] for k in range(len(pieces))]
        np.testing.assert_allclose(together, alone, rtol=1e-12)
        apart = figure(join_windows([pieces.select([2, 3]), pieces.select([0, 1])]))
        np.testing.assert_allclose(apart, together[[2, 3, 0, 1]], rtol=1e-12)


def test_entropy_and_scale_by_hand() -> None:
    one, four = [60] * 8, [60, 62, 64, 65] * 2
    chromatic = list(range(60, 72))
    windows = windows_of(tune(0, one) + tune(1, four) + tune(2, chromatic))
    np.testing.assert_allclose(pitch_class_entropy(windows), [0.0, 2.0, np.log2(12)])
    np.testing.assert_allclose(scale_consistency(windows), [1.0, 1.0, 7 / 12])


def test_uniform_random_pitch_has_the_published_entropy_and_scale() -> None:
    """3.524 bits and 0.646, the null of the specification (here 1000 windows of 128 notes)."""
    pitch = np.random.default_rng(0).integers(0, 120, 128 * 1000)
    window = np.repeat(np.arange(1000), 128)
    ones = np.ones(len(window))
    windows = windows_of(np.stack([window, 0 * ones, 0 * ones, ones, pitch], axis=1))
    assert pitch_class_entropy(windows).mean() == pytest.approx(3.524, abs=4e-3)
    assert scale_consistency(windows).mean() == pytest.approx(0.646, abs=4e-3)


def test_polyphony_by_hand() -> None:
    # Two notes of three overlap for half of each; the unison and the drum add nothing.
    rows = [[0, 0, 0, 12, 60], [0, 0, 6, 12, 64], [0, 40, 2, 8, 60], [0, DRUMS, 0, 36, 38]]
    assert polyphony(windows_of(rows))[0] == pytest.approx(24 / 18)
    assert polyphony_rate(windows_of(rows))[0] == pytest.approx(6 / 36)


def test_repeated_bars_groove_perfectly_and_opposed_ones_not_at_all() -> None:
    same = [[0, 0, 96 * bar + 24 * beat, 6, 60] for bar in range(3) for beat in range(4)]
    full = [[1, 0, 6 * k, 6, 60] for k in range(16)] + [[1, 0, 96, 100, 60]]
    windows = windows_of(same + full)
    # Bars of the second: 16 onsets, one, none (where the last note ends).
    np.testing.assert_allclose(groove_consistency(windows), [1.0, 1 - (15 + 1) / 32])
    assert np.isnan(groove_consistency(windows_of([[0, 0, 0, 6, 60]])))


def test_density_counts_notes_a_quarter() -> None:
    eighths, together = tune(0, [60] * 9, step=12), [[1, 0, 5, 6, 60], [1, 0, 5, 6, 64]]
    density = note_density(windows_of(eighths + together))
    assert density[0] == pytest.approx(2.0)
    assert np.isnan(density[1])


@given(st.lists(st.floats(0, 95.4), min_size=1, max_size=20))
def test_the_grid_share_counts_onsets_near_a_sixteenth(onsets: list[float]) -> None:
    near = [abs(onset / 24 * 4 - round(onset / 24 * 4)) / 4 <= 0.02 + 1e-9 for onset in onsets]
    share = grid_share(windows_of([[0, 0, onset, 1, 60] for onset in onsets]))
    assert share[0] == pytest.approx(np.mean(near))


def test_only_drums_have_a_groove_but_no_figures_of_pitch() -> None:
    windows = windows_of([[0, DRUMS, 24 * k, 6, 38] for k in range(6)] + tune(1, [60, 64]))
    for figure in (pitch_class_entropy, scale_consistency, polyphony):
        assert np.isnan(figure(windows)).tolist() == [True, False]
    assert groove_consistency(windows)[0] == 1.0 - 2 / 16
