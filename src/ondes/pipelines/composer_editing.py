"""Edits of scores that leave everything else as it is: notes taken out, put in and changed, and nothing re-encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int64

from ondes.errors import UserError

if TYPE_CHECKING:
    import symusic.core

DRUM_INSTRUMENT = 128
"""The instrument of drum parts; the others have their program."""


@dataclass(frozen=True, eq=False)
class TickNotes:
    """Notes for the tracks of a score.

    Args:
        track: Which of the score's tracks, from 0, (notes,).
        time: Onset in ticks, (notes,).
        duration: In ticks, at least 1, (notes,).
        pitch: MIDI number, (notes,).
        velocity: 1 to 127, (notes,).
    """

    track: Int64[np.ndarray, " notes"]
    time: Int64[np.ndarray, " notes"]
    duration: Int64[np.ndarray, " notes"]
    pitch: Int64[np.ndarray, " notes"]
    velocity: Int64[np.ndarray, " notes"]

    def __len__(self) -> int:
        return len(self.time)

    def select(self, chosen: Bool[np.ndarray, " notes"] | Int64[np.ndarray, " chosen"]) -> TickNotes:
        """Some of the notes, in the order of the indices."""
        return TickNotes(
            self.track[chosen],
            self.time[chosen],
            self.duration[chosen],
            self.pitch[chosen],
            self.velocity[chosen],
        )


def track_instrument(track: symusic.core.TrackTick) -> int:
    """Program of a track, 128 for drums."""
    return DRUM_INSTRUMENT if track.is_drum else int(track.program)


def tracks_with_notes(score: symusic.core.ScoreTick) -> list[int]:
    """Indices of the tracks that people count from 1."""
    return [index for index, track in enumerate(score.tracks) if len(track.notes)]


def listed_tracks(score: symusic.core.ScoreTick) -> str:
    """The tracks with notes, with the numbers by which they are asked for."""
    rows = [
        f"{number} {score.tracks[index].name.strip() or 'unnamed'} ({_kind(score.tracks[index])})"
        for number, index in enumerate(tracks_with_notes(score), start=1)
    ]
    return ", ".join(rows)


def _kind(track: symusic.core.TrackTick) -> str:
    return "drums" if track.is_drum else f"program {int(track.program) + 1}"


def find_track(score: symusic.core.ScoreTick, number: int, *, may_add: bool) -> int:
    """Index of a track by its number from 1 among those with notes.

    Args:
        score: The piece.
        number: What the person asked for.
        may_add: Whether one more than there are means a new track, which has the index after the last.

    Raises:
        UserError: If there is no such track; the message lists those there are.
    """
    found = tracks_with_notes(score)
    if 1 <= number <= len(found):
        return found[number - 1]
    if may_add and number == len(found) + 1:
        return len(score.tracks)
    hint = "" if may_add else f"; for a new part give {len(found) + 1} and its instrument"
    raise UserError(f"there is no track {number}: the piece has {listed_tracks(score)}{hint}")


def edited(
    score: symusic.core.ScoreTick,
    *,
    removed: Mapping[int, Bool[np.ndarray, " notes"]] | None = None,
    added: TickNotes | None = None,
) -> symusic.core.ScoreTick:
    """A copy of a score without some notes and with others; all else, in every attribute, is the same.

    New notes give way to those that stay: a new note of the same track and pitch ends where the next one begins, and
    is left out where one sounds already, since MIDI could not tell the two apart.

    Args:
        score: Is not changed.
        removed: Which notes of a track go, by the track's index.
        added: New notes.

    Returns:
        The copy; notes that stay keep their order, new ones lie among them by their time.
    """
    from symusic.core import NoteTickList  # noqa: PLC0415

    result = score.copy()
    removed = removed or {}
    added = _no_notes() if added is None else added
    for index in sorted({*removed, *np.unique(added.track).tolist()}):
        table = result.tracks[index].notes.numpy()
        stays = ~removed[index] if index in removed else np.ones(len(table["time"]), np.bool_)
        columns = [table[name][stays].astype(np.int64) for name in ("time", "duration", "pitch", "velocity")]
        kept = TickNotes(np.full(int(stays.sum()), index), *columns)
        fitting = without_collisions(kept, added.select(added.track == index))
        times = np.concatenate([kept.time, fitting.time])
        # Where notes that stay are not in order of time, they count as late as the latest before them.
        late = np.concatenate([np.maximum.accumulate(kept.time), fitting.time])
        order = np.argsort(late, kind="stable")
        result.tracks[index].notes = NoteTickList.from_numpy(
            times[order].astype(np.int32),
            np.concatenate([kept.duration, fitting.duration])[order].astype(np.int32),
            np.concatenate([kept.pitch, fitting.pitch])[order].astype(np.int8),
            np.concatenate([kept.velocity, fitting.velocity])[order].astype(np.int8),
        )
    return result


def _no_notes() -> TickNotes:
    nothing = np.zeros(0, np.int64)
    return TickNotes(nothing, nothing, nothing, nothing, nothing)


def without_collisions(kept: TickNotes, added: TickNotes) -> TickNotes:
    """New notes of one track, none of which begins in or reaches into another of its pitch."""
    order = np.lexsort((added.duration, added.time, added.pitch))
    chosen, durations = [], []
    for row in order.tolist():
        same = kept.pitch == added.pitch[row]
        starts, ends = kept.time[same], (kept.time + kept.duration)[same]
        begins, ends_at = int(added.time[row]), int(added.time[row] + added.duration[row])
        if ((starts <= begins) & (np.maximum(ends, starts + 1) > begins)).any():
            continue
        if chosen and added.pitch[chosen[-1]] == added.pitch[row]:
            if added.time[chosen[-1]] == begins:
                continue
            durations[-1] = min(durations[-1], begins - int(added.time[chosen[-1]]))
        later = starts[starts > begins]
        chosen.append(row)
        durations.append(max(1, min(ends_at, int(later.min(initial=ends_at))) - begins))
    fitting = added.select(np.array(chosen, np.int64))
    return TickNotes(
        fitting.track, fitting.time, np.array(durations, np.int64), fitting.pitch, fitting.velocity
    )


def with_track(score: symusic.core.ScoreTick, instrument: int, name: str) -> symusic.core.ScoreTick:
    """A copy of a score with an empty track at its end."""
    from symusic.core import TrackTick  # noqa: PLC0415

    result = score.copy()
    is_drum = instrument == DRUM_INSTRUMENT
    result.tracks.append(TrackTick(name, 0 if is_drum else instrument, is_drum))
    return result
