"""A separator that knows nothing, and scores of any shape."""

from collections import Counter

import torch
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

from ondes.models.part_labeller import PartLabeller
from ondes.pipelines.separation import SeparationPipeline


def separator(seed=0, **settings):
    """A pipeline with a few hundred random weights a layer, whose opinions are strong."""
    torch.manual_seed(seed)
    network = PartLabeller(width=16, hidden=16, blocks=1, heads=2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return SeparationPipeline(
        network, **{"window_notes": 16, "overlap_notes": 8, "default_steps": 2, **settings}
    )


def mixture(rows, *, program=0, name="", is_drum=False):
    """A track of notes: time, duration, pitch, velocity."""
    track = TrackTick(name, program, is_drum)
    for row in rows:
        track.notes.append(NoteTick(*row))
    return track


def score_of(*tracks, ticks_per_quarter=480):
    """A score of tracks."""
    score = ScoreTick(ticks_per_quarter)
    score.tempos.append(TempoTick(0, mspq=500_000))
    for track in tracks:
        score.tracks.append(track)
    return score


def everything(score):
    """Every note of a score with all its attributes, and the pedals and bends that act on it, with its number."""
    found = Counter()
    for track in score.tracks:
        pedals = tuple((one.time, one.duration) for one in track.pedals)
        controls = tuple((one.time, one.number, one.value) for one in track.controls if one.number == 64)
        bends = tuple((one.time, one.value) for one in track.pitch_bends)
        acting = pedals, controls, bends
        found.update(
            (note.time, note.duration, note.pitch, note.velocity, track.is_drum, acting)
            for note in track.notes
        )
    return found


def plain_notes(score):
    """Every note of a score with its number."""
    return Counter(
        (note.time, note.duration, note.pitch, note.velocity)
        for track in score.tracks
        for note in track.notes
    )


NOTES = st.tuples(st.integers(0, 4000), st.integers(1, 2500), st.integers(0, 127), st.integers(1, 127))


@st.composite
def any_track(draw):
    """Notes in any order, pedals, bends and controllers."""
    track = mixture(
        draw(st.lists(NOTES, max_size=8)),
        program=draw(st.integers(0, 127)),
        name=draw(st.sampled_from(["", "Violin", "piano"])),
        is_drum=draw(st.integers(0, 5)) == 0,
    )
    for time, value in draw(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 127)), max_size=2)):
        track.controls.append(ControlChangeTick(time, 64, value))
        track.controls.append(ControlChangeTick(time, 7, value))
    for time, value in draw(st.lists(st.tuples(st.integers(0, 4000), st.integers(-8192, 8191)), max_size=1)):
        track.pitch_bends.append(PitchBendTick(time, value))
    for time in draw(st.lists(st.integers(0, 4000), max_size=1)):
        track.pedals.append(PedalTick(time, 240))
    return track


@st.composite
def any_score(draw):
    """Scores of one to three tracks, at least one note, with tempos, metres and texts."""
    score = score_of(
        *draw(st.lists(any_track(), min_size=1, max_size=3)),
        ticks_per_quarter=draw(st.sampled_from([96, 480, 1000])),
    )
    if draw(st.booleans()):
        score.time_signatures.append(TimeSignatureTick(0, 3, 4))
        score.markers.append(TextMetaTick(10, "here"))
    if not score.note_num():
        score.tracks[0].notes.append(NoteTick(0, 480, 60, 64))
    return score
