from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import grid_sequences, score_of, sequence_of

from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import NoteSequence, to_note_sequence
from ondes.representations.note_tokens import (
    DURATION_STEPS,
    FIELDS,
    SIZES,
    NoteTokenSpec,
    duration_class,
    from_tokens,
    to_tokens,
)

FINE = NoteTokenSpec(unquantised=True)


def test_a_note_is_seven_tokens() -> None:
    rows = [(1, 30, 60, 24, 100, 40, 1), (1, 36, 62, 36, 0, 128, 0), (4, 0, 64, 384, 127, 0, 3)]
    assert to_tokens(sequence_of(rows, BarTable.constant(5))).tolist() == [
        [1, 30, 60, 23, 12, 40, 1],
        [0, 36, 62, 29, 16, 128, 0],
        [3, 0, 64, 63, 15, 0, 3],
    ]
    assert len(FIELDS) == len(SIZES) == 7


def test_what_has_no_class_takes_the_nearest() -> None:
    rows = [(20, 300, 60, 400, 64, 0, 0)]
    tokens = to_tokens(sequence_of(rows, BarTable.constant(21)))
    assert tokens[0].tolist()[:4] == [7, 191, 60, 63]
    lengths = np.array([1, 24, 25, 26, 29, 34, 34.9, 70, 1000])
    assert DURATION_STEPS[duration_class(lengths)].tolist() == [1, 24, 24, 27, 30, 33, 36, 72, 384]


def test_classes_are_the_nearest_by_ratio() -> None:
    lengths = np.linspace(0.05, 500, 3001)
    nearest = np.abs(np.log(lengths[:, None] / DURATION_STEPS)).argmin(axis=1)
    assert (duration_class(lengths) == nearest).all()
    assert len(DURATION_STEPS) == SIZES[3]
    assert (np.diff(DURATION_STEPS) > 0).all()


@settings(max_examples=30)
@given(grid_sequences())
def test_notes_on_the_grid_come_back_from_their_tokens(sequence: NoteSequence) -> None:
    again = from_tokens(to_tokens(sequence), sequence.bars)
    for name in (
        "bar",
        "position",
        "offset",
        "pitch",
        "duration_steps",
        "velocity",
        "instrument",
        "part_number",
    ):
        assert getattr(again, name).tolist() == getattr(sequence, name).tolist(), name
    assert again.bars is sequence.bars


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 9000), st.integers(1, 7680), st.integers(0, 127), st.integers(1, 127)),
        min_size=1,
        max_size=12,
    )
)
def test_unquantised_tokens_keep_onsets_exactly_and_lengths_nearly(
    notes: list[tuple[int, int, int, int]],
) -> None:
    sequence = to_note_sequence(score_of(notes), quantise=False)
    again = from_tokens(to_tokens(sequence, spec=FINE), sequence.bars, spec=FINE)
    np.testing.assert_array_equal(again.onset_quarters, sequence.onset_quarters)
    error = np.abs(again.duration_steps - sequence.duration_steps)
    # Half of the widest class's tenth: 0.05 steps up to a quarter note, then 1/18 of the distance to the neighbour.
    assert (error <= 0.08 + sequence.duration_steps * 0.01).all()


@pytest.mark.parametrize("steps", DURATION_STEPS.tolist())
def test_lengths_of_a_class_are_exact_without_quantising(steps: int) -> None:
    sequence = sequence_of([(0, 0, 60, steps, 64, 0, 0)], BarTable.constant(1))
    tokens = to_tokens(sequence, spec=FINE)
    assert tokens.tolist()[0][-2:] == [10, 10]
    assert from_tokens(tokens, sequence.bars, spec=FINE).duration_steps.tolist() == [steps]


def test_a_position_behind_its_bar_sounds_in_the_next() -> None:
    tokens = np.array([[0, 100, 60, 5, 8, 0, 0], [0, 191, 60, 5, 8, 0, 0]])
    sequence = from_tokens(tokens, BarTable.constant(1, numerator=2))
    assert sequence.bar.tolist() == [2, 3]
    assert sequence.position.tolist() == [4, 47]
    assert sequence.onset_quarters.tolist() == [100 / 24, 191 / 24]


def test_bars_count_from_the_first_and_the_table_grows() -> None:
    tokens = np.array([[0, 0, 60, 5, 16, 0, 0], [2, 0, 60, 5, 8, 0, 0]])
    sequence = from_tokens(tokens, BarTable.constant(1, numerator=3), first_bar=2)
    assert sequence.bar.tolist() == [2, 4]
    assert sequence.bars.start_quarters.tolist() == [0, 3, 6, 9, 12]
    assert sequence.velocity.tolist() == [80, 68]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [(2, 128, "pitch 128 of note 1"), (0, -1, "bar -1"), (4, 17, "velocity 17"), (6, 4, "part_number 4")],
)
def test_hidden_and_impossible_tokens_are_refused(column: int, value: int, words: str) -> None:
    tokens = np.array([[0, 0, 60, 5, 8, 0, 0]])
    tokens[0, column] = value
    with pytest.raises(ValueError, match=words):
        from_tokens(tokens, BarTable.constant(1))


def test_tokens_of_another_spec_are_refused() -> None:
    with pytest.raises(ValueError, match="7 tokens a note; give 9"):
        from_tokens(np.array([[0, 0, 60, 5, 8, 0, 0]]), BarTable.constant(1), spec=FINE)


def test_the_spec_survives_its_config() -> None:
    assert NoteTokenSpec.from_config(FINE.to_config()) == FINE
    assert FINE.hidden.tolist() == [*SIZES, 20, 20]
    with pytest.raises(ValueError, match="unquantised"):
        NoteTokenSpec.from_config({"fine": True})
