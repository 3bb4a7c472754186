from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from ondes.controls import Controls, Steps
from ondes.notes import Notes, Part
from ondes.representations.mel import MEL
from ondes.representations.note_frames import (
    DRUM_TAIL_S,
    LEAD_S,
    TAIL_S,
    NoteFrames,
    collate,
    concert_key_hz,
    to_note_frames,
)
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]


@pytest.fixture(scope="module")
def notes() -> Notes:
    moving = Controls(
        volume=Steps(np.array([0.5]), np.array([50.0]), 100.0),
        pan_position=Steps(np.array([0.9]), np.array([127.0]), 64.0),
        bend=Steps(np.array([0.3, 0.6]), np.array([1.5, -0.5]), 0.0),
    )
    parts = [
        Part("Violin", 40, False, moving),
        Part("Drums", 0, True, moving),
        Part("Bass", 33, False, Controls()),
    ]
    rows = [(0.2, 0.7, 64, 90, 0), (0.25, 0.26, 38, 127, 1), (0.9, 1.4, 40, 1, 2), (1.0, 1.2, 67, 60, 0)]
    return plain_notes(rows, parts=parts)


def rows(frames: NoteFrames) -> set[tuple[float, ...]]:
    """Pairs in no order."""
    table = torch.cat([frames.frame[:, None], frames.instrument[:, None], frames.features.double()], 1)
    return {tuple(row) for row in table.tolist()}


def test_pairs_are_those_of_the_definition(notes: Notes) -> None:
    expected = set()
    for frame in range(400):
        time_s = (frame + 0.5) * 512 / 44_100
        for n in range(len(notes)):
            drum = bool(notes.is_drum[n])
            onset, release = float(notes.onset_s[n]), float(notes.release_s[n])
            if not onset - LEAD_S <= time_s < (onset + DRUM_TAIL_S if drum else release + TAIL_S):
                continue
            controls = notes.parts[notes.part[n]].controls
            bend = 0.0 if drum else float(controls.bend_semitones(time_s))
            instrument = 128 + notes.pitch[n] if drum else notes.program[n]
            features = [
                time_s - onset,
                0.0 if drum else time_s - release,
                notes.pitch[n] + bend,
                notes.velocity[n] / 127,
                float(controls.gain_db(time_s)),
                float(controls.pan(time_s)),
            ]
            expected.add(
                (float(frame), float(instrument), *np.asarray(features, np.float32).astype(float).tolist())
            )
    found = rows(to_note_frames(notes, start_frame=0, frames=400))
    assert len(expected) == len(found) > 500
    for ours, theirs in zip(sorted(found), sorted(expected), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_the_features_of_a_moment_are_closed_forms(notes: Notes) -> None:
    frames = to_note_frames(notes, start_frame=0, frames=100)
    frame = 60  # at 0.7024 s: the volume is halved, the bend is -0.5, the pan is still in the middle
    violin = frames.features[(frames.frame == frame) & (frames.instrument == 40)][0]
    time_s = 60.5 / MEL.frames_per_second
    assert violin.tolist() == pytest.approx(
        [time_s - 0.2, time_s - 0.7, 63.5, 90 / 127, 40 * np.log10(0.5), 0.0], abs=1e-5
    )
    drum = frames.features[(frames.frame == frame) & (frames.instrument == 128 + 38)][0]
    assert drum[1:4].tolist() == [0.0, 38.0, 1.0]


@pytest.mark.parametrize("start", [-20, 0, 37, 250])
def test_a_window_is_the_slice_of_the_whole(notes: Notes, start: int) -> None:
    whole = to_note_frames(notes, start_frame=-20, frames=420)
    window = to_note_frames(notes, start_frame=start, frames=50)
    inside = (whole.frame >= start + 20) & (whole.frame < start + 70)
    cut = NoteFrames(whole.frame[inside] - (start + 20), whole.instrument[inside], whole.features[inside], 50)
    assert rows(window) == rows(cut)
    assert len(window) == len(cut)


def test_instruments_are_made_louder_each_by_its_own(notes: Notes) -> None:
    window = to_note_frames(notes, start_frame=0, frames=200)
    gains_db = torch.zeros(129)
    gains_db[40], gains_db[33], gains_db[128] = 2.0, -1.5, 0.5
    made = window.louder(gains_db)
    more = made.features - window.features
    assert set(window.instrument.tolist()) == {40, 33, 128 + 38}
    for instrument, gain in ((40, 2.0), (33, -1.5), (128 + 38, 0.5)):
        assert torch.allclose(more[window.instrument == instrument, 4], torch.tensor(gain))
    assert not more[:, [0, 1, 2, 3, 5]].any()
    assert torch.equal(made.frame, window.frame)


def test_collated_windows_lie_one_after_another(notes: Notes) -> None:
    windows = [to_note_frames(notes, start_frame=start, frames=40) for start in (0, 30, 300, 60)]
    together = collate(windows)
    assert together.frames == 160
    for index, window in enumerate(windows):
        here = (together.frame >= 40 * index) & (together.frame < 40 * (index + 1))
        assert torch.equal(together.features[here], window.features)
        assert torch.equal(together.frame[here] - 40 * index, window.frame)


def test_no_notes_are_no_pairs() -> None:
    nothing = to_note_frames(plain_notes([]), start_frame=0, frames=10)
    assert len(nothing) == 0
    assert nothing.features.shape == (0, 6)
    assert nothing.frames == 10


def test_concert_pitch() -> None:
    assert concert_key_hz(torch.tensor([57.0, 69.0, 69.5])).tolist() == pytest.approx(
        [220, 440, 452.893], abs=1e-3
    )


def test_a_window_of_a_hundred_thousand_notes_takes_a_blink() -> None:
    onsets = np.sort(np.random.default_rng(0).uniform(0, 600, 100_000))
    notes = plain_notes([(onset, onset + 0.1, 60, 80, 0) for onset in onsets.tolist()])
    begin = time.process_time()
    window = to_note_frames(notes, start_frame=20_000, frames=512)
    assert len(window) > 100_000
    assert time.process_time() - begin < 1.0
