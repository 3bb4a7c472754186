"""Plans of bars: their sums and means, and pieces that keep to them whatever the windows are completed with."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from composer_network import small_composer
from symusic.core import ScoreTick

from ondes.pipelines.composer_plans import plan_bars, write_plan
from ondes.pipelines.composer_verbs import WindowSizes
from ondes.pipelines.composer_windows import Problem
from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import NoteSequence
from ondes.representations.note_tokens import (
    BAR,
    DURATION,
    INSTRUMENT,
    PART_NUMBER,
    PITCH,
    POSITION,
    QUANTISED,
    VELOCITY,
    Tokens,
)

SIZES = WindowSizes(notes=32, context=16)
DUET = ((40, 0), (42, 0))


def _plan(
    seed: int, *, notes: int | None = 128, bars: int | None = None, density: float = 6.0, spread: float = 0.2
):
    return plan_bars(
        notes=notes,
        bars=bars,
        density=density,
        spread=spread,
        bar_quarters=4.0,
        generator=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("density", [0.1, 2.6, 6.1, 13.0, 400.0])
def test_a_plan_of_notes_has_just_as_many_and_no_empty_bar(density: float) -> None:
    plans = [_plan(seed, density=density, spread=0.6) for seed in range(50)]
    assert {plan.sum().item() for plan in plans} == {128}
    assert min(plan.min() for plan in plans) >= 1


def test_bars_are_rounded_so_that_the_density_is_right_in_the_mean() -> None:
    # 128 notes at 13 a quarter are 2.46 bars: two of them have 16 a quarter, three 10.7.
    lengths = np.array([len(_plan(seed, density=13.0)) for seed in range(2000)])
    assert set(lengths.tolist()) == {2, 3}
    densities = 128 / (4.0 * lengths)
    assert np.exp(np.log(densities).mean()) == pytest.approx(13.0, rel=0.02)


def test_a_plan_of_bars_has_the_density_and_the_spread() -> None:
    plans = np.stack([_plan(seed, notes=None, bars=200, density=9.0, spread=0.3) for seed in range(20)])
    assert (plans.sum(1) == 9 * 4 * 200).all()
    assert np.log(plans).std() == pytest.approx(0.3, rel=0.05)
    steady = _plan(0, notes=None, bars=7, density=2.0, spread=0.0)
    assert steady.tolist() == [8] * 7


def test_a_plan_too_thin_for_its_bars_has_one_note_in_each() -> None:
    assert _plan(3, notes=None, bars=9, density=0.05).tolist() == [1] * 9


def _answered(problem: Problem, position: Callable[[np.ndarray], np.ndarray]) -> Tokens:
    tokens = problem.tokens.copy()
    row = np.arange(len(tokens))
    wanted = {
        BAR: np.ones(len(row), np.int64),
        POSITION: position(row),
        PITCH: np.full(len(row), 60),
        DURATION: np.full(len(row), 5),
        VELOCITY: np.full(len(row), 8),
        INSTRUMENT: np.full(len(row), 40),
        PART_NUMBER: np.zeros(len(row), np.int64),
    }
    for field, values in wanted.items():
        hidden = tokens[:, field] >= QUANTISED.sizes[field]
        tokens[hidden, field] = values[hidden]
    return tokens


def _written(
    counts: list[int], position: Callable[[np.ndarray], np.ndarray]
) -> tuple[NoteSequence, list[Problem]]:
    windows = write_plan(BarTable.constant(1), np.array(counts), sizes=SIZES, spec=QUANTISED, must_play=DUET)
    problems = [next(windows)]
    while True:
        try:
            problems.append(windows.send(_answered(problems[-1], position)))
        except StopIteration as finished:
            return finished.value, problems


def test_bars_get_what_the_plan_says_in_windows_of_whole_bars() -> None:
    counts = [7, 12, 9, 20, 3, 40, 1]
    number = itertools.count()
    music, problems = _written(counts, lambda row: np.array([2 * (next(number) % 48) for _ in row]))
    assert np.bincount(music.bar).tolist() == counts
    assert {(40, 0), (42, 0)} == set(zip(music.instrument.tolist(), music.part_number.tolist(), strict=True))
    drawn = [
        problem
        for problem in problems
        if not (problem.tokens[problem.drawn, BAR] >= QUANTISED.sizes[BAR]).any()
    ]
    assert max(len(problem) for problem in drawn) <= SIZES.notes
    # 7 + 12 + 9 fit into the first window, of the bar of 40 no window holds all.
    assert int(problems[0].drawn.sum()) == 28


def test_notes_that_double_others_are_asked_for_again_and_in_the_end_elsewhere() -> None:
    # Whatever is asked, everything begins at once: a bar can hold one note.
    music, _ = _written([3, 2, 4], np.zeros_like)
    assert len(music) == 9
    assert np.unique(music.bar).tolist() == list(range(music.bar.max() + 1))


def _bars_of(score: ScoreTick, quarters: int = 4) -> list[int]:
    """Notes of each bar."""
    onsets = [
        note.time // (quarters * score.ticks_per_quarter) for track in score.tracks for note in track.notes
    ]
    return np.bincount(onsets).tolist()


def test_pieces_are_as_dense_as_asked_for_or_as_usual_for_their_ensemble() -> None:
    composer = small_composer(
        default_densities={"": (6.0,), "piano": (1.0,), "string quartet": (3.0,)}, default_spreads=(0.0,)
    )
    for ensemble, density in (("piano", 1), ("string quartet", 3), ("organ", 6)):
        piece = composer.generate(notes=48, ensemble=ensemble)[0]
        assert _bars_of(piece) == [4 * density] * (48 // (4 * density))
    assert _bars_of(composer.generate(bars=3, ensemble="piano", density=4.0)[0]) == [16] * 3
    assert _bars_of(composer.generate(bars=5, ensemble="piano", metre="3/4")[0], 3) == [3] * 5


def test_without_spreads_the_network_decides_in_which_bar_a_note_is() -> None:
    pieces = small_composer(default_densities=(2.0,)).generate(4, notes=32, ensemble="piano")
    assert [8] * 4 not in [_bars_of(piece) for piece in pieces]
