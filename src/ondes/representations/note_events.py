"""Beginnings and ends of notes in order, cut in segments: what event codecs write as tokens.

Times are steps of 10 ms from the beginning of the song, two a mel frame of 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from ondes.errors import UserError
from ondes.notes import Notes
from ondes.ordering import sorted_with_places

STEPS_PER_SECOND = 100
"""The time grid of all event codecs: 10 ms."""

STEPS_PER_FRAME = 2
"""Steps in a mel frame of 20 ms."""

PITCHES = 128
"""MIDI pitches, and General MIDI programs."""

Tokens = Int64[np.ndarray, " _"]
Starts = Int64[np.ndarray, " _"]


def check_bins(velocity_bins: int) -> None:
    """Refuse what cannot be a number of loudnesses.

    Raises:
        UserError: If it is not a whole number from 1 to 127.
    """
    if type(velocity_bins) is not int or not 1 <= velocity_bins <= 127:
        raise UserError(f"velocity_bins is {velocity_bins!r}; give 1 to 127")


@dataclass(frozen=True, eq=False)
class TokenSegment:
    """The notes of one stretch of a song, as tokens.

    Attributes:
        tokens: Token ids, not padded, with the end token where the codec has one.
        start_frame: Mel frame of 20 ms at which the stretch begins.
        frames: How many mel frames belong to the song or come before the next segment: keep these of the 256 that
            a model makes.
    """

    tokens: Tokens
    start_frame: int
    frames: int


@dataclass(frozen=True, eq=False)
class NoteEvents:
    """Beginnings of all notes and ends of all but drums, in the order in which a codec writes them.

    Attributes:
        step: When, never falling.
        velocity: That of a beginning, 0 for an end.
        pitch: MIDI pitch or drum.
        program: General MIDI program from 0.
        is_drum: Whether a drum is struck.
    """

    step: Int64[np.ndarray, " events"]
    velocity: Int64[np.ndarray, " events"]
    pitch: Int64[np.ndarray, " events"]
    program: Int64[np.ndarray, " events"]
    is_drum: Bool[np.ndarray, " events"]

    def part(self, begin: int, end: int) -> NoteEvents:
        """Those from one index to before another."""
        columns = (self.step, self.velocity, self.pitch, self.program, self.is_drum)
        return NoteEvents(*(column[begin:end] for column in columns))


def to_steps(times_s: np.ndarray) -> Int64[np.ndarray, " times"]:
    """Nearest steps; halves go to the even one, as Python rounds."""
    return np.rint(np.asarray(times_s, np.float64) * STEPS_PER_SECOND).astype(np.int64)


def note_events(notes: Notes, *, order: Literal["time", "step"]) -> NoteEvents:
    """The events of notes.

    Args:
        notes: Any notes; those that began before time 0 count as sounding there.
        order: "time" orders by exact time, then ends before beginnings, drums last, program and pitch: within a step
            a note may end before it begins. "step" orders by step, then drums last, program, ends before
            beginnings and pitch, and a note of no steps gets one.
    """
    melodic = np.flatnonzero(~notes.is_drum)
    step, drum = to_steps(notes.onset_s), notes.is_drum.astype(np.int64)
    program, pitch = notes.program, notes.pitch
    if order == "step":
        last = to_steps(notes.release_s.take(melodic))
        last += last == step.take(melodic)
        begins = (((step << 1 | drum) << 7 | program) << 1 | 1) << 7 | pitch
        ends = (last << 8 | program.take(melodic)) << 8 | pitch.take(melodic)
        key, rank = sorted_with_places(np.concatenate([ends, begins]))
        step, program, drum = key >> 16, key >> 8 & 127, key >> 15 & 1
    else:
        begins = ((2 | drum) << 7 | program) << 7 | pitch
        ends = (program << 7 | pitch).take(melodic)
        times_s = np.concatenate([notes.release_s.take(melodic), notes.onset_s])
        by_time = np.argsort(times_s, kind="stable")  # nearly in order already, which this sort is fast at
        times_s = times_s.take(by_time)
        moment = np.zeros(len(by_time), np.int64)
        np.cumsum(times_s[1:] > times_s[:-1], out=moment[1:])
        key, rank = sorted_with_places(moment << 16 | np.concatenate([ends, begins]).take(by_time))
        rank = by_time.take(rank)
        step, program, drum = to_steps(times_s), key >> 7 & 127, key >> 14 & 1
    velocity = np.concatenate([np.zeros(len(melodic), np.int64), notes.velocity]).take(rank)
    return NoteEvents(step, velocity, key & 127, program, drum > 0)


def song_frames(notes: Notes) -> int:
    """Mel frames that hold the song: up to `Notes.duration_s`, and every beginning of a note."""
    by_duration = int(np.ceil(notes.duration_s * STEPS_PER_SECOND / STEPS_PER_FRAME - 1e-6))
    last = int(to_steps(notes.onset_s.max(initial=-1.0, keepdims=True)).item())
    return max(by_duration, last // STEPS_PER_FRAME + 1)


def sounding(
    events: NoteEvents, indices: Int64[np.ndarray, " segments"]
) -> tuple[Int64[np.ndarray, " sounding"], Int64[np.ndarray, " segments"]]:
    """What sounds before each of the rising event indices, and how many that are.

    A pitch of a program sounds when its last event was a beginning.

    Returns:
        Keys, program * 128 + pitch, rising for each index; how many each index has.
    """
    melodic = ~events.is_drum
    keys = (events.program << 7 | events.pitch)[melodic]
    begins = events.velocity[melodic] > 0
    count = len(keys)
    before = np.append(0, np.cumsum(melodic))[indices]
    # Of each melodic event, and of the end, how many of the indices come up to it.
    passed = np.arange(len(indices) + 1).repeat(np.diff(before, prepend=0, append=count + 1))
    key, place = sorted_with_places(keys)
    following = np.append(place[1:], count)[:count]
    following[np.append(key[1:] != key[:-1], True)[:count]] = count
    first, last = passed.take(place), passed.take(following)
    chosen = np.flatnonzero((last > first) & begins.take(place))
    first, times = first[chosen], (last - first)[chosen]
    ends = np.cumsum(times)
    owner = np.arange(times.sum()) + (first - ends + times).repeat(times)
    found = owner << 14 | key[chosen].repeat(times)
    found.sort()
    return found & (1 << 14) - 1, np.bincount(owner, minlength=len(indices))


def changed(values: np.ndarray, groups: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Which values are not those before them in the same group."""
    fresh = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=fresh[1:])
    fresh[1:] |= groups[1:] != groups[:-1]
    return fresh


Writer = Callable[[Starts, int], list[Tokens]]
"""Tokens of the segments that begin at rising steps, the last of which ends at the given step."""


def write_song(writer: Writer, frames: int, *, segment_frames: int, limit: int | None) -> list[TokenSegment]:
    """Segments that cover a song; those with too many tokens are halved until they fit.

    Raises:
        ValueError: If a segment has no frames.
        UserError: If a single frame has too many tokens.
    """
    if segment_frames < 1:
        raise ValueError(f"segments of {segment_frames} frames; give at least 1")
    if not frames:
        return []
    starts = np.arange(0, frames, segment_frames)
    begins = starts.tolist()
    lengths = [min(segment_frames, frames - begin) for begin in begins]
    # The last segment may be shorter, but what ends with the song is still told.
    stops = [(begin + segment_frames) * STEPS_PER_FRAME for begin in begins]
    written = writer(starts * STEPS_PER_FRAME, stops[-1])
    whole = map(TokenSegment, written, begins, lengths)
    if limit is None:
        return list(whole)
    return [
        piece
        for segment, stop in zip(whole, stops, strict=True)
        for piece in _fitting(writer, segment, stop=stop, limit=limit)
    ]


def _fitting(writer: Writer, segment: TokenSegment, *, stop: int, limit: int) -> list[TokenSegment]:
    """The segment, whose events end at a step, or the shorter ones that it is split into."""
    if len(segment.tokens) <= limit:
        return [segment]
    start, frames = segment.start_frame, segment.frames
    if frames == 1:
        raise UserError(
            f"{len(segment.tokens)} tokens in the 20 ms at {start / 50:.2f} s; the model reads at most {limit}: "
            "thin out the score there"
        )
    half = frames // 2
    middle = (start + half) * STEPS_PER_FRAME
    first, second = writer(np.array([start * STEPS_PER_FRAME, middle]), stop)
    return [
        *_fitting(writer, TokenSegment(first, start, half), stop=middle, limit=limit),
        *_fitting(writer, TokenSegment(second, start + half, frames - half), stop=stop, limit=limit),
    ]


def write_window(writer: Writer, start_frame: int, frames: int) -> Tokens:
    """Tokens of one stretch of a song.

    Raises:
        ValueError: If the stretch has no frames.
    """
    if frames < 1:
        raise ValueError(f"a window of {frames} frames; give at least 1")
    start = np.array([start_frame * STEPS_PER_FRAME])
    return writer(start, (start_frame + frames) * STEPS_PER_FRAME)[0]
