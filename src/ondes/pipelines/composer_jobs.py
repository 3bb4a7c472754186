"""Windows with the rules of their pieces: what is asked of a piece becomes what is asked of each of its windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ondes.diffusion.masked import Constraint
from ondes.pipelines.composer_constraints import (
    ANY_CLASS,
    aim_at_bars,
    prefer_key,
    prefer_triplets,
    rules_for,
    within_bars,
)
from ondes.pipelines.composer_doubles import no_doubles
from ondes.pipelines.composer_likeness import prefer_rhythm, prefer_tokens
from ondes.pipelines.composer_parts import use_every_part
from ondes.pipelines.composer_pieces import Piece
from ondes.pipelines.composer_sampling import Job
from ondes.pipelines.composer_windows import Problem, bar_steps
from ondes.representations.note_sequence import STEPS_PER_QUARTER
from ondes.representations.note_tokens import BAR, SIZES


class Bonus(NamedTuple):
    """How much likelier some tokens are made than the network says.

    Attributes:
        asked_key: Pitches of a key that was asked for, see `prefer_key`.
        home_key: Those of a new piece's own.
        likeness: What the bars beside a gap have, by field, see `prefer_tokens`.
    """

    asked_key: float
    home_key: float
    likeness: Mapping[str, float]


def job_of(piece: Piece, problem: Problem, number: int, bonus: Bonus) -> Job:
    """A window of a piece as a job for the sampler.

    Args:
        piece: What is asked for.
        problem: The window.
        number: Of the window, from 0, which its chances depend on.
        bonus: Of keys and likenesses.
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
        before.append(prefer_key(wishes.key, bonus=bonus.asked_key if piece.key_asked else bonus.home_key))
    if wishes.density is not None and _has_open_bars(problem):
        before.append(aim_at_bars(_bars_at(problem, wishes.density), problem.drawn))
    if piece.rhythm:
        before.append(prefer_rhythm(piece.rhythm))
    if piece.triplets:
        before.append(prefer_triplets(piece.triplets))
    if problem.likely is not None:
        before.append(prefer_tokens(problem.likely, bonus.likeness))
    missing = [part for part in piece.parts or () if (part.instrument, part.part_number) in problem.must_play]
    counted = problem.drawn if problem.counts is None else problem.counts
    after = (use_every_part(missing, counted),) if missing else ()
    words = ("compose", piece.seed, number)
    rules = (within_bars(problem.bar_steps), *rules, no_doubles(problem.drawn))
    return Job(problem, piece.conditions, rules, tuple(before), after, words)


def _has_open_bars(problem: Problem) -> bool:
    """Whether the network decides in which bars new notes are."""
    return bool((problem.tokens[problem.drawn, BAR] >= SIZES[BAR]).any())


def _bars_at(problem: Problem, density_per_quarter: float) -> float:
    """Bars from the first of a window to its last new note, at so many new notes a quarter note."""
    known = problem.tokens[~problem.drawn, BAR].sum()
    bar_quarters = problem.bar_steps.item(-1) / STEPS_PER_QUARTER
    return float(known + problem.drawn.sum() / (density_per_quarter * bar_quarters))


def next_window(piece: Piece, answer: Any, results: list[Any], item: int) -> Any:
    """The next window of a piece; None when it is finished, with its result put where it belongs."""
    try:
        return piece.windows.send(answer)
    except StopIteration as finished:
        results[item] = finished.value
        return None
