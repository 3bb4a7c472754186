"""Variations lose no note: what would double another stays as it was."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from composer_network import band_score, small_composer
from symusic.core import NoteTick, ScoreTick, TrackTick

from ondes.pipelines.composer_editing import TickNotes
from ondes.pipelines.composer_variation import doubling


def _rhythm(score: ScoreTick) -> Counter[tuple[int, int]]:
    return Counter((note.time, note.duration) for track in score.tracks for note in track.notes)


@pytest.mark.parametrize("seed", range(2))
def test_a_variation_that_keeps_the_rhythm_has_every_note_at_its_place(seed: int) -> None:
    score = band_score()
    for part in (1, 2):  # chords, so that pitches drawn anew meet
        for note in score.tracks[2].notes:
            score.tracks[0].notes.append(NoteTick(note.time, note.duration, note.pitch + 2 * part, 70))
    varied = small_composer().vary(score, strength=0.9, keep="rhythm", seed=seed)
    assert _rhythm(varied) == _rhythm(score)
    assert varied != score


@pytest.mark.parametrize("seed", range(2))
def test_drums_stay_drums_and_nothing_else_becomes_one(seed: int) -> None:
    score = band_score()
    varied = small_composer().vary(score, strength=1.0, seed=seed)

    def counts(whole: ScoreTick) -> list[int]:
        return [
            sum(len(track.notes) for track in whole.tracks if track.is_drum is kind) for kind in (True, False)
        ]

    assert counts(varied) == counts(score)
    assert min(counts(score)) > 0


def test_notes_double_if_they_sound_while_another_of_their_track_and_pitch_does() -> None:
    score = ScoreTick(96)
    for _ in range(2):
        track = TrackTick("", 0, False)
        track.notes.append(NoteTick(0, 96, 60, 64))
        track.notes.append(NoteTick(96, 96, 62, 64))
        score.tracks.append(track)
    rows = [
        (0, 48, 10, 60, True),  # while the first note sounds
        (0, 96, 10, 60, False),  # when it has ended
        (0, 90, 10, 62, True),  # reaches into the second
        (0, 96, 10, 67, True),  # both at once
        (0, 100, 90, 67, True),
        (1, 48, 10, 60, False),  # whose place is free
        (1, 0, 20, 62, False),
    ]
    track, time, duration, pitch, expected = (np.array(column) for column in zip(*rows, strict=True))
    new = TickNotes(track, time, duration, pitch, np.full(len(rows), 64))
    removed = {1: np.array([True, False])}
    assert doubling(score, removed, new).tolist() == expected.tolist()
