"""Note F1 is mir_eval's; baselines are what they say; every change outside the bars is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mir_eval import transcription

import ondes
from ondes.evaluation.infill_report import (
    BarNotes,
    InfillTask,
    carry_out,
    changes_outside,
    choose_task,
    note_f1,
    previous_bar,
    random_notes,
    untouched_share,
)
from ondes.representations.note_sequence import PARTS, NoteSequence, to_note_sequence
from ondes.score import read_score

SCORES = Path(ondes.__file__).parent / "scores"
BARS = (5, 6)


@pytest.fixture
def band() -> Any:
    return read_score(SCORES / "band.mid")


notes = st.lists(st.tuples(st.integers(0, 60), st.integers(60, 63)), min_size=1, max_size=25)


def bar_notes(rows: list[tuple[int, int]]) -> BarNotes:
    onset, pitch = np.array(rows).T
    return BarNotes(np.zeros(len(rows), np.int64), onset / 40, pitch.astype(np.int64))


@settings(max_examples=40)
@given(notes, notes)
def test_note_f1_is_mir_evals(guess: list[tuple[int, int]], truth: list[tuple[int, int]]) -> None:
    ours, real = bar_notes(guess), bar_notes(truth)

    def theirs(*, pitch: bool) -> float:
        sides = [
            (
                np.stack([one.onset_quarters, one.onset_quarters + 1], axis=1),
                440 * 2 ** ((one.pitch - 69) / 12) if pitch else np.full(len(one.pitch), 440.0),
            )
            for one in (real, ours)
        ]
        judge: Any = transcription.precision_recall_f1_overlap
        return judge(*sides[0], *sides[1], offset_ratio=None)[2]

    assert note_f1(ours, real) == pytest.approx(theirs(pitch=True))
    assert note_f1(ours, real, pitch=False) == pytest.approx(theirs(pitch=False))


def test_notes_of_another_part_are_other_notes() -> None:
    one = BarNotes(np.array([0, 0]), np.array([0.0, 1.0]), np.array([60, 62]))
    other = BarNotes(np.array([0, 4]), np.array([0.04, 1.0]), np.array([60, 62]))
    assert note_f1(one, other) == 0.5
    assert note_f1(one, BarNotes(one.part[:0], one.onset_quarters[:0], one.pitch[:0])) == 0.0


def test_the_previous_bar_comes_again_in_each_of_the_bars(band: Any) -> None:
    sequence = to_note_sequence(band)
    copy = previous_bar(sequence, BARS)
    before = sequence.select(sequence.bar == 3)
    assert len(copy.pitch) == 2 * len(before)
    first = BarNotes(*(column[: len(before)] for column in vars(copy).values()))
    np.testing.assert_allclose(first.onset_quarters, before.onset_quarters + 4)
    assert first.pitch.tolist() == before.pitch.tolist()


def test_random_notes_have_the_counts_of_the_parts_and_stay_in_bars_and_ranges(band: Any) -> None:
    sequence = to_note_sequence(band)
    drawn = random_notes(sequence, BARS, seed=3)
    inside = (sequence.bar == 4) | (sequence.bar == 5)
    part = sequence.instrument * PARTS + sequence.part_number
    assert sorted(drawn.part) == sorted(part[inside])
    assert drawn.onset_quarters.min() >= 16
    assert drawn.onset_quarters.max() < 24
    for number in set(drawn.part.tolist()):
        pitches = sequence.pitch[(part == number) & ~inside]
        own = drawn.pitch[drawn.part == number]
        assert pitches.min() <= own.min() <= own.max() <= pitches.max()
    assert drawn.pitch.tolist() != random_notes(sequence, BARS, seed=4).pitch.tolist()


def inside_of(score: Any) -> tuple[int, int]:
    """A track and a row of a note in the bars."""
    sequence = to_note_sequence(score)
    row = np.flatnonzero(sequence.bar == 4)[0]
    return int(sequence.track[row]), int(sequence.index[row])


def outside_of(score: Any) -> tuple[int, int]:
    sequence = to_note_sequence(score)
    row = np.flatnonzero(sequence.bar == 6)[0]
    return int(sequence.track[row]), int(sequence.index[row])


def change_note(place: Callable[[Any], tuple[int, int]], name: str) -> Callable[[Any], None]:
    def change(score: Any) -> None:
        track, row = place(score)
        note = score.tracks[track].notes[row]
        setattr(note, name, getattr(note, name) + 1)
        score.tracks[track].notes[row] = note

    return change


def remove_note(score: Any) -> None:
    track, row = outside_of(score)
    del score.tracks[track].notes[row]


def double_note(score: Any) -> None:
    track, row = outside_of(score)
    score.tracks[track].notes.append(score.tracks[track].notes[row])


def quicker(score: Any) -> None:
    tempo = score.tempos[0]
    tempo.mspq -= 1
    score.tempos[0] = tempo


def renamed(score: Any) -> None:
    score.tracks[0].name = "Drums, too"


def without_controls(score: Any) -> None:
    score.tracks[1].controls = type(score.tracks[1].controls)()


def without_track(score: Any) -> None:
    del score.tracks[-1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *(
            (change_note(outside_of, name), "1 notes are gone")
            for name in ("time", "duration", "pitch", "velocity")
        ),
        (remove_note, "1 notes are gone"),
        (double_note, "1 notes are new outside the bars"),
        (quicker, "tempos changed"),
        (renamed, "track 0: name changed"),
        (without_controls, "track 1: controls changed"),
        (without_track, "1 tracks are gone"),
    ],
)
def test_every_change_outside_the_bars_is_found(band: Any, change: Callable[[Any], None], words: str) -> None:
    changed = band.copy()
    change(changed)
    assert words in "; ".join(changes_outside(band, changed, BARS))


def test_changes_inside_the_bars_are_none_outside(band: Any) -> None:
    changed = band.copy()
    for name in ("duration", "pitch", "velocity"):
        change_note(inside_of, name)(changed)
    assert changes_outside(band, changed, BARS) == []


def test_the_truth_scores_one_and_the_baselines_less(band: Any) -> None:
    task = InfillTask(band, BARS, "band")

    def kept(score: Any, bars: tuple[int, int], seed: int) -> Any:
        return score.copy()

    same = carry_out(task, kept)
    assert same.changes == ()
    assert same.pitch_f1["ours"] == same.rhythm_f1["ours"] == 1.0
    assert 0.1 < same.pitch_f1["previous bar"] < 0.9
    assert same.pitch_f1["random"] < 0.5 * same.pitch_f1["previous bar"]
    assert same.rhythm_f1["random"] < same.rhythm_f1["previous bar"]

    def silenced(score: Any, bars: tuple[int, int], seed: int) -> Any:
        return read_score(SCORES / "bwv846_prelude.mid")

    other = carry_out(task, silenced)
    assert other.changes
    assert other.pitch_f1["ours"] == 0.0
    assert untouched_share([same, other]) == 0.5
    assert np.isnan(untouched_share([]))


@pytest.mark.parametrize("seed", range(6))
def test_tasks_have_notes_inside_before_and_around(band: Any, seed: int) -> None:
    task = choose_task(band, "band", seed=seed)
    assert task is not None
    sequence: NoteSequence = to_note_sequence(band)
    first, last = task.bars
    assert 2 <= first <= last < len(sequence.bars)
    assert last - first < 4
    inside = (sequence.bar >= first - 1) & (sequence.bar <= last - 1)
    assert inside.sum() >= 8
    assert (~inside).sum() >= 32
    assert (sequence.bar == first - 2).any()


def test_a_piece_that_is_too_short_has_no_task(band: Any) -> None:
    assert choose_task(band.clip(0, 1800), "short") is None
