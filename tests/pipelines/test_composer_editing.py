"""Edits of a score change what they name and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from symusic.core import (
    ControlChangeTick,
    NoteTick,
    PedalTick,
    PitchBendTick,
    ScoreTick,
    TempoTick,
    TextMetaTick,
    TimeSignatureTick,
    TrackTick,
)

from ondes.errors import UserError
from ondes.pipelines.composer_editing import (
    TickNotes,
    edited,
    find_track,
    listed_tracks,
    tracks_with_notes,
    with_track,
    without_collisions,
)
from ondes.score import read_score


def rich_score() -> ScoreTick:
    """Two parts with everything a score can hold, and an empty track between them."""
    score = ScoreTick(96)
    score.tempos.append(TempoTick(0, 90.0))
    score.tempos.append(TempoTick(200, 140.0))
    score.time_signatures.append(TimeSignatureTick(0, 3, 4))
    score.markers.append(TextMetaTick(50, "here"))
    for name, program, is_drum in (("Lead", 40, False), ("Empty", 5, False), ("Kit", 0, True)):
        track = TrackTick(name, program, is_drum)
        if name != "Empty":
            for row in range(6):
                track.notes.append(NoteTick(row * 48 + 1, 40 + row, 60 + row, 70 + row))
        track.controls.append(ControlChangeTick(3, 7, 99))
        track.pitch_bends.append(PitchBendTick(9, -300))
        track.pedals.append(PedalTick(5, 60))
        score.tracks.append(track)
    return score


def ticks(*rows: tuple[int, int, int, int, int]) -> TickNotes:
    """Notes from rows of track, time, duration, pitch, velocity."""
    return TickNotes(*np.array(rows, np.int64).reshape(-1, 5).T)


def test_no_edit_is_an_equal_score_that_is_another_object() -> None:
    score = rich_score()
    copy = edited(score)
    assert copy == score
    copy.tracks[0].notes.append(NoteTick(0, 1, 1, 1))
    assert copy != score


def test_an_edit_of_one_track_leaves_every_attribute_of_the_rest() -> None:
    score = rich_score()
    gone = np.array([False, True, False, False, True, False])
    result = edited(score, removed={0: gone}, added=ticks((0, 10, 5, 90, 64)))
    assert score == rich_score()
    assert result.tracks[1:] == score.tracks[1:]
    assert result.tempos == score.tempos
    assert result.markers == score.markers
    assert result.time_signatures == score.time_signatures
    before, after = score.tracks[0], result.tracks[0]
    assert (after.controls, after.pitch_bends, after.pedals, after.name) == (
        before.controls,
        before.pitch_bends,
        before.pedals,
        before.name,
    )
    kept = [note for row, note in enumerate(before.notes) if not gone[row]]
    assert [note for note in after.notes if note.pitch != 90] == kept
    assert NoteTick(10, 5, 90, 64) in list(after.notes)
    assert np.all(np.diff(after.notes.numpy()["time"]) >= 0)


def test_a_new_note_gives_way_to_notes_of_its_pitch() -> None:
    kept = ticks((0, 100, 50, 60, 80), (0, 300, 50, 60, 80))
    new = ticks(
        (0, 120, 10, 60, 1),  # begins inside a kept note
        (0, 100, 10, 61, 2),  # another pitch: free
        (0, 200, 500, 60, 3),  # reaches into the kept note at 300
        (0, 180, 90, 60, 4),  # reaches into the new note at 200
        (0, 180, 95, 60, 5),  # begins with the one before
        (0, 300, 10, 60, 6),  # begins with a kept note
    )
    fitting = without_collisions(kept, new)
    found = sorted(zip(fitting.time, fitting.duration, fitting.pitch, fitting.velocity, strict=True))
    assert found == [(100, 10, 61, 2), (180, 20, 60, 4), (200, 100, 60, 3)]


NOTE = st.tuples(st.just(0), st.integers(0, 60), st.integers(1, 40), st.integers(60, 62), st.integers(1, 127))


@given(st.lists(NOTE, max_size=8), st.lists(NOTE, max_size=12))
def test_notes_that_stay_come_back_from_a_file_as_they_were(
    old: list[tuple[int, int, int, int, int]], new: list[tuple[int, int, int, int, int]]
) -> None:
    kept = without_collisions(ticks(), ticks(*old))
    score = ScoreTick(48)
    score.tracks.append(TrackTick("one", 3))
    score = edited(score, added=kept)
    result = edited(score, added=ticks(*new))
    if not len(kept) + len(new):
        return
    again = read_score(result.dumps_midi())
    wanted, found = (
        sorted((n.time, n.duration, n.pitch, n.velocity) for n in s.tracks[0].notes) for s in (result, again)
    )
    assert found == wanted
    assert set(zip(kept.time, kept.duration, kept.pitch, kept.velocity, strict=True)) <= set(found)


def test_tracks_are_counted_among_those_with_notes() -> None:
    score = rich_score()
    assert tracks_with_notes(score) == [0, 2]
    assert listed_tracks(score) == "1 Lead (program 41), 2 Kit (drums)"
    assert find_track(score, 2, may_add=False) == 2
    assert find_track(score, 3, may_add=True) == 3
    with pytest.raises(
        UserError, match=r"no track 3: the piece has 1 Lead \(program 41\), 2 Kit \(drums\); for"
    ):
        find_track(score, 3, may_add=False)
    with pytest.raises(UserError, match="no track 0"):
        find_track(score, 0, may_add=True)


@pytest.mark.parametrize(("instrument", "program", "is_drum"), [(128, 0, True), (42, 42, False)])
def test_a_new_track_has_its_instrument_and_no_notes(instrument: int, program: int, is_drum: bool) -> None:
    score = rich_score()
    result = with_track(score, instrument, "New")
    track = result.tracks[3]
    assert (track.program, track.is_drum, track.name, len(track.notes)) == (program, is_drum, "New", 0)
    assert result.tracks[:3] == score.tracks
