"""Grooves, basses, chords, probes and the training scores made of them."""

import numpy as np
import pytest

from ondes.controls import Controls, Steps
from ondes.datasets.arrange import (
    add_bass,
    add_comping,
    add_drums,
    find_beat,
    harmony,
    lowest_pitches,
    make_band,
)
from ondes.datasets.grooves import GROOVES, groove_strokes
from ondes.datasets.named import folder_entries
from ondes.datasets.probes import probe_notes, probe_scores
from ondes.datasets.training_scores import excerpt, training_score
from ondes.errors import UserError
from ondes.representations.ranges import HIGH, LOW
from ondes.score import notes_to_score, read_score, to_notes


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def song(notes_of):
    """C, F, G, C in half notes of 1.2 s with a melody in eighths: quarter note 0.6 s."""
    rows = []
    for bar in range(12):
        root = (48, 53, 55, 48)[bar % 4]
        rows += [(1.2 * bar, 1.2 * bar + 1.2, root + step, 80, 0) for step in (0, 4, 7)]
        rows += [
            (1.2 * bar + 0.3 * i, 1.2 * bar + 0.3 * i + 0.3, 72 + (0, 4, 7, 4)[i], 80, 1) for i in range(4)
        ]
    return notes_of(rows, (0, 53))


@pytest.mark.parametrize("quarter_s", [0.4, 0.5, 0.6, 0.75])
def test_the_beat_of_an_exact_score_is_found(notes_of, quarter_s):
    steps = [0, 2, 4, 5, 6, 8, 10, 12, 13, 14, 15]
    rows = [(0.2 + quarter_s * (4 * bar + step / 4), 60.0, 60, 80, 0) for bar in range(8) for step in steps]
    beat = find_beat(notes_of(rows))
    ratio = beat.period_s / quarter_s
    assert min(abs(ratio - simple) for simple in (0.5, 1, 2)) < 0.01
    off = (beat.phase_s - 0.2) % (quarter_s / 2)
    assert min(off, quarter_s / 2 - off) < 0.02


def test_harmony_counts_seconds_of_each_pitch_class(song):
    weights = harmony(song, np.array([0.0, 1.2]), 1.2)
    assert weights[0, [0, 4, 7]] == pytest.approx([1.5, 1.8, 1.5])
    assert weights[0].sum() == pytest.approx(4.8)
    assert lowest_pitches(song, np.array([0.0, 1.2, 100.0]), 1.2).tolist() == [48, 53, -1]


def test_bass_plays_the_roots_low(song):
    band = add_bass(song, generator(), find_beat(song))
    bass = band.select(band.part == 2)
    assert bass.pitch.min() >= 28
    assert bass.pitch.max() < 52
    assert {0, 5, 7} <= set((bass.pitch % 12).tolist())


def test_chords_use_only_what_sounds(song):
    band = add_comping(song, generator(), find_beat(song))
    chords = band.select(band.part == 2)
    assert len(chords) > 10
    assert set((chords.pitch % 12).tolist()) <= {0, 4, 7, 5, 9, 11, 2}


def test_grooves_keep_the_beat_and_cover_the_kit():
    struck = set()
    for seed in range(150):
        strokes = groove_strokes(generator(seed), beat_s=0.5, start_s=0.1, end_s=20.0)
        assert all(0.1 <= time_s < 20.0 for time_s, _, _ in strokes)
        assert 30 < len(strokes) < 800
        struck |= {drum for _, drum, _ in strokes}
    assert set(range(35, 60)) <= struck


@pytest.mark.parametrize("name", GROOVES)
def test_voices_of_a_groove_have_one_length(name):
    groove = GROOVES[name]
    assert {len(groove.kick), len(groove.snare), len(groove.time)} == {12 if name.startswith("waltz") else 16}


def test_bands_always_gain_a_part_and_never_a_second_kit(song):
    drums = add_drums(song, generator(), find_beat(song))
    assert drums.parts[-1].is_drum
    for seed in range(20):
        assert len(make_band(song, generator(seed)).parts) > 2
        assert sum(part.is_drum for part in make_band(drums, generator(seed)).parts) == 1


def test_probes_cover_all_programs_and_drum_keys():
    dealt = probe_scores(generator())
    scores = [next(dealt) for _ in range(22)]
    assert {part.program for notes in scores for part in notes.parts if not part.is_drum} == set(range(128))
    many = [probe_notes(generator(seed), [-1], seconds=25.0) for seed in range(10)]
    assert {int(pitch) for notes in many for pitch in notes.pitch} == set(range(27, 88))
    assert all(notes.duration_s == 25.0 for notes in scores)
    for notes in scores:
        pitched = ~notes.is_drum
        assert (notes.pitch[pitched] >= LOW[notes.program[pitched]] - 5).all()
        assert (notes.pitch[pitched] <= np.minimum(HIGH[notes.program[pitched]] + 5 + 12, 127)).all()


def test_probes_cover_velocities_and_lengths():
    dealt = probe_scores(generator(1))
    scores = [next(dealt) for _ in range(22)]
    velocities = np.concatenate([notes.velocity for notes in scores])
    lengths_s = np.concatenate([notes.release_s - notes.onset_s for notes in scores])
    assert np.histogram(velocities, bins=4, range=(20, 128))[0].min() > len(velocities) / 8
    assert np.quantile(lengths_s, 0.1) < 0.15
    assert np.quantile(lengths_s, 0.9) > 1.0


def test_excerpts_restart_long_notes_and_clip_controllers(notes_of):
    controls = Controls(expression=Steps(np.array([1.0, 6.0, 30.0]), np.array([50.0, 90.0, 10.0]), 127.0))
    rows = [(0.0, 8.0, 60, 80, 0), (4.0, 5.1, 64, 80, 0), (6.0, 20.0, 67, 80, 0), (0.0, 1.0, 40, 80, 1)]
    piece = excerpt(notes_of(rows, (40, 42), (controls, Controls())), 5.0, 10.0)
    assert piece.pitch.tolist() == [60, 67]
    assert piece.onset_s == pytest.approx([0.0, 1.0])
    assert piece.release_s == pytest.approx([3.0, 10.0])
    assert len(piece.parts) == 1
    expression = piece.parts[0].controls.expression
    assert expression.times_s == pytest.approx([0.0, 1.0])
    assert expression.values == pytest.approx([50.0, 90.0])
    assert to_notes(notes_to_score(piece)).duration_s == pytest.approx(10.0)


@pytest.fixture
def folder(tmp_path, song):
    for name in ("a", "b"):
        (tmp_path / f"{name}.mid").write_bytes(bytes(notes_to_score(song).dumps_midi()))
    return tmp_path


def test_training_scores_last_as_long_as_asked_and_say_what_they_are(folder):
    entries = folder_entries(folder)
    sources = []
    for seed in range(12):
        score, source = training_score(entries, generator(seed), 8.0)
        notes = to_notes(read_score(bytes(score.dumps_midi())))
        assert notes.duration_s == pytest.approx(8.0, abs=1e-3)
        assert len(notes) > 4
        sources.append(source)
    assert {source["source_id"] for source in sources} >= {"a", "b"}
    assert all("licence" in source for source in sources)
    assert any(source.get("band") for source in sources)


def test_training_scores_are_a_function_of_the_seed(folder):
    entries = folder_entries(folder)
    once, again = (training_score(entries, generator(5), 8.0)[0].dumps_midi() for _ in range(2))
    assert once == again


def test_scores_without_notes_are_refused_as_training_material(tmp_path, notes_of):
    (tmp_path / "empty.mid").write_bytes(bytes(notes_to_score(notes_of([(0, 1, 60, 80, 0)])).dumps_midi()))
    with pytest.raises(UserError, match="almost empty"):
        training_score(folder_entries(tmp_path), generator(), 25.0, probe_share=0.0)
    with pytest.raises(UserError, match="no scores to draw from"):
        training_score([], generator(), 25.0, probe_share=0.0)
