"""Windows with the rules of their pieces: what is asked of a piece becomes what is asked of each of its windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ondes.diffusion.masked import Constraint
from ondes.pipelines.composer_constraints import (
    ANY_CLASS,
    aim_at_bars,
    prefer_key,
    rules_for,
    within_bars,
)
from ondes.pipelines.composer_parts import use_every_part
from ondes.pipelines.composer_pieces import Piece
from ondes.pipelines.composer_sampling import Job
from ondes.pipelines.composer_windows import Problem, bar_steps
from ondes.representations.note_sequence import STEPS_PER_QUARTER
from ondes.representations.note_tokens import BAR, SIZES


class KeyBonus(NamedTuple):
    """How much likelier pitches of a key are made, as of `prefer_key`: of one asked for, and of a new piece's own."""

    asked: float
    home: float


def job_of(piece: Piece, problem: Problem, number: int, key_bonus: KeyBonus) -> Job:
    """A window of a piece as a job for the sampler.

    Args:
        piece: What is asked for.
        problem: The window.
        number: Of the window, from 0, which its chances depend on.
        key_bonus: Of either kind of key.
    """
    wishes, key = piece.wishes, piece.conditions.key
    classes = key.wide_scale if wishes.strict_scale and key is not None else ANY_CLASS
    bars = np.arange(problem.first_bar, problem.first_bar + SIZES[BAR] * len(problem))
    rules = rules_for(
        parts=piece.parts,
        classes=classes,
        chords=wishes.chords,
        bar_steps=bar_steps(piece.bars, bars[: max(len(piece.bars) - problem.first_bar, 1)]),
        first_bar=problem.first_bar,
    )
    before: list[Constraint] = []
    if wishes.key is not None:
        before.append(prefer_key(wishes.key, bonus=key_bonus.asked if piece.key_asked else key_bonus.home))
    if wishes.density is not None and _has_open_bars(problem):
        before.append(aim_at_bars(_bars_at(problem, wishes.density), problem.drawn))
    missing = [part for part in piece.parts or () if (part.instrument, part.part_number) in problem.must_play]
    counted = problem.drawn if problem.counts is None else problem.counts
    after = (use_every_part(missing, counted),) if missing else ()
    words = ("compose", piece.seed, number)
    return Job(
        problem, piece.conditions, (within_bars(problem.bar_steps), *rules), tuple(before), after, words
    )


def _has_open_bars(problem: Problem) -> bool:
    """Whether the network decides in which bars new notes are."""
    return bool((problem.tokens[problem.drawn, BAR] >= SIZES[BAR]).any())


def _bars_at(problem: Problem, density_per_quarter: float) -> float:
    """Bars from the first of a window to its last new note, at so many new notes a quarter note."""
    known = problem.tokens[~problem.drawn, BAR].sum()
    bar_quarters = problem.bar_steps.item(-1) / STEPS_PER_QUARTER
    return float(known + problem.drawn.sum() / (density_per_quarter * bar_quarters))
