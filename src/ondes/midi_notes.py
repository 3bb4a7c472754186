"""The notes of a score without its controllers: what event tokens are made from, read in a fraction of the time.

A regular MIDI file is read as a whole, without a `symusic.Score` between; every other one goes through `read_score`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from ondes.controls import PEDAL_DOWN, RESET_ALL, SOSTENUTO, SUSTAIN, Controls, pedalled_ends
from ondes.midi_file import (
    CONTROL,
    KEPT,
    KEY_SIGNATURE,
    MARKER,
    MOST_BYTES,
    NOTE_OFF,
    NOTE_ON,
    PITCH_BEND,
    PROGRAM,
    TEMPO,
    TIME_SIGNATURE,
)
from ondes.midi_scan import Bytes, Scan, scan_tracks
from ondes.midi_tracks import ALL_OFF, DRUM_CHANNEL, MOST_PARTS, paired_ends
from ondes.notes import LEAST_NOTE_S, Notes, Part
from ondes.ordering import among, numbered, stable_order
from ondes.score import to_notes
from ondes.score_reading import MOST_SECONDS, ScoreSource, read_score
from ondes.tempo import TempoMap

Column = Int64[np.ndarray, " _"]


def read_notes(source: ScoreSource) -> Notes:
    """The notes of a score in seconds, with pedals turned into length but without controllers.

    The same notes as `to_notes(read_score(source))`; parts have numbers for names and controllers at rest.

    Args:
        source: Whatever `read_score` takes.

    Raises:
        UserError: As `read_score` does.
    """
    data = _content(Path(source)) if isinstance(source, str | os.PathLike) else source
    notes = _regular_notes(data) if isinstance(data, bytes) else None
    if notes is not None:
        return notes
    notes = to_notes(read_score(source))
    parts = tuple(_part(index, part.program, part.is_drum) for index, part in enumerate(notes.parts))
    return replace(notes, parts=parts)


def _content(path: Path) -> bytes | None:
    """A file's bytes; None where `read_score` has to say what is wrong with it."""
    try:
        found = path.stat()
        return path.read_bytes() if S_ISREG(found.st_mode) and found.st_size <= MOST_BYTES else None
    except OSError:
        return None


def _regular_notes(data: bytes) -> Notes | None:
    """The notes of a file in which nothing is unusual, or None."""
    chunks = _chunks(data)
    scan = scan_tracks(chunks, KEPT) if chunks else None
    if scan is None:
        return None
    events = _Events.of(scan)
    strokes = _strokes(events)
    tempo = _tempo(scan, int.from_bytes(data[12:14], "big"))
    if strokes is None or tempo is None:
        return None
    last = _last_tick(scan, events, strokes)
    ends = None if last is None else _pedalled(events, strokes, last)
    if last is None or ends is None:
        return None
    return _in_seconds(strokes, ends, tempo, last)


def _chunks(data: bytes) -> list[bytes] | None:
    """The track chunks of a file in musical time whose tracks play together, exactly as many as announced."""
    if len(data) < 14 or data[:8] != b"MThd\0\0\0\6" or data[8:10] not in (b"\0\0", b"\0\1"):
        return None
    declared, division = int.from_bytes(data[10:12], "big"), int.from_bytes(data[12:14], "big")
    chunks, position = [], 14
    while data[position : position + 4] == b"MTrk":
        size = int.from_bytes(data[position + 4 : position + 8], "big")
        chunks.append(data[position + 8 : position + 8 + size])
        position += 8 + size
    regular = position == len(data) and len(chunks) == declared and 0 < division < 0x8000
    return chunks if regular else None


class _Events(NamedTuple):
    """Channel events in the order of the file; `group` is track * 16 + channel."""

    time: Column
    kind: Bytes
    group: Column
    first: Bytes
    second: Bytes

    @classmethod
    def of(cls, scan: Scan) -> _Events:
        return cls(scan.time, scan.status >> 4, scan.track << 4 | scan.status & 15, scan.first, scan.second)


class _Strokes(NamedTuple):
    """Notes in ticks, in the order of the file; `part` counts groups and programs, as `parts` lists them."""

    onset: Column
    end: Column
    pitch: Column
    velocity: Column
    part: Column
    parts: list[tuple[int, int]]


def _strokes(events: _Events) -> _Strokes | None:
    """The notes, if each has its own end and a program that is certain."""
    time, kind, group, first, second = events
    if _LETS_GO[first[kind == CONTROL]].any():
        return None
    moves = np.flatnonzero((kind == NOTE_ON) | (kind == NOTE_OFF))
    down = (kind.take(moves) == NOTE_ON) & (second.take(moves) > 0)
    begins = moves[down]
    ends = paired_ends(time.take(moves), down.astype(np.int64), group.take(moves) << 7 | first.take(moves))
    if ends is None or not len(begins):
        return None
    program = _programs(events, begins)
    if program is None:
        return None
    codes, part = numbered(group.take(begins) << 7 | program)
    parts = [(code >> 7, code & 127) for code in codes.tolist()]
    if len(parts) > MOST_PARTS:
        return None
    pitch, velocity = (column.take(begins).astype(np.int64) for column in (first, second))
    return _Strokes(time.take(begins), ends[down], pitch, velocity, part, parts)


def _programs(events: _Events, begins: Column) -> Column | None:
    """The program set before each note in its track; 0 on channels that set none, None where others set it."""
    changes = np.flatnonzero(events.kind == PROGRAM)
    group, count = events.group, len(events.group)
    keys = np.sort(group[changes] * count + changes)
    before = np.searchsorted(keys, group[begins] * count + begins) - 1
    change = keys[before] % count if len(keys) else np.zeros(len(begins), np.int64)
    known = (before >= 0) & (group[change] == group[begins])
    drum = group[begins] & 15 == DRUM_CHANNEL
    if among(group[begins[~known & ~drum]] & 15, group[changes] & 15).any():
        return None
    return np.where(known & ~drum, events.first[change].astype(np.int64), 0)


def _tempo(scan: Scan, division: int) -> TempoMap | None:
    """The tempos of all tracks, if all are possible."""
    tempos = [(now, data) for _, now, kind, data in scan.metas if kind == TEMPO]
    if any(len(data) != 3 or not any(data) for _, data in tempos):
        return None
    times = np.array([now for now, _ in tempos], np.int64)
    return TempoMap.of_changes(
        times, np.array([int.from_bytes(data, "big") for _, data in tempos], np.int64), division
    )


def _last_tick(scan: Scan, events: _Events, strokes: _Strokes) -> int | None:
    """The end of the last event of the score, or None if it is an event that a score may leave out."""
    sure = among(events.group, np.array([group for group, _ in strokes.parts], np.int64))
    moving = (events.kind == CONTROL) | (events.kind == PITCH_BEND)
    tempos = [now for _, now, kind, _ in scan.metas if kind == TEMPO]
    last = max(int(strokes.end.max()), int(events.time[moving & sure].max(initial=0)), *tempos, 0)
    unsure = [now for _, now, kind, _ in scan.metas if kind in (TIME_SIGNATURE, KEY_SIGNATURE, MARKER)]
    return last if max(int(events.time[moving & ~sure].max(initial=0)), *unsure, 0) <= last else None


def _pedalled(events: _Events, strokes: _Strokes, last: int) -> Column | None:
    """When the notes stop with pedals, or None if several tracks share a channel that has pedals."""
    pedals = (events.kind == CONTROL) & ((events.first == SUSTAIN) | (events.first == SOSTENUTO))
    ends = strokes.end.copy()
    if not pedals.any():
        return ends
    used, _ = numbered(events.group)
    for group in np.unique(events.group[pedals]).tolist():
        if np.count_nonzero(used & 15 == group & 15) > 1:
            return None
        moves = _pedal_moves(events, group)
        for part, (owner, _) in enumerate(strokes.parts):
            own = strokes.part == part
            if owner == group and group & 15 != DRUM_CHANNEL:
                ends[own] = pedalled_ends(
                    strokes.onset[own],
                    strokes.end[own],
                    strokes.pitch[own],
                    sustain=moves[SUSTAIN],
                    sostenuto=moves[SOSTENUTO],
                    last=last,
                )
    return ends


def _pedal_moves(events: _Events, group: int) -> dict[int, tuple[Column, Bool[np.ndarray, " _"]]]:
    """Times of the two pedals on a channel of a track, and whether they go down."""
    own = (events.group == group) & (events.kind == CONTROL)
    time, number, value = events.time[own], events.first[own], events.second[own]
    chosen = {pedal: (number == pedal) | (number == RESET_ALL) for pedal in (SUSTAIN, SOSTENUTO)}
    return {
        pedal: (time[mask], (number[mask] == pedal) & (value[mask] >= PEDAL_DOWN))
        for pedal, mask in chosen.items()
    }


def _in_seconds(strokes: _Strokes, ends: Column, tempo: TempoMap, last: int) -> Notes | None:
    """The notes in order, if they do not last too long."""
    order = stable_order(strokes.onset << 17 | strokes.part << 7 | strokes.pitch)
    part = strokes.part[order]
    onset_s, release_s, key_release_s = tempo.to_seconds(
        np.stack([strokes.onset, ends, strokes.end])[:, order]
    )
    release_s = np.maximum(release_s, onset_s + LEAST_NOTE_S)
    duration_s = max(float(tempo.to_seconds(np.array(last))), release_s.max().item())
    if duration_s > MOST_SECONDS:
        return None
    drums = [group & 15 == DRUM_CHANNEL for group, _ in strokes.parts]
    programs = [program for _, program in strokes.parts]
    return Notes(
        onset_s=onset_s,
        release_s=release_s,
        key_release_s=key_release_s,
        pitch=strokes.pitch[order],
        velocity=strokes.velocity[order],
        program=np.array(programs, np.int64)[part],
        is_drum=np.array(drums)[part],
        part=part,
        parts=tuple(map(_part, range(len(drums)), programs, drums)),
        duration_s=duration_s,
    )


def _part(index: int, program: int, is_drum: bool) -> Part:
    return Part(f"Part {index + 1}", program, is_drum, _AT_REST)


_AT_REST = Controls()

_LETS_GO = np.isin(np.arange(128), ALL_OFF)
