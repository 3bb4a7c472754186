"""A composer of a few thousand weights, and a score with everything in it."""

from __future__ import annotations

from typing import Any

import torch
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

from ondes.diffusion.masked import MaskedScheduler
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline
from ondes.representations.note_conditions import METRE_NAMES

TICKS = 96
BARS = 8
"""Of `band_score`: four of 3/4, then four of 4/4."""


def small_network() -> NoteTransformer:
    """A network whose answers depend on everything it sees."""
    torch.manual_seed(0)
    network = NoteTransformer(width=8, depth=1, heads=2, hidden=8, metres=METRE_NAMES, styles=("bach",))
    torch.nn.init.normal_(network.leave.weight, std=0.3)
    # Most new notes are in the bar of the one before.
    with torch.no_grad():
        network.frequency[0] += 3.0
    return network


def small_composer(**settings: Any) -> ComposerPipeline:
    """A composer with windows of 32 notes."""
    sizes: dict[str, Any] = {"window_notes": 32, "context_notes": 16, "default_steps": 3, "default_notes": 20}
    return ComposerPipeline(small_network(), MaskedScheduler(), **(sizes | settings))


def bar_start(bar: int) -> int:
    """Tick of a bar line of `band_score`, bars from 0."""
    return min(bar, 4) * 3 * TICKS + max(bar - 4, 0) * 4 * TICKS


def band_score(*, flat: bool = False) -> ScoreTick:
    """Three parts and an empty track, with tempos, metres, pedals, bends, texts, notes off the grid and a tie."""
    score = ScoreTick(TICKS)
    score.tempos.append(TempoTick(0, 90.0))
    score.tempos.append(TempoTick(700, 140.0))
    score.time_signatures.append(TimeSignatureTick(0, 3, 4))
    score.time_signatures.append(TimeSignatureTick(bar_start(4), 4, 4))
    score.markers.append(TextMetaTick(50, "here"))
    for name, program, low in (("Lead", 40, 60), ("Empty", 5, 0), ("Bass", 33, 36), ("Kit", 0, 38)):
        track = TrackTick(name, program, name == "Kit")
        if name != "Empty":
            for bar in range(BARS):
                for beat in range(3):
                    time = bar_start(bar) + beat * TICKS + (bar + beat) % 3
                    velocity = 80 if flat else 50 + 5 * bar + beat
                    track.notes.append(NoteTick(time, 60 + bar, low + (bar + 2 * beat) % 7, velocity))
        track.controls.append(ControlChangeTick(3, 7, 99))
        track.controls.append(ControlChangeTick(bar_start(2) + 5, 11, 60))
        track.pitch_bends.append(PitchBendTick(bar_start(2) + 9, -300))
        track.pedals.append(PedalTick(bar_start(2) - 5, 60))
        score.tracks.append(track)
    score.tracks[0].notes.append(NoteTick(bar_start(2) - 20, 3 * TICKS, 90, 77))
    return score


def rows(score: ScoreTick) -> set[tuple[int, int, int, int, int]]:
    """Track, time, duration, pitch and velocity of every note."""
    return {
        (index, note.time, note.duration, note.pitch, note.velocity)
        for index, track in enumerate(score.tracks)
        for note in track.notes
    }


def sounding(score: ScoreTick) -> list[set[tuple[int, int, int, int]]]:
    """The same of each track that has notes: files do not keep the empty ones."""
    tracks = [[row[1:] for row in rows(score) if row[0] == index] for index in range(len(score.tracks))]
    return [set(track) for track in tracks if track]


def without_notes(score: ScoreTick) -> ScoreTick:
    """The score with all but the notes."""
    bare = score.copy()
    for track in bare.tracks:
        track.notes.clear()
    return bare
