from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ondes.representations.note_layout import inpainting_order, relaid
from ondes.representations.note_tokens import BAR, PITCH, SIZES


def test_hidden_notes_come_last_in_their_bar_and_bars_are_counted_anew() -> None:
    bar = np.array([0, 0, 0, 1, 1, 3])
    hidden = np.array([True, False, False, True, False, True])
    tokens = np.stack([np.diff(bar, prepend=0), *np.tile(np.arange(6), (6, 1))], 1)
    order = inpainting_order(bar, hidden)
    assert order.tolist() == [1, 2, 0, 4, 3, 5]
    moved = relaid(tokens, bar, order)
    assert moved[:, PITCH].tolist() == [1, 2, 0, 4, 3, 5]
    assert moved[:, BAR].tolist() == [0, 0, 0, 1, 0, 2]
    assert tokens[:, BAR].tolist() == [0, 0, 0, 1, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_the_bar_of_every_note_stays(rows: list[tuple[int, bool]]) -> None:
    rows.sort(key=lambda row: row[0])
    bar = np.array([number for number, _ in rows])
    hidden = np.array([flag for _, flag in rows])
    tokens = np.zeros((len(rows), len(SIZES)), np.int64)
    tokens[:, PITCH] = np.arange(len(rows))
    moved = relaid(tokens, bar, inpainting_order(bar, hidden))
    if np.diff(bar, prepend=0).max() < SIZES[BAR]:
        assert np.array_equal(bar[moved[:, PITCH]], np.cumsum(moved[:, BAR]))
    for number in np.unique(bar):
        inside = moved[:, PITCH][bar[moved[:, PITCH]] == number]
        assert np.array_equal(inside, sorted(inside, key=lambda note: (hidden[note], note)))
