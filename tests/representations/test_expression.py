"""Expression: each rule's numbers, what is left alone, and the same seed giving the same loudness."""

from dataclasses import replace

import numpy as np
import pytest

from ondes.representations import expression
from ondes.representations.expression import (
    MEAN_VELOCITY,
    arch_db,
    height_db,
    melody_db,
    metrical_db,
    phrase_bounds,
    shaped,
    skyline,
    velocity_at,
)
from ondes.representations.note_sequence import DRUMS, BarTable, NoteSequence


def notes(rows, *, bars=None, numerator=4, denominator=4):
    """Notes of (bar, position, pitch, duration, instrument), all of unknown loudness."""
    bar, position, pitch, duration, instrument = np.array(rows, np.int64).reshape(-1, 5).T
    count = int(bar.max(initial=0)) + 1 if bars is None else bars
    none = np.zeros_like(bar)
    return NoteSequence(
        bar=bar,
        position=position,
        offset=none,
        pitch=pitch,
        duration_steps=duration,
        velocity=none,
        instrument=instrument,
        part_number=none,
        track=none,
        index=none - 1,
        bars=BarTable.constant(count, numerator=numerator, denominator=denominator),
    ).sorted()


def piece(bars=16, seed=0):
    """A melody of eighths over two chords a bar."""
    random = np.random.default_rng(seed)
    rows = [(bar, 12 * i, 72 + int(random.integers(12)), 12, 73) for bar in range(bars) for i in range(8)]
    rows += [(bar, 48 * i, pitch, 48, 0) for bar in range(bars) for i in range(2) for pitch in (48, 55, 64)]
    return notes(rows)


def test_accents_follow_the_metre():
    beats = [(0, step, 60, 12, 0) for step in (0, 12, 24, 48, 51)]
    assert metrical_db(notes(beats)).tolist() == [2.0, -1.0, 0.0, 1.0, -1.5]
    six_eight = notes([(0, 12 * i, 60, 12, 0) for i in range(6)], numerator=6, denominator=8)
    assert metrical_db(six_eight).tolist() == [2.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    assert metrical_db(notes([(0, 0, 36, 12, DRUMS)])).tolist() == [3.0]


def test_a_metre_of_no_kind_has_an_accent_at_its_beginning():
    odd = notes([(0, 0, 60, 4, 0), (0, 12, 60, 4, 0)])
    bars = replace(odd.bars, numerator=np.array([7]), denominator=np.array([12]))
    assert metrical_db(replace(odd, bars=bars)).tolist() == [2.0, -1.5]


def test_an_octave_above_the_middle_of_the_part_is_three_decibels():
    rows = [(0, 0, 48, 24, 0), (0, 24, 72, 24, 0), (0, 48, 90, 24, 40), (0, 72, 36, 24, DRUMS)]
    assert height_db(notes(rows)).tolist() == [-3.0, 3.0, 0.0, 0.0]
    far = notes([(0, 0, 20, 24, 0), (0, 24, 100, 24, 0)])
    assert height_db(far).tolist() == [-3.0, 3.0]


def test_the_melody_is_what_nothing_sounds_above():
    held = notes(
        [
            (0, 0, 76, 48, 40),  # melody
            (0, 0, 60, 96, 0),  # below it
            (0, 24, 64, 24, 0),  # still below it
            (0, 48, 70, 24, 0),  # the melody has ended
            (0, 48, 90, 24, DRUMS),  # no pitch
            (0, 60, 70, 12, 41),  # in unison with what sounds
        ]
    )
    assert skyline(held).tolist() == [False, True, False, True, False, True]
    assert melody_db(held).tolist() == [-2.0, 2.0, -2.0, 2.0, 0.0, 2.0]


def brute_skyline(sequence):
    onset, end = sequence.onset_quarters, sequence.onset_quarters + sequence.duration_quarters
    together = (onset[None] <= onset[:, None]) & (end[None] > onset[:, None])
    return ~(together & (sequence.pitch[None] > sequence.pitch[:, None])).any(1)


def test_the_skyline_is_that_of_its_definition():
    random = np.random.default_rng(1)
    rows = np.stack(
        [random.integers(0, high, 200) for high in (8, 96, 60)]
        + [random.integers(1, 90, 200), np.zeros(200, int)]
    ).T
    sequence = notes(rows)
    assert skyline(sequence).tolist() == brute_skyline(sequence).tolist()


def test_phrases_end_where_least_happens():
    busy = [(bar, 12 * i, 60, 12, 0) for bar in range(16) for i in range(8)]
    assert phrase_bounds(notes(busy)).tolist() == [0, 4, 8, 12, 16]
    rests = [row for row in busy if not (row[0] in (2, 7) and row[1] >= 72)]
    assert phrase_bounds(notes(rests)).tolist() == [0, 3, 8, 12, 16]
    assert phrase_bounds(notes(busy, bars=30))[-1] == 30
    assert phrase_bounds(notes([], bars=1)).tolist() == [0, 1]


def test_arches_rise_from_the_ends_of_phrases_to_one_top():
    line = notes([(bar, 12 * i, 60, 12, 0) for bar in range(16) for i in range(8)])
    level_db = arch_db(line, np.random.default_rng(0))
    assert level_db[0] == pytest.approx(-expression.PHRASE_DB - expression.PERIOD_DB)
    for phrase in level_db.reshape(4, 32):
        top = int(phrase.argmax())
        assert 12 <= top <= 26
        assert phrase.max() - phrase[0] > 2.0
    assert level_db.max() <= 0.0


def test_level_is_forty_times_the_logarithm_of_velocity():
    levels = velocity_at(np.array([0.0, 40 * np.log10(2), -40 * np.log10(2)]))
    assert levels == pytest.approx([MEAN_VELOCITY, 2 * MEAN_VELOCITY, MEAN_VELOCITY / 2])


def test_a_piece_comes_alive_and_keeps_its_mean_level():
    sequence = piece()
    alive = shaped(sequence, seed=1)
    level_db = 40 * np.log10(alive.velocity / MEAN_VELOCITY)
    assert abs(level_db.mean()) < 0.05
    assert 2.2 < level_db.std() < 3.6  # as in the middle half of the corpus's files that write loudness
    assert len(np.unique(alive.velocity)) > 30
    flute = alive.instrument == 73
    assert alive.velocity[flute].mean() - alive.velocity[~flute].mean() > 10
    assert np.array_equal(alive.pitch, sequence.pitch)


def test_the_seed_decides_and_k_scales():
    sequence = piece()
    once, again, other = (shaped(sequence, seed=seed).velocity for seed in (3, 3, 4))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert set(shaped(sequence, seed=3, k=0.0).velocity.tolist()) == {MEAN_VELOCITY}
    half = 40 * np.log10(shaped(sequence, seed=3, k=0.5).velocity / MEAN_VELOCITY)
    np.testing.assert_allclose(half, 20 * np.log10(once / MEAN_VELOCITY), atol=0.4)
    with pytest.raises(ValueError, match="k is -1"):
        shaped(sequence, seed=0, k=-1.0)


def test_known_velocities_stay():
    sequence = piece()
    known = np.where(np.arange(len(sequence)) % 2, 33, 0)
    alive = shaped(replace(sequence, velocity=known), seed=0)
    assert (alive.velocity[known > 0] == 33).all()
    assert (alive.velocity[known == 0] != 33).any()
    told = replace(sequence, velocity=np.full(len(sequence), 90))
    assert shaped(told, seed=0) is told


def test_extremes_stay_playable():
    loud = shaped(piece(), seed=0, k=20.0)
    assert (loud.velocity.min(), loud.velocity.max()) == (expression.SOFTEST, expression.LOUDEST)
    assert len(shaped(notes([], bars=2), seed=0)) == 0
