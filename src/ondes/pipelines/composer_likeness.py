"""What the bars beside a bar say about it: music goes on much as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits
from ondes.pipelines.composer_constraints import absolute_bars
from ondes.pipelines.composer_rules import replaced
from ondes.pipelines.composer_windows import bar_steps
from ondes.representations.note_sequence import NoteSequence
from ondes.representations.note_tokens import FIELDS, POSITION, SIZES, Tokens


def repeated(sequence: NoteSequence, first: int, last: int) -> NoteSequence:
    """The notes of the bars beside a gap once more, in each of its bars those of the nearer side, as far as they fit.

    Args:
        sequence: The piece, or the part of it that counts.
        first: First bar of the gap.
        last: Its last bar.
    """
    chosen, bars = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for bar in range(first, last + 1):
        own = np.flatnonzero(sequence.bar == _like(sequence, first, last, bar))
        fits = own[sequence.position[own] < bar_steps(sequence.bars, np.array([bar]))[0]]
        chosen.append(fits)
        bars.append(np.full(len(fits), bar))
    return replace(sequence.select(np.concatenate(chosen)), bar=np.concatenate(bars))


def _like(sequence: NoteSequence, first: int, last: int, bar: int) -> int:
    """The bar beside a gap that is nearer to one of its bars; the one before if both are as near."""
    before, behind = first - 1, last + 1
    beyond = behind >= len(sequence.bars)
    return before if before >= 0 and (beyond or bar - before <= behind - bar) else behind


def prefer_tokens(likely: Tokens, bonus: Mapping[str, float]) -> Constraint:
    """Some tokens are e^bonus times as likely as the network says.

    Args:
        likely: A row a note; hidden ones are nobody's business.
        bonus: By name of the field.
    """
    wanted = torch.from_numpy(np.ascontiguousarray(likely))

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        for name, extra in bonus.items():
            field = FIELDS.index(name)
            own = wanted[:, field].to(tokens.device)
            there = own < SIZES[field]
            more = torch.nn.functional.one_hot(own.clamp(max=SIZES[field] - 1), SIZES[field]) * there[:, None]
            logits = replaced(logits, field, logits[field] + extra * more.to(logits[field]))
        return logits

    return constrain


def prefer_rhythm(bonus: float) -> Constraint:
    """Places at which something begins in a bar beside are e^bonus times as likely as the network says.

    Counts what is known so far, of notes that are known to be in the bar before or behind. Notes that are drawn at once
    do not see each other, so that without it neighbouring bars share fewer onsets than in music. Of all parts: the
    likeness of a part to itself alone left bars less alike (docs/log.md).

    Args:
        bonus: As a difference of logarithms; 0 leaves everything to the network.
    """

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        bars, position = absolute_bars(tokens), tokens[..., POSITION]
        known = (bars >= 0) & (position < SIZES[POSITION])
        row = torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(bars)
        # One bar more on each side, in which nothing begins; so bar b stands at b + 1.
        begins = torch.zeros(
            len(tokens), int(bars.max().clamp(min=0)) + 3, SIZES[POSITION], device=tokens.device
        )
        begins[row[known], bars[known] + 1, position[known]] = 1.0
        beside = torch.maximum(begins[:, :-2], begins[:, 2:])
        likely = beside[row, bars.clamp(min=0)] * (bars >= 0)[..., None]
        return replaced(logits, POSITION, logits[POSITION] + bonus * likely.to(logits[POSITION]))

    return constrain
