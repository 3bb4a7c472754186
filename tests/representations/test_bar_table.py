from __future__ import annotations

import numpy as np
import pytest
from sequences import score_of

from ondes.errors import UserError
from ondes.representations.bar_table import BarTable


def starts(score: object) -> list[float]:
    return BarTable.of(score).start_quarters.tolist()  # pyright: ignore[reportArgumentType]


def test_without_a_time_signature_bars_are_four_four_at_120() -> None:
    bars = BarTable.of(score_of([(0, 480, 60, 64), (480 * 9, 480, 60, 64)]))
    assert bars.start_quarters.tolist() == [0, 4, 8]
    assert bars.length_quarters.tolist() == [4, 4, 4]
    assert bars.bpm.tolist() == [120, 120, 120]


def test_a_last_bar_that_is_full_is_not_followed_by_an_empty_one() -> None:
    assert starts(score_of([(0, 8 * 480, 60, 64)])) == [0, 4]


def test_an_onset_that_is_rounded_up_to_the_next_bar_finds_it() -> None:
    assert starts(score_of([(4 * 480 - 11, 0, 60, 64)])) == [0]
    assert starts(score_of([(4 * 480 - 10, 0, 60, 64)])) == [0, 4]


def test_a_pickup_and_a_late_change_cut_bars_off() -> None:
    # A quarter before the first bar line, two bars of 3/4, then 6/8 in the middle of the third.
    score = score_of(
        [(0, 480 * 12, 60, 64)],
        metres=((0, 1, 4), (480, 3, 4), (480 * 8, 6, 8)),
    )
    bars = BarTable.of(score)
    assert bars.start_quarters.tolist() == [0, 1, 4, 7, 8, 11]
    assert bars.length_quarters.tolist() == [1, 3, 3, 1, 3, 3]
    assert bars.numerator.tolist() == [1, 3, 3, 3, 6, 6]
    assert bars.denominator.tolist() == [4, 4, 4, 4, 8, 8]


def test_of_several_metres_at_a_tick_the_last_counts() -> None:
    assert starts(score_of([(0, 2000, 60, 64)], metres=((0, 4, 4), (0, 2, 4)))) == [0, 2, 4]


def test_bars_of_more_than_8_quarters_are_divided_at_beats() -> None:
    bars = BarTable.of(score_of([(0, 480 * 20, 60, 64)], metres=((0, 13, 4),)))
    assert bars.start_quarters.tolist() == [0, 7, 13]
    assert bars.numerator.tolist() == [7, 6, 7]
    assert BarTable.of(score_of([(0, 10, 60, 64)], metres=((0, 255, 1),))).length_quarters.max() <= 8


def test_what_a_metre_leaves_of_less_than_a_step_joins_its_neighbour() -> None:
    assert starts(score_of([(0, 3000, 60, 64)], metres=((0, 4, 4), (1925, 3, 4)))) == [0, 1925 / 480]
    first = BarTable.of(score_of([(0, 1000, 60, 64)], metres=((0, 4, 4), (5, 3, 4))))
    assert first.start_quarters.tolist() == [0]
    assert (first.numerator[0], first.length_quarters[0]) == (3, 3)


def test_the_tempo_of_a_bar_is_its_mean() -> None:
    # Half of the bar at 120, half at 60: 1 s and 2 s for 4 quarters.
    bars = BarTable.of(score_of([(0, 480 * 8, 60, 64)], tempos=((0, 500_000), (960, 1_000_000))))
    assert bars.bpm.tolist() == [80, 60]


def test_bars_between_ticks_do_not_drift() -> None:
    # 1/64 of a whole at 10 ticks a quarter note: 0.625 ticks, joined in pairs to reach a step and more.
    bars = BarTable.of(score_of([(0, 1000, 60, 64)], ticks_per_quarter=10, metres=((0, 3, 64),)))
    np.testing.assert_allclose(bars.start_quarters, np.arange(len(bars)) * 3 / 16)
    assert len(bars) == 534


def test_scores_without_notes_have_one_bar() -> None:
    assert len(BarTable.of(score_of([]))) == 1


def test_too_many_bars_are_refused() -> None:
    with pytest.raises(UserError, match="the limit is 100000"):
        BarTable.of(score_of([(0, 2**30, 60, 64)], ticks_per_quarter=1, metres=((0, 1, 64),)))


def test_windows_begin_at_zero_and_extensions_go_on() -> None:
    bars = BarTable.constant(4, numerator=3, bpm=100)
    assert bars.window(2, 4).start_quarters.tolist() == [0, 3]
    assert len(bars.window(2, 2)) == 0
    assert bars.extended(6).start_quarters.tolist() == [0, 3, 6, 9, 12, 15]
    assert bars.extended(2) is bars
    assert bars.window(0, 0).extended(1).length_quarters.tolist() == [4]


def test_bars_that_positions_cannot_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 8/4"):
        BarTable.constant(1, numerator=9)


def test_bars_are_repeated_until_an_onset_is_within() -> None:
    bars = BarTable.constant(2, numerator=3)
    assert len(bars.reaching(5.9)) == 2
    assert len(bars.reaching(6 - 0.5 / 24)) == 3
    assert len(bars.reaching(6.0)) == 3
    assert len(bars.reaching(12.0)) == 5
    assert len(bars.window(0, 0).reaching(0.0)) == 1
