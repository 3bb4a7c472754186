"""No part strikes a key twice at once: what the rule forbids, and what is drawn again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ondes.pipelines.composer_doubles import no_doubles
from ondes.pipelines.composer_rules import broken, constraint_of, drawn_within
from ondes.representations.note_tokens import BAR, PITCH, POSITION, SIZES

HIDDEN = torch.tensor(SIZES)
ALL = np.ones(4, np.bool_)


def _notes(*places: tuple[int, int, int, int]) -> Tensor:
    """Notes of (bar step, position, pitch, part number) of a violin."""
    rows = [[step, place, pitch, 5, 8, 40, number] for step, place, pitch, number in places]
    return torch.tensor([rows])


def test_the_later_of_two_alike_is_drawn_again_in_place_and_pitch() -> None:
    tokens = _notes((0, 0, 60, 0), (0, 0, 60, 0), (0, 0, 60, 1), (1, 0, 60, 0))
    again = broken([no_doubles(ALL)], tokens, torch.ones_like(tokens, dtype=torch.bool))
    wanted = torch.zeros_like(again)
    wanted[0, 1, [PITCH, POSITION]] = True
    assert (again == wanted).all()


def test_what_is_there_stays_and_the_new_note_gives_way() -> None:
    tokens = _notes((0, 0, 60, 0), (0, 0, 60, 0))
    free = torch.zeros_like(tokens, dtype=torch.bool)
    free[:, 0] = True
    again = broken([no_doubles(np.array([True, False]))], tokens, free)
    assert again[0, 0, PITCH]
    assert not again[0, 1].any()


def test_a_hidden_pitch_and_a_hidden_place_avoid_what_is_known() -> None:
    tokens = _notes((0, 0, 60, 0), (0, 0, 64, 0), (0, 24, 64, 0), (0, 0, 60, 0))
    tokens[0, 3, PITCH] = SIZES[PITCH]
    allowed = no_doubles(ALL).allowed(tokens)
    assert torch.nonzero(~allowed[PITCH][0, 3]).flatten().tolist() == [60, 64]
    tokens = _notes((0, 0, 60, 0), (0, 0, 64, 0), (0, 24, 64, 0), (0, 0, 64, 0))
    tokens[0, 3, POSITION] = SIZES[POSITION]
    allowed = no_doubles(ALL).allowed(tokens)
    assert torch.nonzero(~allowed[POSITION][0, 3]).flatten().tolist() == [0, 24]


def test_nobody_avoids_a_note_whose_bar_is_not_known() -> None:
    tokens = _notes((0, 0, 60, 0), (0, 0, 60, 0))
    tokens[0, 1, BAR] = SIZES[BAR]
    assert all(bool(mask.all()) for mask in no_doubles(ALL[:2]).allowed(tokens).values())


def test_a_sampler_that_repeats_itself_ends_with_different_notes() -> None:
    rules = [no_doubles(ALL)]
    tokens = HIDDEN.repeat(1, 4, 1)
    tokens[..., BAR] = 0

    def sample(known: Tensor, number: int) -> Tensor:
        # Without a chance the first class that is allowed, for all notes at once; the pitch in a second step.
        for last in (False, True):
            logits = tuple(torch.zeros(1, 4, size) for size in SIZES)
            answer = constraint_of(rules)(known, logits)
            drawn = torch.stack([values.argmax(-1) for values in answer], -1)
            now = (known == HIDDEN) & ((torch.arange(len(SIZES)) != PITCH) | last)
            known = torch.where(now, drawn, known)
        return known

    drawn = drawn_within(sample, tokens, rules, sizes=SIZES)
    assert len({tuple(row) for row in drawn[0].tolist()}) == 4
