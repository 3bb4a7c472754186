"""Just enough notation to write scores by hand: names to pitches, and a page that collects notes in beats."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

TICKS_PER_BEAT = 480
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"#": 1, "b": -1}
BEND_RANGE_SEMITONES = 2.0


def pitch(name: str) -> int:
    """The MIDI number of a note name such as `F#3`, with C4 = 60."""
    step, octave = name[:-1], int(name[-1])
    return 12 * (octave + 1) + _STEPS[step[0]] + sum(_ACCIDENTALS[sign] for sign in step[1:])


def pitches(names: str) -> list[int]:
    """The MIDI numbers of note names separated by blanks."""
    return [pitch(name) for name in names.split()]


def melody(line: str) -> Iterator[tuple[float, int, float]]:
    """Read a line such as `r:.5 E5:1.5 G5:.5`: onset in beats, pitch, length in beats; `r` rests."""
    beat = 0.0
    for word in line.split():
        name, length = word.split(":")
        if name != "r":
            yield beat, pitch(name), float(length)
        beat += float(length)


@dataclass
class Page:
    """What one player plays, in beats from the start of the piece."""

    name: str
    program: int = 0
    is_drum: bool = False
    notes: list[tuple[int, int, int, int]] = field(default_factory=list)
    controls: list[tuple[int, int, int]] = field(default_factory=list)
    bends: list[tuple[int, int]] = field(default_factory=list)

    def note(self, beat: float, pitch: int, length: float, velocity: float) -> None:
        """Add a note, its velocity clipped to what MIDI can say, its onset to the beginning of the piece."""
        start, stop = ticks(max(beat, 0.0)), ticks(beat + length)
        self.notes.append((start, max(stop - start, 1), pitch, min(max(round(velocity), 1), 127)))

    def control(self, beat: float, number: int, value: float) -> None:
        """Turn a controller (7 volume, 10 pan, 11 expression, 64 sustain pedal) at this beat."""
        self.controls.append((ticks(max(beat, 0.0)), number, min(max(round(value), 0), 127)))

    def bend(self, beat: float, semitones: float) -> None:
        """Set the pitch wheel, which reaches two semitones either way."""
        self.bends.append((ticks(max(beat, 0.0)), round(semitones / BEND_RANGE_SEMITONES * 8191)))


def ticks(beat: float) -> int:
    """Beats to ticks."""
    return round(beat * TICKS_PER_BEAT)


def waver(rng: random.Random, width: float) -> float:
    """A small human deviation: bell-shaped, never beyond twice its width."""
    return min(max(rng.gauss(0.0, width), -2 * width), 2 * width)


def to_midi(pages: Sequence[Page], tempos_bpm: Sequence[tuple[float, float]]) -> bytes:
    """Engrave the pages as one Standard MIDI File.

    Args:
        pages: The players; each becomes a track.
        tempos_bpm: (beat, quarter notes a minute) from that beat on.

    Returns:
        The bytes of the file.
    """
    import symusic  # noqa: PLC0415

    score: Any = symusic.Score(TICKS_PER_BEAT)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    for beat, bpm in tempos_bpm:
        score.tempos.append(symusic.Tempo(ticks(beat), qpm=bpm))
    for page in pages:
        track: Any = symusic.Track(page.name, page.program, page.is_drum)
        for start, length, number, velocity in sorted(page.notes):
            track.notes.append(symusic.Note(start, length, number, velocity))
        for start, number, value in sorted(page.controls):
            track.controls.append(symusic.ControlChange(start, number, value))
        for start, value in sorted(page.bends):
            track.pitch_bends.append(symusic.PitchBend(start, value))
        score.tracks.append(track)
    return score.dumps_midi()
