"""No part strikes a key twice at once: notes that are drawn in one step do not see each other and may coincide."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from ondes.pipelines.composer_constraints import absolute_bars
from ondes.pipelines.composer_rules import Allowed, Rule
from ondes.representations.note_tokens import INSTRUMENT, PART_NUMBER, PITCH, POSITION, SIZES


def no_doubles(drawn: NDArray) -> Rule:
    """Notes of one part that begin at one place differ in pitch; of two alike the later row is drawn again.

    Without it a note that doubles another is lost, and a piece of so many notes grows longer and thinner than its
    plan, window after window.

    Args:
        drawn: Which rows are to be drawn, (notes,); the others are there, and what is drawn has to differ from them.
    """
    stays = ~torch.from_numpy(drawn.copy())

    def allowed(tokens: Tensor) -> Allowed:
        bars = absolute_bars(tokens)
        owner = (bars * SIZES[INSTRUMENT] + tokens[..., INSTRUMENT]) * SIZES[PART_NUMBER] + tokens[
            ..., PART_NUMBER
        ]
        placed = (bars >= 0) & (tokens[..., INSTRUMENT] < SIZES[INSTRUMENT])
        placed &= tokens[..., PART_NUMBER] < SIZES[PART_NUMBER]
        beside = (owner[:, :, None] == owner[:, None]) & placed[:, :, None] & placed[:, None]
        row = torch.arange(tokens.shape[1], device=tokens.device)
        first = stays.to(tokens.device) | (row < row[:, None])
        beside &= row != row[:, None]
        return {
            PITCH: ~_taken(beside, first, tokens, PITCH, POSITION),
            POSITION: ~_taken(beside, first, tokens, POSITION, PITCH),
        }

    return Rule(allowed, PITCH, beside=(POSITION,))


def _taken(
    beside: Bool[Tensor, "batch notes notes"],
    first: Bool[Tensor, "notes notes"],
    tokens: Tensor,
    field: int,
    other: int,
) -> Bool[Tensor, "batch notes _"]:
    """Classes of a field that notes of the same part and bar have which agree in the other field.

    A note that has a value itself gives way to those before it (`first`) alone: else both of two would be drawn again.
    """
    value, same = tokens[..., field], tokens[..., other]
    known = value < SIZES[field]
    agree = (same[:, :, None] == same[:, None]) & (same < SIZES[other])[:, None]
    agree &= beside & known[:, None] & (first | ~known[:, :, None])
    has = torch.nn.functional.one_hot(value.clamp(max=SIZES[field] - 1), SIZES[field])
    return agree.float() @ has.float() > 0
