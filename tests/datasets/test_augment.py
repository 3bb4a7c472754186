"""Augmentation: what each variation changes, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from ondes.controls import Controls, Steps
from ondes.datasets.augment import (
    add_pedal,
    articulate,
    change_tempo,
    humanise_timing,
    humanise_velocity,
    mix,
    perform,
    revoice,
    separate,
    transpose,
    with_programs,
)
from ondes.datasets.instruments import PROGRAM_WEIGHTS, draw_program, to_register
from ondes.representations.ranges import HIGH, LOW
from ondes.score import notes_to_score, to_notes


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def quartet(notes_of):
    rows = [(0.5 * i, 0.5 * i + 0.5, 76 - 9 * part + i % 5, 80, part) for i in range(40) for part in range(4)]
    return notes_of(rows, (40, 40, 41, 42))


def test_transposing_moves_all_but_drums_and_stays_in_range(notes_of):
    notes = notes_of([(0, 1, 60, 80, 0), (0, 1, 126, 80, 0), (0, 1, 42, 80, 1)], (0, -1))
    assert sorted(transpose(notes, 3).pitch.tolist()) == [42, 63, 117]


def test_tempo_scales_notes_and_controllers_together(notes_of):
    swell = Controls(expression=Steps(np.array([1.0, 2.0]), np.array([50.0, 100.0]), 127.0))
    fast = change_tempo(notes_of([(1.0, 2.0, 60, 80, 0)], (40,), (swell,)), 1.25)
    assert fast.onset_s == pytest.approx([0.8])
    assert fast.release_s == pytest.approx([1.6])
    assert fast.parts[0].controls.expression.times_s == pytest.approx([0.8, 1.6])
    assert fast.duration_s == pytest.approx(1.6)


def test_every_program_can_be_drawn_and_familiar_families_are_common():
    assert PROGRAM_WEIGHTS.sum() == pytest.approx(1)
    assert PROGRAM_WEIGHTS.min() > 0.001
    families = PROGRAM_WEIGHTS.reshape(16, 8).sum(axis=1)
    assert families[0] > 0.1
    assert families[15] < 0.02


def test_a_low_part_is_rarely_given_a_piccolo():
    draws = [draw_program(generator(seed), near_pitch=40.0) for seed in range(400)]
    assert np.mean([LOW[program] <= 40 <= HIGH[program] for program in draws]) > 0.8


def test_registers_are_met_by_octaves():
    pitches = np.array([30, 34, 37, 60, 100])
    moved = to_register(pitches, 73)
    assert ((moved - pitches) % 12 == 0).all()
    assert moved.min() >= LOW[73]
    assert moved.max() <= HIGH[73]
    assert to_register(np.array([60, 64, 67]), 0).tolist() == [60, 64, 67]


def test_new_programs_leave_unchanged_parts_where_they_are(quartet):
    changed = with_programs(quartet, [40, 73, 41, 42])
    assert changed.program[changed.part == 1].tolist() == [73] * 40
    kept = quartet.part != 1
    assert (changed.pitch[kept] == quartet.pitch[kept]).all()


def test_natural_programs_stay_in_their_family(quartet):
    for seed in range(20):
        programs = [part.program for part in revoice(quartet, generator(seed), natural=True).parts]
        assert {program // 8 for program in programs} == {5}
    random = {
        part.program for seed in range(30) for part in revoice(quartet, generator(seed), natural=False).parts
    }
    assert len(random) > 25


def test_timing_is_human_keeps_lengths_and_order(quartet):
    moved = humanise_timing(quartet, generator())
    assert 0.001 < np.std(moved.onset_s - quartet.onset_s) < 0.03
    assert moved.onset_s.min() >= 0
    assert (np.diff(moved.onset_s) >= 0).all()
    assert sorted(moved.release_s - moved.onset_s) == pytest.approx([0.5] * 160)


def test_spread_chords_rise(notes_of):
    chords = notes_of([(i, i + 0.5, pitch, 80, 0) for i in range(30) for pitch in (48, 55, 64, 72)], (24,))
    spreads = []
    for seed in range(40):
        moved = humanise_timing(chords, generator(seed))
        low, high = moved.onset_s[moved.pitch == 48], moved.onset_s[moved.pitch == 72]
        spreads.append(np.median(high - low))
    assert 0.1 < np.mean(np.array(spreads) > 0.008) < 0.6
    assert min(spreads) > -0.01


def test_flat_velocities_become_varied_and_stay_between_20_and_127(quartet):
    for seed in range(20):
        velocity = humanise_velocity(quartet, generator(seed)).velocity
        assert velocity.min() >= 20
        assert velocity.max() <= 127
        assert velocity.std() > 1
    means = [humanise_velocity(quartet, generator(seed)).velocity.mean() for seed in range(40)]
    assert np.ptp(means) > 30


def test_written_accents_survive(notes_of):
    notes = notes_of([(0.25 * i, 0.25 * i + 0.2, 60, 110 if i % 4 == 0 else 50, 0) for i in range(200)])
    rises = []
    for seed in range(20):
        velocity = humanise_velocity(notes, generator(seed)).velocity
        rises.append(velocity[::4].mean() - np.delete(velocity, slice(None, None, 4)).mean())
    assert np.mean(np.array(rises) > 8) > 0.7


def test_touch_changes_lengths_but_not_onsets_or_drums(notes_of):
    rows = [(0.5 * i, 0.5 * i + 0.4, 60, 80, part) for i in range(60) for part in range(2)]
    notes = notes_of(rows, (0, -1))
    touched = articulate(notes, generator(0))
    assert (touched.onset_s == notes.onset_s).all()
    length_s = touched.release_s - touched.onset_s
    assert length_s[notes.is_drum] == pytest.approx(0.4)
    assert length_s[~notes.is_drum].min() >= 0.03
    assert length_s[~notes.is_drum].std() > 0.02


def test_pedal_lengthens_piano_notes_only(notes_of):
    rows = [(0.25 * i, 0.25 * i + 0.1, 40 + i % 40, 80, part) for i in range(80) for part in range(2)]
    pedalled = add_pedal(notes_of(rows, (0, 73)), generator(), chance=1.0)
    notes = to_notes(notes_to_score(pedalled))
    length_s = notes.release_s - notes.onset_s
    assert np.median(length_s[notes.part == 0]) > 0.2
    assert length_s[notes.part == 1] == pytest.approx(0.1, abs=1e-3)


def test_mixes_differ_and_keep_the_scores_own_swells(notes_of):
    swell = Steps(np.array([0.0, 1.0]), np.array([60.0, 120.0]), 127.0)
    notes = notes_of(
        [(0, 4, 60, 80, 0), (0, 4, 60, 80, 1)], (40, 0), (Controls(expression=swell), Controls())
    )
    mixes = [mix(notes, generator(seed)) for seed in range(40)]
    assert all(m.parts[0].controls.expression is swell for m in mixes)
    pans = np.array([float(m.parts[0].controls.pan(0.0)) for m in mixes])
    gains = np.array([float(m.parts[1].controls.gain_db(0.0)) for m in mixes])
    assert pans.std() > 0.2
    assert -8 < gains.min() < gains.max() < 3.2


def test_separate_leaves_one_note_a_key(notes_of):
    notes = notes_of(
        [(0.0, 2.0, 60, 80, 0), (0.004, 1.0, 60, 70, 0), (0.5, 1.0, 60, 80, 0), (0.0, 2.0, 60, 80, 1)], (0, 0)
    )
    apart = separate(notes)
    assert len(apart) == 3
    own = apart.select(apart.part == 0)
    assert own.key_release_s == pytest.approx([0.495, 1.0])
    assert apart.release_s[apart.part == 1] == pytest.approx([2.0])


def test_performances_survive_a_midi_file(quartet):
    for seed in range(5):
        played = perform(quartet, generator(seed), natural=False)
        back = to_notes(notes_to_score(played))
        assert len(back) == len(played)
        assert back.velocity.min() >= 20


def test_the_seed_decides_everything(quartet):
    once, again, other = (perform(quartet, generator(seed), natural=False) for seed in (1, 1, 2))
    assert (once.onset_s == again.onset_s).all()
    assert (once.velocity == again.velocity).all()
    assert not np.array_equal(once.onset_s, other.onset_s)


def test_nothing_to_vary_is_no_error(notes_of):
    empty = replace(notes_of([]), duration_s=5.0)
    assert len(perform(empty, generator(), natural=False)) == 0
