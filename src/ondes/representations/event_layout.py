"""The event vocabulary that the published models share: which token stands for what, written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from ondes.notes import Notes
from ondes.representations.event_words import pack, put_before, unpack
from ondes.representations.note_events import (
    PITCHES,
    STEPS_PER_FRAME,
    NoteEvents,
    Starts,
    Tokens,
    TokenSegment,
    changed,
    sounding,
)
from ondes.representations.note_reading import UNTOLD_VELOCITY, Key, NoteReader

PAD, EOS = 0, 1

Places = Int64[np.ndarray, " _"]


@dataclass(frozen=True)
class EventLayout:
    """Blocks of ids in this order: shifts, pitches, velocities, tie, programs, drums.

    Attributes:
        shifts: How many shifts there are, from 0 steps.
        velocity_bins: Loudnesses of a beginning; ends have one more.
        offset: The first id. Those before it are `PAD`, `EOS` and one for unknown words, if there are any.
    """

    shifts: int
    velocity_bins: int
    offset: int

    @property
    def pitch(self) -> int:
        """Id of pitch 0."""
        return self.offset + self.shifts

    @property
    def velocity(self) -> int:
        """Id of the end of a note."""
        return self.pitch + PITCHES

    @property
    def tie(self) -> int:
        """Id of the end of the tied notes."""
        return self.velocity + self.velocity_bins + 1

    @property
    def program(self) -> int:
        """Id of program 0."""
        return self.tie + 1

    @property
    def drum(self) -> int:
        """Id of drum 0."""
        return self.program + PITCHES

    @property
    def size(self) -> int:
        """Ids in use: all below this."""
        return self.drum + PITCHES

    def to_bins(self, velocity: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """0 stays 0, others become ceil(bins * velocity / 127)."""
        return -(-velocity * self.velocity_bins // 127)

    def from_bin(self, velocity_bin: int) -> int:
        """The loudest velocity of a bin; where there is only one, velocity is not told, and 100 is taken."""
        if self.velocity_bins == 1:
            return UNTOLD_VELOCITY
        return 127 * velocity_bin // self.velocity_bins

    def write(
        self,
        events: NoteEvents,
        starts: Starts,
        stop: int,
        *,
        per_step: bool,
        programs: np.ndarray | None,
        end: bool,
    ) -> list[Tokens]:
        """Tokens of segments: the notes that sound already, a tie mark, events, and an end mark if wanted.

        Notes and events are [shift] [program] [velocity] pitch, where brackets hold what is left out if it repeats. A
        shift counts from the beginning of the segment; more steps than the largest shift take several tokens.

        Args:
            events: The whole song, or at least all that came before the segments.
            starts: First steps of the segments, rising; each ends where the next begins.
            stop: Where the last one ends, in steps.
            per_step: Whether programs and velocities are forgotten at each step and tie, and velocities at each
                program; otherwise they are remembered all through a segment.
            programs: What to write for each program, or None to write no programs.
            end: Whether a segment ends with `EOS`.
        """
        bounds = np.searchsorted(events.step, [*starts, stop])
        inside, counts = events.part(int(bounds[0]), int(bounds[-1])), np.diff(bounds)
        owner = np.arange(len(starts)).repeat(counts)
        keys, tied_counts = sounding(events, bounds[:-1])
        tied_owner, tied_program = np.arange(len(starts)).repeat(tied_counts), keys >> 7
        group, program = inside.step if per_step else owner, inside.program
        if programs is None:
            tied_fresh, fresh = np.zeros(len(keys), np.bool_), np.zeros(len(owner), np.bool_)
        else:
            tied_program, program = programs.take(tied_program), programs.take(program)
            tied_fresh = changed(tied_program, tied_owner)
            fresh = _fresh_programs(program, group, ~inside.is_drum)
            if not per_step:
                fresh &= ~_goes_on(program, owner, ~inside.is_drum, tied_program, tied_counts)
        tied = pack([(self.program + tied_program, tied_fresh)], self.pitch + (keys & 127))
        bins = self.to_bins(inside.velocity)
        louder = changed(bins, group)
        if per_step:
            louder |= fresh
        shift = np.where(changed(inside.step, owner), inside.step - starts.repeat(counts), 0)
        whole = np.maximum(shift - 1, 0) // (self.shifts - 1)
        shift -= whole * (self.shifts - 1)
        lanes = [
            (self.offset + shift, shift > 0),
            (self.program + program, fresh),
            (self.velocity + bins, louder),
        ]
        words = pack(lanes, inside.pitch + np.where(inside.is_drum, self.drum, self.pitch))
        if whole.any():
            words, counts = put_before(words, counts, whole, self.offset + self.shifts - 1)
        return unpack(tied, tied_counts, words, counts, tie=self.tie, end=EOS if end else None)

    def read(self, segments: Sequence[TokenSegment]) -> Notes:
        """The notes of segments in order; padding is passed over, and what comes after `EOS` or the kept frames.

        Raises:
            ValueError: If a token stands for nothing.
        """
        reader, stop_frame = NoteReader(), 0
        for segment in segments:
            start_frame = segment.start_frame
            self._read_segment(segment, reader, last=min(stop_frame, start_frame) * STEPS_PER_FRAME)
            stop_frame = start_frame + segment.frames
        return reader.finish(frames=stop_frame)

    def _read_segment(self, segment: TokenSegment, reader: NoteReader, *, last: int) -> None:
        start = segment.start_frame * STEPS_PER_FRAME
        words = list(self._words(segment.tokens))
        ties = [index for index, (block, _) in enumerate(words) if block == "tie"]
        tied = words[: ties[0]] if ties else []
        reader.carry(_keys(tied), step=start, last=last)
        # The program of the last tied note still holds after the tie.
        program = next((value for block, value in reversed(tied) if block == "program"), 0)
        step, waited, velocity_bin = start, 0, 0
        for block, value in words[len(tied) :]:
            waited = waited + value if block == "shift" else 0
            if block == "shift":
                step = start + waited
                if waited >= segment.frames * STEPS_PER_FRAME:
                    return
            elif block == "velocity":
                velocity_bin = value
            elif block == "program":
                program = value
            else:
                self._sound(reader, block, (program, value), step=step, velocity_bin=velocity_bin)

    def _sound(self, reader: NoteReader, block: str, key: Key, *, step: int, velocity_bin: int) -> None:
        """The beginning or end that a pitch or drum token tells of."""
        if block == "pitch" and velocity_bin == 0:
            reader.end(key, step=step)
        elif block == "pitch":
            reader.begin(key, step=step, velocity=self.from_bin(velocity_bin))
        elif block == "drum" and velocity_bin > 0:
            reader.strike(key[1], step=step, velocity=self.from_bin(velocity_bin))

    def _words(self, tokens: Tokens) -> Iterator[tuple[str, int]]:
        """Blocks and the numbers within them."""
        blocks = ("shift", "pitch", "velocity", "tie", "program", "drum")
        firsts = [self.offset, self.pitch, self.velocity, self.tie, self.program, self.drum]
        owners = np.searchsorted(firsts, tokens, side="right") - 1
        for position, (token, owner) in enumerate(zip(tokens.tolist(), owners.tolist(), strict=True)):
            if self.offset and token == EOS:
                return
            if self.offset and token == PAD:
                continue
            if owner < 0 or token >= self.size:
                raise ValueError(
                    f"token {token} at position {position} stands for nothing; those from {self.offset} to "
                    f"{self.size - 1} do"
                )
            yield blocks[owner], token - firsts[owner]


def _fresh_programs(
    program: Places, group: Places, melodic: Bool[np.ndarray, " events"]
) -> Bool[np.ndarray, " events"]:
    """Where the program is not that of the melodic event before it in the same group."""
    chosen = np.flatnonzero(melodic)
    fresh = np.zeros(len(program), np.bool_)
    fresh[chosen] = changed(program.take(chosen), group.take(chosen))
    return fresh


def _goes_on(
    program: Places,
    owner: Places,
    melodic: Bool[np.ndarray, " events"],
    tied_program: Places,
    tied_counts: Places,
) -> Bool[np.ndarray, " events"]:
    """Which events are the first melodic ones of their segment and have the program of its last tied note."""
    chosen = np.flatnonzero(melodic)
    chosen = chosen[changed(owner.take(chosen), owner.take(chosen))]
    segment = owner.take(chosen)
    last = np.append(-1, tied_program)[np.cumsum(tied_counts)[segment]]
    same = np.zeros(len(owner), np.bool_)
    same[chosen] = (tied_counts[segment] > 0) & (last == program.take(chosen))
    return same


def _keys(words: Sequence[tuple[str, int]]) -> set[Key]:
    """Program and pitch of tied notes."""
    keys, program = set(), 0
    for block, value in words:
        if block == "program":
            program = value
        elif block == "pitch":
            keys.add((program, value))
    return keys
