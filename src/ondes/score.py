"""Scores: any input becomes a `symusic.Score`, and a score becomes notes in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from ondes.controls import (
    DATA_COARSE,
    DATA_FINE,
    EXPRESSION,
    PAN,
    PEDAL_DOWN,
    RESET_ALL,
    RPN_COARSE,
    RPN_FINE,
    SOSTENUTO,
    SUSTAIN,
    VOLUME,
    Controls,
    controls_from_events,
    pedalled_ends,
)
from ondes.notes import LEAST_NOTE_S, Notes, Part
from ondes.score_reading import RepairReport, ScoreSource, read_score, read_score_with_report
from ondes.tempo import TempoMap

if TYPE_CHECKING:
    import symusic.core

__all__ = [
    "Controls",
    "Notes",
    "Part",
    "RepairReport",
    "ScoreSource",
    "TempoMap",
    "notes_to_score",
    "read_score",
    "read_score_with_report",
    "to_notes",
]

TICKS_PER_QUARTER = 2000
TICKS_PER_SECOND = 2 * TICKS_PER_QUARTER
"""Of scores made from notes, at the 120 quarter notes a minute that hold where no tempo is written."""


def to_notes(score: symusic.core.ScoreTick) -> Notes:
    """The notes of a score in seconds, with pedals turned into length.

    Tracks without notes give no part. A part is named after its track; parts of one name are numbered.

    Args:
        score: A score in ticks, as `read_score` gives it.
    """
    tempo = TempoMap.of(score)
    last = int(score.end())
    tracks = [track for track in score.tracks if len(track.notes)]
    parts = _parts(tracks, tempo)
    tables = [np.zeros((0, 5), np.int64), *(_track_notes(track, last) for track in tracks)]
    onset, end, key_end, pitch, velocity = np.concatenate(tables).T
    part = np.repeat(np.arange(len(tracks)), [len(track.notes) for track in tracks])
    order = np.lexsort((pitch, part, onset))
    part = part[order]
    onset_s = tempo.to_seconds(onset[order])
    release_s = np.maximum(tempo.to_seconds(end[order]), onset_s + LEAST_NOTE_S)
    return Notes(
        onset_s=onset_s,
        release_s=release_s,
        key_release_s=tempo.to_seconds(key_end[order]),
        pitch=pitch[order],
        velocity=velocity[order],
        program=np.array([part.program for part in parts], np.int64)[part],
        is_drum=np.array([part.is_drum for part in parts], np.bool_)[part],
        part=part,
        parts=parts,
        duration_s=max(float(tempo.to_seconds(np.array(last))), release_s.max(initial=0.0).item()),
    )


def _parts(tracks: Sequence[symusic.core.TrackTick], tempo: TempoMap) -> tuple[Part, ...]:
    """The parts of the tracks, under different names."""
    names: dict[str, None] = {}
    for index, track in enumerate(tracks):
        stem = track.name.strip() or f"Part {index + 1}"
        same = (stem if number == 1 else f"{stem} ({number})" for number in count(1))
        names[next(name for name in same if name not in names)] = None
    return tuple(
        Part(name, 0 if track.is_drum else int(track.program), bool(track.is_drum), _controls(track, tempo))
        for name, track in zip(names, tracks, strict=True)
    )


def _controller_events(
    track: symusic.core.TrackTick,
) -> tuple[Int64[np.ndarray, " events"], Int64[np.ndarray, " events"], Int64[np.ndarray, " events"]]:
    """Times in ticks, numbers and values, in order of time; spans of pedal count where CC64 does not."""
    events = track.controls.numpy()
    times, numbers, values = (events[name].astype(np.int64) for name in ("time", "number", "value"))
    if len(track.pedals) and SUSTAIN not in numbers:
        spans = track.pedals.numpy()
        starts = spans["time"].astype(np.int64)
        ends = starts + spans["duration"]
        times = np.concatenate([times, ends, starts])
        numbers = np.concatenate([numbers, np.full(2 * len(starts), SUSTAIN)])
        values = np.concatenate([values, np.zeros(len(ends), np.int64), np.full(len(starts), 127)])
    order = np.argsort(times, kind="stable")
    return times[order], numbers[order], np.minimum(values, 127)[order]


def _controls(track: symusic.core.TrackTick, tempo: TempoMap) -> Controls:
    """The controllers of a track over seconds."""
    times, numbers, values = _controller_events(track)
    wheel = track.pitch_bends.numpy()
    order = np.argsort(wheel["time"], kind="stable")
    bend_times_s = tempo.to_seconds(wheel["time"][order])
    return controls_from_events(
        tempo.to_seconds(times), numbers, values, bend_times_s, wheel["value"][order].astype(np.int64)
    )


def _track_notes(track: symusic.core.TrackTick, last: int) -> Int64[np.ndarray, "notes 5"]:
    """One row a note: onset, end with pedals, end as written, pitch, velocity; times in ticks."""
    notes = track.notes.numpy()
    onsets, pitches, velocities = (notes[name].astype(np.int64) for name in ("time", "pitch", "velocity"))
    key_ends = onsets + notes["duration"]
    if track.is_drum:
        return np.stack([onsets, key_ends, key_ends, pitches, velocities], axis=1)
    times, numbers, values = _controller_events(track)

    def pedal(number: int) -> tuple[Int64[np.ndarray, " events"], Bool[np.ndarray, " events"]]:
        chosen = (numbers == number) | (numbers == RESET_ALL)
        return times[chosen], (numbers[chosen] == number) & (values[chosen] >= PEDAL_DOWN)

    ends = pedalled_ends(
        onsets, key_ends, pitches, sustain=pedal(SUSTAIN), sostenuto=pedal(SOSTENUTO), last=last
    )
    return np.stack([onsets, ends, key_ends, pitches, velocities], axis=1)


def notes_to_score(notes: Notes) -> symusic.core.ScoreTick:
    """A score of the notes at 4000 ticks a second, the inverse of `to_notes`.

    Key releases and controllers are written, so the pedals make the releases again. The tempo is lost; what
    lies before time 0 is moved there.
    """
    from symusic.core import NoteTickList, ScoreTick, TextMetaTick, TrackTick  # noqa: PLC0415

    score = ScoreTick(TICKS_PER_QUARTER)
    for index, part in enumerate(notes.parts):
        own = notes.select(notes.part == index)
        onset = _ticks(own.onset_s)
        duration = np.maximum(_ticks(own.key_release_s) - onset, 1).astype(np.int32)
        pitch, velocity = own.pitch.astype(np.int8), own.velocity.astype(np.int8)
        track = TrackTick(part.name, part.program, part.is_drum)
        track.notes = NoteTickList.from_numpy(onset, duration, pitch, velocity)
        _write_controls(part.controls, track)
        score.tracks.append(track)
    last = round(notes.duration_s * TICKS_PER_SECOND)
    if last > score.end():
        score.markers.append(TextMetaTick(last, "end"))
    return score


def _ticks(times_s: Float64[np.ndarray, "*times"]) -> Int32[np.ndarray, "*times"]:
    return np.round(np.maximum(times_s, 0) * TICKS_PER_SECOND).astype(np.int32)


def _write_controls(controls: Controls, track: symusic.core.TrackTick) -> None:
    """Controller and pitch bend events that make the controls again."""
    from symusic.core import ControlChangeTickList, PitchBendTickList  # noqa: PLC0415

    reach = max(2, int(np.ceil(np.abs(controls.bend.values).max(initial=0))))
    columns = [
        np.array([[0, RPN_COARSE, 0], [0, RPN_FINE, 0], [0, DATA_COARSE, reach], [0, DATA_FINE, 0]])
        if reach > 2
        else np.zeros((0, 3), np.int64)
    ]
    for number, steps in (
        (VOLUME, controls.volume),
        (EXPRESSION, controls.expression),
        (PAN, controls.pan_position),
        (SUSTAIN, controls.sustain),
        (SOSTENUTO, controls.sostenuto),
    ):
        times = _ticks(steps.times_s)
        columns.append(np.stack([times, np.full(len(times), number), np.round(steps.values)], axis=1))
    events = np.concatenate(columns).astype(np.int64)
    times, numbers, values = events[np.argsort(events[:, 0], kind="stable")].T
    track.controls = ControlChangeTickList.from_numpy(
        times.astype(np.int32), numbers.astype(np.uint8), values.astype(np.uint8)
    )
    wheel = np.clip(np.round(controls.bend.values / reach * 8192), -8192, 8191).astype(np.int32)
    track.pitch_bends = PitchBendTickList.from_numpy(_ticks(controls.bend.times_s), wheel)
