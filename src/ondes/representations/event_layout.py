"""The event vocabulary that the published models share: which token stands for what, written and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from ondes.notes import Notes
from ondes.representations.note_events import (
    END,
    EVENT,
    PITCHES,
    STEPS_PER_FRAME,
    TIE,
    TIED,
    Row,
    Tokens,
    TokenSegment,
    changed,
    gather,
)
from ondes.representations.note_reading import UNTOLD_VELOCITY, Key, NoteReader

PAD, EOS = 0, 1


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

    def write(self, row: Row, *, per_step: bool, programs: np.ndarray | None, end: bool) -> list[Tokens]:
        """Tokens of rows: [shift] [program] [velocity] pitch, where brackets hold what is left out if it repeats.

        A shift counts from the beginning of the segment; more steps than the largest shift take several tokens.

        Args:
            row: Rows of some segments.
            per_step: Whether programs and velocities are forgotten at each step and tie, and velocities at each
                program; otherwise they are remembered all through a segment.
            programs: What to write for each program, or None to write no programs.
            end: Whether a segment ends with `EOS`.
        """
        event, tied = row.kind == EVENT, row.kind == TIED
        fresh = changed(row.step, row.segment, event)
        group = np.cumsum(fresh | (row.kind == TIE)) if per_step else row.segment
        if per_step:
            group += row.segment  # the tied notes of a segment are a group of their own
        written = row.program if programs is None else programs[row.program]
        new_program = changed(written, group, tied | (event & ~row.is_drum)) & (programs is not None)
        bins = self.to_bins(row.velocity)
        new_velocity = changed(bins, group, event)
        if per_step:
            new_velocity |= new_program & event
        last = row.pitch + np.where(row.is_drum, self.drum, self.pitch)
        last[row.kind == TIE] = self.tie
        last[row.kind == END] = EOS
        largest = self.shifts - 1
        shifts = [row.step]
        if (most := int(row.step.max(initial=0))) > largest:
            shifts = [np.clip(row.step - before, 0, largest) for before in range(0, most, largest)]
        columns = [
            *(self.offset + shift for shift in shifts),
            self.program + written,
            self.velocity + bins,
            last,
        ]
        masks = [
            *(fresh & (shift > 0) for shift in shifts),
            new_program,
            new_velocity,
            end | (row.kind != END),
        ]
        return gather(columns, masks, row)

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


def _keys(words: Sequence[tuple[str, int]]) -> set[Key]:
    """Program and pitch of tied notes."""
    keys, program = set(), 0
    for block, value in words:
        if block == "program":
            program = value
        elif block == "pitch":
            keys.add((program, value))
    return keys
