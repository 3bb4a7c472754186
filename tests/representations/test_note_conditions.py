from __future__ import annotations

import numpy as np
import pytest
import torch

from ondes.representations.keys import Key
from ondes.representations.metres import Metre
from ondes.representations.note_conditions import (
    METRE_NAMES,
    NoteConditions,
    conditions_of,
    density_class,
    length_class,
    style_of,
    tempo_class,
    to_condition_tensors,
)
from ondes.representations.note_sequence import DRUMS, BarTable, NoteSequence

STYLES = ("bach", "mozart", "lieder")


def scale(
    tonic: int = 62, *, bars: int = 4, instruments: tuple[int, ...] = (0,), bpm: float = 90.0
) -> NoteSequence:
    """A D major scale in quarters of 3/4, in each part, ending on its tonic."""
    steps = np.array([0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 7, 0])[: 3 * bars]
    part = np.repeat(np.arange(len(instruments)), len(steps))
    beat = np.tile(np.arange(len(steps)), len(instruments))
    own = np.array([list(instruments[:index]).count(program) for index, program in enumerate(instruments)])
    count = len(beat)
    return NoteSequence(
        bar=beat // 3,
        position=beat % 3 * 24,
        offset=np.zeros(count, np.int64),
        pitch=tonic + np.tile(steps, len(instruments)),
        duration_steps=np.full(count, 24),
        velocity=np.zeros(count, np.int64),
        instrument=np.array(instruments)[part],
        part_number=own[part],
        track=part,
        index=beat,
        bars=BarTable.constant(bars, numerator=3, bpm=bpm),
    ).sorted()


def test_a_piece_tells_its_key_metre_tempo_density_length_and_parts() -> None:
    known = conditions_of(scale(instruments=(40, 40, 42)), style="mozart")
    assert known.key == Key(2, "major")
    assert known.metre == Metre(3, 4)
    assert known.tempo_bpm == pytest.approx(90)
    assert known.density_per_quarter == pytest.approx(36 / 11)
    assert known.bars == 4
    assert known.instruments == (40, 40, 42)
    assert known.style == "mozart"


@pytest.mark.parametrize("semitones", [-5, 1, 4])
def test_the_key_goes_with_a_transposition_and_nothing_else_does(semitones: int) -> None:
    before, after = conditions_of(scale()), conditions_of(scale().transposed(semitones))
    assert before.key is not None
    assert after.key == before.key.transposed(semitones)
    assert after.instruments == before.instruments
    assert after.density_per_quarter == before.density_per_quarter


def test_drums_have_no_key_and_a_piece_of_two_metres_no_metre() -> None:
    drums = scale(instruments=(DRUMS,))
    assert conditions_of(drums).key is None
    bars = drums.bars
    mixed = BarTable(**{**vars(bars), "numerator": np.array([3, 3, 2, 2])})
    changed = NoteSequence(**{**vars(drums), "bars": mixed})
    assert conditions_of(changed).metre is None
    assert conditions_of(drums.select(np.zeros(0, np.int64)), style="bach") == NoteConditions(style="bach")


def test_what_is_unknown_is_zero_and_everything_else_has_its_class() -> None:
    rows = to_condition_tensors([NoteConditions(), conditions_of(scale(), style="lieder")], styles=STYLES)
    classes = {name: values.tolist() for name, values in rows.items() if name != "ensemble"}
    assert classes == {
        "key": [0, 3],
        "metre": [0, METRE_NAMES.index("3/4") + 1],
        "tempo": [0, 9],
        "density": [0, 3],
        "style": [0, 3],
        "length": [0, 5],
        "ensemble_known": [False, True],
    }
    assert rows["ensemble"].sum(1).tolist() == [0, 1]
    assert rows["ensemble"].dtype == torch.float32


def test_parts_of_one_instrument_are_counted() -> None:
    rows = to_condition_tensors([NoteConditions(instruments=(40, 40, 42, DRUMS))])
    counts = rows["ensemble"][0]
    assert counts[[40, 42, 128]].tolist() == [2, 1, 1]
    assert float(counts.sum()) == 4


def test_names_that_a_network_does_not_know_are_unknown() -> None:
    rows = to_condition_tensors([NoteConditions(style="satie", metre=Metre(11, 8))], styles=STYLES)
    assert rows["style"].tolist() == rows["metre"].tolist() == [0]


@pytest.mark.parametrize(
    ("classes", "edges"),
    [
        (tempo_class, [(10, 1), (30, 1), (34.1, 1), (34.4, 2), (120, 11), (239, 16), (500, 16)]),
        (density_class, [(0.01, 1), (0.5, 1), (0.72, 2), (1, 3), (2, 5), (31, 12), (100, 12)]),
        (length_class, [(1, 1), (1.5, 2), (2, 3), (8, 7), (63, 12), (500, 12)]),
    ],
)
def test_classes_are_even_in_the_logarithm(classes: object, edges: list[tuple[float, int]]) -> None:
    assert callable(classes)
    assert [classes(value) for value, _ in edges] == [number for _, number in edges]
    assert classes(None) == 0


@pytest.mark.parametrize(
    ("composer", "collection", "style"),
    [
        ("Bach, Johann Sebastian", "mutopia", "bach"),
        ("BachJS", "mutopia", "bach"),
        ("Johann Sebastian BACH (1685 - 1750)", "mutopia", "bach"),
        ("Bacharach, Burt", "mutopia", None),
        ("Wolf, Hugo", "lieder", "lieder"),
        ("Mozart, Wolfgang Amadeus", "lieder", "mozart"),
        ("", "elsewhere", None),
    ],
)
def test_a_style_is_a_composer_or_else_a_collection(
    composer: str, collection: str, style: str | None
) -> None:
    assert style_of(composer, collection, STYLES) == style
