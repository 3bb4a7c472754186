"""Beginnings and ends of notes in order, cut in segments: what event codecs write as tokens.

Times are steps of 10 ms from the beginning of the song, two a mel frame of 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from ondes.errors import UserError
from ondes.notes import Notes
from ondes.ordering import stable_order

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
    source = np.concatenate([melodic, np.arange(len(notes))])
    ends = np.arange(len(source)) < len(melodic)
    times_s = np.where(ends, notes.release_s[source], notes.onset_s[source])
    step, drum = to_steps(times_s), notes.is_drum[source]
    program, pitch = notes.program[source], notes.pitch[source]
    if order == "step":
        step += ends & (step == to_steps(notes.onset_s)[source])
        rank = stable_order((((step << 1 | drum) << 7 | program) << 1 | ~ends) << 7 | pitch)
    else:
        rank = np.argsort(times_s, kind="stable")  # nearly in order already, which this sort is fast at
        moment = np.append(0, np.cumsum(np.diff(times_s[rank]) > 0))[: len(rank)]
        key = ((ends ^ True) << 1 | drum) << 14 | program << 7 | pitch
        rank = rank[stable_order(moment << 16 | key[rank])]
    velocity = np.where(ends, 0, notes.velocity[source])
    return NoteEvents(*(values.take(rank) for values in (step, velocity, pitch, program, drum)))


def song_frames(notes: Notes) -> int:
    """Mel frames that hold the song: up to `Notes.duration_s`, and every beginning of a note."""
    by_duration = int(np.ceil(notes.duration_s * STEPS_PER_SECOND / STEPS_PER_FRAME - 1e-6))
    last = int(to_steps(notes.onset_s).max(initial=-1))
    return max(by_duration, last // STEPS_PER_FRAME + 1)


class Row(NamedTuple):
    """Rows that become tokens, segment after segment: tied notes, a tie mark, events, an end mark.

    `kind` is `TIED`, `TIE`, `EVENT` or `END`; `event` indexes `events` at rows of that kind; `step` counts from the
    beginning of the segment.
    """

    segment: Int64[np.ndarray, " rows"]
    kind: Int64[np.ndarray, " rows"]
    step: Int64[np.ndarray, " rows"]
    velocity: Int64[np.ndarray, " rows"]
    pitch: Int64[np.ndarray, " rows"]
    program: Int64[np.ndarray, " rows"]
    is_drum: Bool[np.ndarray, " rows"]


TIED, TIE, EVENT, END = range(4)


def segment_rows(events: NoteEvents, starts: Starts, stop: int) -> Row:
    """The events of segments with the notes that sound already at their beginnings.

    A pitch of a program sounds when its last event was a beginning.

    Args:
        events: The whole song, or at least all that came before the segments.
        starts: First steps of the segments, rising; each ends where the next begins.
        stop: Where the last one ends, in steps.
    """
    bounds = np.searchsorted(events.step, [*starts, stop])
    tied = list(_sounding(events, bounds[:-1]))
    counts = np.array([len(keys) for keys in tied], np.int64)
    keys = np.concatenate([*tied, np.zeros(0, np.int64)])
    inside = slice(bounds[0], bounds[-1])
    count = len(starts)
    owner = np.repeat(np.arange(count), np.diff(bounds))
    marks = np.zeros(count, np.int64)
    segment = np.concatenate([np.repeat(np.arange(count), counts), np.arange(count), owner, np.arange(count)])
    kind = np.repeat([TIED, TIE, EVENT, END], [len(keys), count, len(owner), count])
    still, off = np.zeros_like(keys), np.zeros(len(keys) + count, bool)
    order = np.argsort(segment, kind="stable")

    def column(of_tied: np.ndarray, of_events: np.ndarray) -> np.ndarray:
        return np.concatenate([of_tied, marks, of_events, marks]).take(order)

    return Row(
        segment=segment.take(order),
        kind=kind.take(order),
        step=column(still, events.step[inside] - np.asarray(starts)[owner]),
        velocity=column(still, events.velocity[inside]),
        pitch=column(keys % PITCHES, events.pitch[inside]),
        program=column(keys // PITCHES, events.program[inside]),
        is_drum=np.concatenate([off, events.is_drum[inside], np.zeros(count, bool)]).take(order),
    )


def _sounding(events: NoteEvents, indices: np.ndarray) -> Iterator[Int64[np.ndarray, " sounding"]]:
    """Keys, program * 128 + pitch and rising, of what sounds before each of the rising event indices."""
    melodic = ~events.is_drum
    keys = (events.program * PITCHES + events.pitch)[melodic]
    begins = events.velocity[melodic] > 0
    before = np.concatenate([[0], np.cumsum(melodic)])[indices]
    used = np.zeros(PITCHES * PITCHES, bool)
    used[keys] = True
    known, number = np.flatnonzero(used), (np.cumsum(used) - 1)[keys]
    sounds = np.zeros(len(known), bool)
    done = 0
    for index in before.tolist():
        sounds[number[done:index]] = begins[done:index]  # of repeated keys the last one stays
        done = index
        yield known[sounds]


def changed(values: np.ndarray, groups: np.ndarray, where: Bool[np.ndarray, " rows"]) -> np.ndarray:
    """Which of the rows `where` do not repeat the value of the row of those before it in the same group."""
    chosen = np.flatnonzero(where)
    value, group = values.take(chosen), groups.take(chosen)
    fresh = np.ones(len(chosen), bool)
    fresh[1:] = (value[1:] != value[:-1]) | (group[1:] != group[:-1])
    result = np.zeros(len(values), bool)
    result[chosen[fresh]] = True
    return result


def gather(columns: Sequence[np.ndarray], masks: Sequence[np.ndarray], row: Row) -> list[Tokens]:
    """Tokens of each segment, row by row and in each row from column to column, where the masks say so."""
    table, mask = np.stack(columns, axis=1), np.stack(masks, axis=1)
    rows = pairwise([0, *(np.flatnonzero(row.kind == END) + 1).tolist()])
    ends = accumulate(np.count_nonzero(mask[begin:end]) for begin, end in rows)
    tokens = table[mask]
    return [tokens[begin:end] for begin, end in pairwise([0, *ends])]


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
