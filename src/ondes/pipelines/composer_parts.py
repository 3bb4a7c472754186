"""Every asked part plays: who gets which note where some part has none yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ondes.diffusion.masked import Constraint, Logits
from ondes.pipelines.composer_rules import replaced
from ondes.representations.ensembles import PartSpec
from ondes.representations.note_tokens import INSTRUMENT, PART_NUMBER, SIZES


def use_every_part(
    parts: Sequence[PartSpec], drawn: Bool[np.ndarray, " notes"], *, used: Sequence[tuple[int, int]] = ()
) -> Constraint:
    """Every asked part has a note in the end, if there are as many notes to draw as parts.

    In each step every part that is still missing is given the one note of its own that is most likely to be its, among
    those whose instrument or part number is hidden; should that note be drawn in this step, it is the part's.

    Args:
        parts: Who has to play.
        drawn: Which notes count.
        used: Instrument and part number of those that have played before the window.
    """
    counted = torch.from_numpy(np.ascontiguousarray(drawn))
    asked = [part for part in parts if (part.instrument, part.part_number) not in set(used)]

    def constrain(tokens: Tensor, logits: Logits) -> Logits:
        instruments, numbers = logits[INSTRUMENT].clone(), logits[PART_NUMBER].clone()
        for row in range(len(tokens)):
            for part, note in _assigned(tokens[row], instruments[row], numbers[row], asked, counted):
                for values, kept in ((instruments, part.instrument), (numbers, part.part_number)):
                    values[row, note] = torch.full_like(values[row, note], -torch.inf)
                    values[row, note, kept] = 0.0
        return replaced(replaced(logits, INSTRUMENT, instruments), PART_NUMBER, numbers)

    return constrain


def _assigned(
    tokens: Int[Tensor, "notes fields"],
    instruments: Float[Tensor, "notes instruments"],
    numbers: Float[Tensor, "notes numbers"],
    asked: Sequence[PartSpec],
    counted: Bool[Tensor, " notes"],
) -> list[tuple[PartSpec, int]]:
    """Every part that no note has yet with a note of its own that may become its: likely ones first.

    A maximum matching of parts to notes by augmenting paths (Kuhn 1955), so that no part goes without if it can be
    helped.
    """
    instrument, number = tokens[:, INSTRUMENT].cpu(), tokens[:, PART_NUMBER].cpu()
    taken = {pair for pair, counts in zip(_pairs(tokens), counted.tolist(), strict=True) if counts}
    missing = [part for part in asked if (part.instrument, part.part_number) not in taken]
    if not missing:
        return []
    log_instruments = torch.log_softmax(instruments, -1).cpu()
    log_numbers = torch.log_softmax(numbers, -1).cpu()
    hidden_instrument, hidden_number = instrument >= SIZES[INSTRUMENT], number >= SIZES[PART_NUMBER]
    wishes: list[list[int]] = []
    for part in missing:
        fits = (hidden_instrument | (instrument == part.instrument)) & (
            hidden_number | (number == part.part_number)
        )
        fits &= (hidden_instrument | hidden_number) & counted.cpu()
        score = torch.where(hidden_instrument, log_instruments[:, part.instrument], 0.0)
        score = score + torch.where(hidden_number, log_numbers[:, part.part_number], 0.0)
        order = score.nan_to_num(nan=-1e9, neginf=-1e9).argsort(descending=True, stable=True)
        wishes.append([note for note in order.tolist() if fits[note]])
    return [(missing[part], note) for note, part in _matching(wishes).items()]


def _pairs(tokens: Int[Tensor, "notes fields"]) -> list[tuple[int, int]]:
    """Instrument and part number of each note."""
    return [(pair[0], pair[1]) for pair in tokens[:, [INSTRUMENT, PART_NUMBER]].tolist()]


def _matching(wishes: Sequence[Sequence[int]]) -> dict[int, int]:
    """Who gets what, by what is given: as many as possible, each something of its wishes, first ones if free."""
    owner: dict[int, int] = {}

    def give(who: int, tried: set[int]) -> bool:
        for thing in wishes[who]:
            if thing not in tried:
                tried.add(thing)
                if thing not in owner or give(owner[thing], tried):
                    owner[thing] = who
                    return True
        return False

    for who in sorted(range(len(wishes)), key=lambda index: len(wishes[index])):
        give(who, set())
    return owner
