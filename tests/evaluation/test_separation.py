"""Figures of separations against sums by hand, and what the published figures cannot tell."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondes.evaluation.separation import (
    Calibration,
    accuracy,
    best_right,
    calibration_error,
    confusion,
    consistency,
    coverage,
    diversity,
    f1,
    macro_f1,
    matched,
    part_rolls,
)

TRUE = np.array([0, 0, 0, 0, 1, 1, 2, 2])
FOUND = np.array([0, 0, 1, -1, 1, 0, 2, 2])


def test_accuracy_coverage_and_f1_by_hand() -> None:
    counts = confusion(TRUE, FOUND, 4)
    assert counts.tolist() == [[2, 1, 0, 0, 1], [1, 1, 0, 0, 0], [0, 0, 2, 0, 0], [0, 0, 0, 0, 0]]
    assert accuracy(counts) == 5 / 8
    assert coverage(counts) == 7 / 8
    np.testing.assert_allclose(f1(counts), [4 / 7, 1 / 2, 1, np.nan])
    assert macro_f1(counts) == pytest.approx((4 / 7 + 1 / 2 + 1) / 3)


def test_a_part_that_wrongly_gets_notes_has_no_f1_to_boast_of() -> None:
    counts = confusion(np.array([0, 0]), np.array([0, 1]), 2)
    np.testing.assert_allclose(f1(counts), [2 / 3, 0])


def test_figures_take_several_draws_at_once() -> None:
    both = np.stack([confusion(TRUE, FOUND, 3), confusion(TRUE, TRUE, 3)])
    np.testing.assert_allclose(accuracy(both), [5 / 8, 1])
    np.testing.assert_allclose(macro_f1(both), [(4 / 7 + 1 / 2 + 1) / 3, 1])


def test_no_notes_have_no_figures() -> None:
    counts = confusion(np.zeros(0, int), np.zeros(0, int), 2)
    assert np.isnan([accuracy(counts), coverage(counts), macro_f1(counts)]).all()


def test_parts_of_one_instrument_swap_and_others_do_not() -> None:
    swapped = np.array([1, 1, 0, 2, -1])
    assert matched(np.array([0, 0, 1, 2, 0]), swapped, [40, 40, 41]).tolist() == [0, 0, 1, 2, -1]
    assert matched(np.array([0, 0, 1, 2, 0]), swapped, [40, 41, 42]).tolist() == swapped.tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=1, max_size=20))
def test_matching_is_the_best_renaming_there_is(pairs: list[tuple[int, int]]) -> None:
    true, found = np.array(pairs).T
    best = max(
        (np.append(names, -1)[found] == true).sum()
        for first in permutations([0, 1, 2])
        for names in [np.array([*first, 3])]
    )
    assert (matched(true, found, ["a", "a", "a", "b"]) == true).sum() == best


def test_calibration_error_by_hand() -> None:
    # Bins of a half: three notes below with one right, two above with both right.
    calibration = Calibration.of(
        np.array([0.5, 0.1, 0.3, 0.7, 0.9]), np.array([True, False, False, True, True]), bins=2
    )
    assert calibration.count.tolist() == [3, 2]
    assert calibration.right.tolist() == [1, 2]
    assert calibration.error == pytest.approx((abs(0.9 - 1) + abs(1.6 - 2)) / 5)


def test_stated_chances_that_are_true_have_a_small_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.2, 1, 40_000)
    right = random.random(40_000) < confidence
    assert Calibration.of(confidence, right).error < 0.01
    assert Calibration.of(np.sqrt(confidence), right).error > 0.1
    halves = [Calibration.of(confidence[half], right[half]) for half in (slice(1000), slice(1000, None))]
    together = halves[0].table() + halves[1].table()
    assert calibration_error(together) == pytest.approx(Calibration.of(confidence, right).error)


def test_the_best_is_chosen_in_each_stretch() -> None:
    true = np.zeros(5, int)
    one, other = np.array([0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 1])
    assert best_right(true, [one, other], stretch=3).tolist() == [3, 1]
    assert best_right(true, [one, other], stretch=5).tolist() == [3]
    assert best_right(true, [other], stretch=2).tolist() == [0, 2, 0]


def test_published_figures_praise_what_separates_nothing() -> None:
    onset, duration = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.5, 1.0])
    pitch, true = np.array([60, 48, 62]), np.array([0, 1, 1])

    def rolls(labels: np.ndarray) -> np.ndarray:
        return part_rolls(onset, duration, pitch, labels, 2, 8)

    truth = rolls(true)
    assert truth.sum((1, 2)).tolist() == [4, 2 + 4]
    mixture = np.logical_or.reduce(truth)
    for labels in (true, np.zeros(3, int), 1 - true):
        assert consistency(mixture, rolls(labels)) == 0
    assert consistency(mixture, rolls(np.full(3, -1))) == 10 / (8 * 72)
    assert diversity(truth, truth, mixture) == 0
    assert diversity(truth, rolls(1 - true), mixture) == 2 * 10 / (2 * 8 * 72)
