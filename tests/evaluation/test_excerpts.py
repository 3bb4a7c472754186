"""Excerpts keep their proportions, their place in the source, and their seed."""

from dataclasses import replace

import numpy as np
import pytest

from ondes.controls import Controls, Steps
from ondes.datasets.named import ScoreEntry
from ondes.errors import UserError
from ondes.evaluation import excerpts
from ondes.evaluation.excerpts import FAMILIES, GROUPS, SOLO_CYCLE, choose_excerpts, cut, shares
from ondes.score import Notes, Part, notes_to_score

VOICE, PIANO, VIOLIN, DRUMS = 53, 0, 40, None


def write_score(folder, name, programs, *, seed=0, seconds=90.0):
    """A score of one part a program, two notes a second each, in a file; its data set entry."""
    random = np.random.default_rng(seed)
    count = int(2 * seconds)
    onset_s = np.sort(np.tile(np.arange(count) / 2, len(programs)))
    part = np.tile(np.arange(len(programs)), count)
    parts = tuple(
        Part(f"part {k}", program or 0, program is None, Controls()) for k, program in enumerate(programs)
    )
    notes = Notes(
        onset_s=onset_s,
        release_s=onset_s + 0.4,
        key_release_s=onset_s + 0.4,
        pitch=random.integers(50, 80, len(onset_s)),
        velocity=np.full(len(onset_s), 80),
        program=np.array([part.program for part in parts])[part],
        is_drum=np.array([part.is_drum for part in parts])[part],
        part=part,
        parts=parts,
        duration_s=seconds,
    )
    path = folder / f"{name}.mid"
    notes_to_score(notes).dump_midi(str(path))
    rows = [{"program": p.program, "is_drum": p.is_drum, "name": p.name} for p in parts]
    return ScoreEntry(id=name, path=path, collection="test", parts=tuple(rows))


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    makings = {
        "piano": [PIANO, PIANO],
        "guitar": [24],
        "harpsichord": [6, 6],
        "organ": [19],
        "clarinet": [71],
        "song": [VOICE, PIANO, PIANO],
        "duet": [VOICE, VOICE, PIANO],
        "quartet": [VIOLIN, VIOLIN, 41, 42],
        "band": [DRUMS, 33, 30, 81],
    }
    return [write_score(folder, name, programs, seed=k) for k, (name, programs) in enumerate(makings.items())]


@pytest.fixture(scope="module")
def chosen(entries):
    """Excerpts of 12 s by their number."""
    return {count: choose_excerpts(entries, count=count, duration_s=12.0) for count in (8, 20)}


def test_forty_have_the_stated_proportions():
    assert shares(40) == {"solo": 16, "voice+piano": 12, "quartet": 6, "band": 6}
    assert shares(40) == GROUPS
    assert len(SOLO_CYCLE) == 16
    assert set(SOLO_CYCLE) == set(FAMILIES)


@pytest.mark.parametrize("count", [1, 4, 10, 17, 39, 80])
def test_other_totals_come_as_near_as_they_can(count):
    got = shares(count)
    assert sum(got.values()) == count
    assert all(abs(got[group] - count * share / 40) < 1 for group, share in GROUPS.items())


def test_excerpts_suit_their_groups(chosen):
    sources = {group: {e.source for e in chosen[20] if e.group == group} for group in GROUPS}
    assert sources["voice+piano"] == {"song"}
    assert sources["quartet"] == {"quartet"}
    assert sources["band"] == {"band"}
    for excerpt in chosen[20]:
        assert (~excerpt.notes.is_drum).sum() >= excerpts.FEWEST_ONSETS
        if excerpt.group == "solo":
            assert len(set(excerpt.notes.program)) == 1
            assert excerpt.notes.program[0] in FAMILIES[excerpt.family]


def test_two_staves_of_a_piano_are_one_instrument(chosen):
    piano = [e for e in chosen[8] if e.family == "piano"]
    assert piano
    assert all(len(e.notes.parts) == 2 for e in piano)


def test_a_violin_is_taken_out_of_its_quartet(chosen):
    (bowed,) = [e for e in chosen[8] if e.family == "bowed"]
    assert bowed.source == "quartet"
    assert len(bowed.notes.parts) == 1


@pytest.mark.slow
def test_equal_seeds_choose_equal_excerpts_and_other_seeds_others(entries, chosen):
    again, other = (choose_excerpts(entries, count=8, duration_s=12.0, seed=seed) for seed in (0, 1))
    assert [e.name for e in again] == [e.name for e in chosen[8]] != [e.name for e in other]


def test_excerpts_of_one_kind_and_source_do_not_overlap(chosen):
    songs = np.sort([e.start_s for e in chosen[20] if e.group == "voice+piano"])
    assert len(songs) >= 3
    assert np.diff(songs).min() >= 12.0


def test_excerpts_begin_with_a_note_and_end_in_time(chosen):
    for excerpt in chosen[20]:
        assert excerpt.notes.onset_s[0] == pytest.approx(excerpts.LEAD_IN_S, abs=1e-3)
        assert excerpt.notes.release_s.max() <= 12.0 + 1e-3
        assert excerpt.notes.duration_s == pytest.approx(12.0, abs=1e-3)


def test_cutting_drops_what_began_before_and_controls_after(make_notes):
    notes = make_notes([0.0, 1.0, 2.0, 3.0], [60, 61, 62, 63], length_s=1.5)
    volume = Steps(np.array([0.0, 1.2, 9.0]), np.array([90.0, 50.0, 10.0]), 100.0)
    notes = replace(notes, parts=(replace(notes.parts[0], controls=Controls(volume=volume)),))
    inside = cut(notes, 0.5, 2.0)
    assert inside.pitch.tolist() == [61, 62]
    assert inside.onset_s.tolist() == [0.5, 1.5]
    assert inside.release_s.tolist() == [2.0, 2.0]
    kept = inside.parts[0].controls.volume
    assert kept.times_s.tolist() == [-0.5, pytest.approx(0.7)]
    assert kept(np.array([0.1, 1.0])).tolist() == [90.0, 50.0]


def test_parts_are_read_from_the_scores_where_no_manifest_names_them(entries, chosen):
    bare = choose_excerpts([replace(entry, parts=()) for entry in entries], count=8, duration_s=12.0)
    assert [e.name for e in bare] == [e.name for e in chosen[8]]


def test_nothing_suitable_is_refused(tmp_path):
    sparse = write_score(tmp_path, "sparse", [PIANO], seconds=3.0)
    with pytest.raises(UserError, match=r"no excerpts of 20\.0 s with 20 notes among 1 scores"):
        choose_excerpts([sparse])
    with pytest.raises(UserError, match="give at least one"):
        choose_excerpts([sparse], count=0)
