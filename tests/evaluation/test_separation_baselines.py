"""Baselines of separations on pieces where what they find is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from separation_pieces import piece

from ondes.evaluation.separation_baselines import (
    BASELINES,
    PartPitches,
    closest_pitch,
    most_common,
    skyline,
    zone,
    zones,
)
from ondes.training.mixture_windows import labels_of

PARTS = [(42, 0), (40, 1), (40, 0)]
"""Low, middle, high."""
TRAIN = piece(
    [
        *([beat, 1, 48, 42, 0] for beat in range(4)),
        *([beat, 1, 60, 40, 1] for beat in range(3)),
        *([beat, 1, 72, 40, 0] for beat in range(2)),
    ]
)
PITCHES = PartPitches.of([TRAIN, TRAIN])
CROSSING = piece([[0, 1, 70, 40, 0], [0, 1, 60, 40, 1], [1, 1, 66, 40, 0], [1, 1, 68, 40, 1]])


def test_training_pieces_are_counted() -> None:
    assert PITCHES.table([*PARTS, (73, 0)])[:, [48, 60, 72]].tolist() == [
        [8, 0, 0],
        [0, 6, 0],
        [0, 0, 4],
        [0, 0, 0],
    ]
    assert PITCHES.downwards(PARTS).tolist() == [2, 1, 0]


def test_most_common_is_one_part() -> None:
    assert most_common(CROSSING, PARTS, PITCHES).tolist() == [0, 0, 0, 0]
    assert most_common(CROSSING, PARTS[1:], PITCHES).tolist() == [0, 0, 0, 0]


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=3))
def test_zones_are_the_best_of_all_cuts(rows: list[list[int]]) -> None:
    counts = np.array(rows)
    found = zones(counts)
    assert (np.diff(found) >= 0).all()
    cuts = (
        sum(counts[row, key] for key, row in enumerate(cut))
        for cut in product(range(len(rows)), repeat=5)
        if list(cut) == sorted(cut)
    )
    assert counts[found, np.arange(5)].sum() == max(cuts)


def test_zone_goes_by_pitch_alone() -> None:
    notes = piece([[0, 1, 47, 0, 0], [1, 1, 60, 0, 0], [2, 1, 72, 0, 0], [3, 1, 48, 0, 0]])
    assert zone(notes, PARTS, PITCHES)[1:].tolist() == [1, 2, 0]


def test_skyline_counts_from_the_top_of_what_sounds() -> None:
    held = piece(
        [[0, 2, 76, 0, 0], [0, 1, 64, 0, 0], [1, 1, 65, 0, 0], [2, 1, 65, 0, 0], [2, 1, 50, 0, 0]]
        + [[3, 1, pitch, 0, 0] for pitch in (40, 50, 60, 70)]
    )
    found = {
        (float(onset), int(pitch)): part
        for onset, pitch, part in zip(
            held.onset_quarters, held.pitch, skyline(held, PARTS, PITCHES).tolist(), strict=True
        )
    }
    assert found[0, 76] == 2
    assert found[0, 64] == 1
    assert found[1, 65] == 1  # the first note is still held above
    assert found[2, 65] == 2  # now it is not
    assert found[2, 50] == 1
    assert [found[3, pitch] for pitch in (40, 50, 60, 70)] == [0, 0, 1, 2]


def test_closest_pitch_follows_lines_and_fails_where_they_cross() -> None:
    parts = [(40, 0), (40, 1)]
    line = piece(
        [[beat, 1, 72 - beat, 40, 0] for beat in range(8)]
        + [[beat + 0.5, 0.25, 50 + beat, 40, 1] for beat in range(8)]
    )
    true = labels_of(line, parts)
    assert closest_pitch(line, true, 2).tolist() == true.tolist()
    true = labels_of(CROSSING, parts)
    # 66 and 68 are both nearer to 70 than to 60: together they share the part, apart the nearer pairing wins.
    assert (closest_pitch(CROSSING, true, 2) == true).mean() == 0.75
    found = closest_pitch(CROSSING, true, 2, one_at_a_time=True)
    assert found[2] != found[3]


def test_closest_pitch_avoids_a_part_that_plays() -> None:
    held = piece([[0, 4, 60, 40, 0], [0, 1, 50, 40, 1], [1, 1, 59, 40, 1]])
    true = labels_of(held, [(40, 0), (40, 1)])
    assert closest_pitch(held, true, 2).tolist() != true.tolist()
    assert closest_pitch(held, true, 2, one_at_a_time=True).tolist() == true.tolist()


def test_no_part_plays_before_its_first_note() -> None:
    late = piece([[0, 1, 60, 40, 0], [1, 1, 72, 40, 0], [2, 1, 71, 40, 1], [3, 1, 72, 40, 1]])
    true = labels_of(late, [(40, 0), (40, 1)])
    assert closest_pitch(late, true, 2)[:3].tolist() == [0, 0, 1]


@pytest.mark.parametrize("name", BASELINES)
def test_every_note_gets_a_part(name: str) -> None:
    random = np.random.default_rng(3)
    rows = [
        [random.integers(0, 40) / 4, 1, random.integers(30, 90), *PARTS[random.integers(0, 3)]]
        for _ in range(200)
    ]
    notes = piece(rows)
    found = BASELINES[name](notes, labels_of(notes, PARTS), PARTS, PITCHES)
    assert found.shape == (200,)
    assert set(found.tolist()) <= {0, 1, 2}
