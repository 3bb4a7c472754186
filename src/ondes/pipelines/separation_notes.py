"""The notes of a score as a mixture, and scores in which the same notes lie in other tracks, untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from ondes.errors import UserError
from ondes.representations.ensembles import PartSpec
from ondes.representations.note_sequence import DRUMS, NoteSequence, to_note_sequence

if TYPE_CHECKING:
    import symusic.core

PEDALS = (64, 65, 66, 67, 68, 69, 121)
"""Controllers that change how long notes sound and how they join, and the one that resets them."""


@dataclass(frozen=True, eq=False)
class MixtureNotes:
    """Every note of a score, in the order of its tracks.

    Attributes:
        track: Index of the score's track (notes,).
        time: Onset in ticks (notes,).
        duration: In ticks (notes,).
        pitch: MIDI number (notes,).
        velocity: 1 to 127 (notes,).
        is_drum: Whether the track plays drums (notes,).
    """

    track: Int64[np.ndarray, " notes"]
    time: Int64[np.ndarray, " notes"]
    duration: Int64[np.ndarray, " notes"]
    pitch: Int64[np.ndarray, " notes"]
    velocity: Int64[np.ndarray, " notes"]
    is_drum: Bool[np.ndarray, " notes"]

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, score: symusic.core.ScoreTick) -> MixtureNotes:
        """The notes of a score."""
        tables = [np.zeros((0, 6), np.int64)]
        for index, track in enumerate(score.tracks):
            own = track.notes.numpy()
            columns = [own[name].astype(np.int64) for name in ("time", "duration", "pitch", "velocity")]
            same = np.full(len(columns[0]), index), np.full(len(columns[0]), int(track.is_drum))
            tables.append(np.stack([same[0], *columns, same[1]], 1))
        track, time, duration, pitch, velocity, drum = np.ascontiguousarray(np.concatenate(tables).T)
        return cls(track, time, duration, pitch, velocity, drum.astype(np.bool_))


def notes_to_separate(score: symusic.core.ScoreTick) -> MixtureNotes:
    """The notes of a score that has some.

    Raises:
        UserError: If it has none.
    """
    notes = MixtureNotes.of(score)
    if not len(notes):
        raise UserError("the score has no notes: there is nothing to separate; give one that has some")
    return notes


def mixed(
    score: symusic.core.ScoreTick, notes: MixtureNotes, chosen: Bool[np.ndarray, " notes"]
) -> NoteSequence:
    """The chosen notes without instruments and tracks, in the order of onset and pitch, on the grid.

    `index` of the result counts the notes of the score; instrument and part are 0.
    """
    from symusic.core import NoteTickList, ScoreTick, TrackTick  # noqa: PLC0415

    merged = ScoreTick(score.ticks_per_quarter)
    merged.tempos, merged.time_signatures = score.tempos.copy(), score.time_signatures.copy()
    track = TrackTick("", 0, False)
    rows = np.flatnonzero(chosen)
    track.notes = NoteTickList.from_numpy(*_columns(notes, rows))
    merged.tracks.append(track)
    sequence = to_note_sequence(merged)
    sequence.index[:] = rows[sequence.index]
    return sequence


def _columns(notes: MixtureNotes, rows: Int64[np.ndarray, " chosen"]) -> tuple[np.ndarray, ...]:
    """Times, lengths, pitches and velocities as symusic takes them."""
    return (
        notes.time[rows].astype(np.int32),
        notes.duration[rows].astype(np.int32),
        notes.pitch[rows].astype(np.int8),
        notes.velocity[rows].astype(np.int8),
    )


def parted(
    score: symusic.core.ScoreTick,
    notes: MixtureNotes,
    members: Sequence[np.ndarray],
    parts: Sequence[PartSpec],
) -> symusic.core.ScoreTick:
    """A copy of a score whose tracks are the parts; tempos, metres, keys and texts stay, and every note's attributes.

    A part has more than one track where its notes come from tracks with different pedals or pitch bends, which must go
    on acting on their notes alone, and where it has two notes of one pitch at once, which a MIDI file could not tell
    apart in one track. All of them have its name.

    Args:
        score: Is not changed.
        notes: Of the score.
        members: Indices of the notes of each part.
        parts: Names and instruments.
    """
    result = score.copy()
    kinds = _kinds_of_pedalling(score)
    made = []
    for part, rows in zip(parts, members, strict=True):
        groups = [
            _without_collisions(notes, rows[kinds[notes.track[rows]] == kind]) for kind in np.unique(kinds)
        ]
        layers = [layer for group in groups for layer in group if len(layer)]
        made += [_track(score, notes, part, layer) for layer in layers or [rows]]
    _hand_out_lyrics(score, notes, made)
    result.tracks = type(result.tracks)([track for _, track in made])
    return result


def _kinds_of_pedalling(score: symusic.core.ScoreTick) -> Int64[np.ndarray, " tracks"]:
    """Tracks of one number have the same pedals and pitch bends."""
    seen: dict[bytes, int] = {}
    kinds = []
    for track in score.tracks:
        events = track.controls.numpy()
        pedals = np.isin(events["number"], PEDALS)
        bends, spans = track.pitch_bends.numpy(), track.pedals.numpy()
        tables = (
            *(events[name][pedals] for name in ("time", "number", "value")),
            *bends.values(),
            *spans.values(),
        )
        text = b"|".join(np.asarray(table).tobytes() for table in tables)
        kinds.append(seen.setdefault(text, len(seen)))
    return np.array(kinds, np.int64)


def _without_collisions(notes: MixtureNotes, rows: Int64[np.ndarray, " own"]) -> list[np.ndarray]:
    """The notes in as few layers as it takes that no two of one pitch in a layer sound at once."""
    order = np.lexsort((notes.pitch[rows], notes.time[rows]))
    rows = rows[order]
    layer = np.zeros(len(rows), np.int64)
    ends: dict[int, list[int]] = {}
    for place, row in enumerate(rows.tolist()):
        busy = ends.setdefault(int(notes.pitch[row]), [])
        begin, end = int(notes.time[row]), int(notes.time[row] + max(notes.duration[row], 1))
        free = next((index for index, until in enumerate(busy) if until <= begin), len(busy))
        busy[free : free + 1] = [end]
        layer[place] = free
    return [rows[layer == index] for index in range(int(layer.max(initial=-1)) + 1)]


def _track(
    score: symusic.core.ScoreTick, notes: MixtureNotes, part: PartSpec, rows: Int64[np.ndarray, " own"]
) -> tuple[np.ndarray, symusic.core.TrackTick]:
    """A track of these notes with the controllers of the track that most of them come from; and the notes."""
    from symusic.core import NoteTickList, TrackTick  # noqa: PLC0415

    is_drum = part.instrument == DRUMS
    track = TrackTick(part.name, 0 if is_drum else part.instrument, is_drum)
    if len(rows):
        source = score.tracks[int(np.bincount(notes.track[rows]).argmax())]
        track.controls, track.pitch_bends, track.pedals = (
            source.controls.copy(),
            source.pitch_bends.copy(),
            source.pedals.copy(),
        )
    rows = rows[np.lexsort((notes.pitch[rows], notes.time[rows]))]
    track.notes = NoteTickList.from_numpy(*_columns(notes, rows))
    return rows, track


def _hand_out_lyrics(
    score: symusic.core.ScoreTick,
    notes: MixtureNotes,
    made: Sequence[tuple[np.ndarray, symusic.core.TrackTick]],
) -> None:
    """The words of each track go where most of its notes have gone, or to the first track."""
    for index, source in enumerate(score.tracks):
        if made and len(source.lyrics):
            counts = [int((notes.track[rows] == index).sum()) for rows, _ in made]
            target = made[int(np.argmax(counts))][1]
            target.lyrics.extend(source.lyrics)
