"""What the bars around a gap say about it: music goes on much as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits
from ondes.pipelines.composer_rules import replaced
from ondes.pipelines.composer_windows import bar_steps
from ondes.representations.note_sequence import NoteSequence
from ondes.representations.note_tokens import FIELDS, SIZES, Tokens


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
