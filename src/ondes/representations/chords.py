"""Chords over bars: "C | Am | F G | C7"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from ondes.errors import UserError

MOST_CHORDS_IN_A_BAR = 16
MOST_BARS = 10_000

_QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "5": (0, 7),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug7": (0, 4, 8, 10),
    "7sus4": (0, 5, 7, 10),
    "add9": (0, 2, 4, 7),
    "9": (0, 2, 4, 7, 10),
    "maj9": (0, 2, 4, 7, 11),
    "min9": (0, 2, 3, 7, 10),
    "7b9": (0, 1, 4, 7, 10),
    "7#9": (0, 3, 4, 7, 10),
    "11": (0, 2, 5, 7, 10),
    "13": (0, 2, 4, 7, 9, 10),
}
_SAME = {
    **dict.fromkeys(("", "M", "major"), "maj"),
    **dict.fromkeys(("m", "-", "minor", "mi"), "min"),
    **dict.fromkeys(("o", "°"), "dim"),
    **dict.fromkeys(("+",), "aug"),
    **dict.fromkeys(("sus",), "sus4"),
    **dict.fromkeys(("maj6", "M6"), "6"),
    **dict.fromkeys(("m6", "-6"), "min6"),
    **dict.fromkeys(("M7", "Δ", "Δ7", "major7"), "maj7"),
    **dict.fromkeys(("m7", "-7", "mi7", "minor7"), "min7"),
    **dict.fromkeys(("mM7", "mmaj7", "m(maj7)", "minM7"), "minmaj7"),
    **dict.fromkeys(("o7", "°7"), "dim7"),
    **dict.fromkeys(("m7b5", "-7b5", "ø", "ø7", "min7b5"), "hdim7"),
    **dict.fromkeys(("+7", "7#5"), "aug7"),
    **dict.fromkeys(("7sus",), "7sus4"),
    **dict.fromkeys(("M9",), "maj9"),
    **dict.fromkeys(("m9", "-9"), "min9"),
}
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "H": 11}
_NOTE = "([A-H])([#b]?)"
_CHORD = re.compile(rf"{_NOTE}:?([^/]*)(?:/(?:{_NOTE}|([#b]?\d+)))?")
_NO_CHORD = ("N", "NC", "N.C.", "-")
_SHARP_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Chord:
    """Notes that sound together, by name.

    Attributes:
        name: As it was written.
        classes: Its pitch classes, from C = 0; all twelve where anything may sound.
    """

    name: str
    classes: frozenset[int]


ANYTHING = Chord("N", frozenset(range(12)))


@dataclass(frozen=True)
class ChordTrack:
    """The chords of each bar, which divide it evenly; after the last bar it starts again.

    Attributes:
        bars: At least one bar with at least one chord each.
    """

    bars: tuple[tuple[Chord, ...], ...]

    def chord_at(self, bar: int, share: float) -> Chord:
        """The chord of a place.

        Args:
            bar: Index of the bar in the piece.
            share: How much of the bar has passed, from 0 to below 1.
        """
        chords = self.bars[bar % len(self.bars)]
        # A position of a whole number of steps is never a rounding error away from its chord.
        return chords[min(int(share * len(chords) + 1e-9), len(chords) - 1)]

    def classes(self, bar: int, steps: int, positions: int) -> Bool[np.ndarray, "{positions} 12"]:
        """Which pitch classes may begin at each step of a bar.

        Args:
            bar: Index of the bar in the piece.
            steps: Length of the bar in steps.
            positions: Rows; those behind the end of the bar have the last chord.
        """
        table = np.zeros((positions, 12), np.bool_)
        for step in range(positions):
            table[step, list(self.chord_at(bar, min(step / steps, 1.0)).classes)] = True
        return table

    def __iter__(self) -> Iterator[tuple[int, Chord]]:
        """Every chord with the index of its bar."""
        return ((bar, chord) for bar, chords in enumerate(self.bars) for chord in chords)


def parse_chords(text: str) -> ChordTrack:
    """Read chords, their bars divided by `|`, several chords of a bar by blanks.

    Lead-sheet names ("Am", "F#m7b5", "Cmaj7", "G7sus4") and those of Harte et al. (2005) ("A:min7", "C:maj/3");
    a bass note after a slash is added to the chord. `N` allows everything; `%` or an empty bar repeats the bar
    before.

    Raises:
        UserError: If a chord is not known, or there is none, or too many.
    """
    bars: list[tuple[Chord, ...]] = []
    texts = text.strip().removeprefix("|").removesuffix("|").split("|")
    if len(texts) > MOST_BARS:
        raise UserError(
            f"{len(texts)} bars of chords; at most {MOST_BARS} are possible: they repeat by themselves"
        )
    for number, bar in enumerate(texts, 1):
        words = bar.replace("♯", "#").replace("♭", "b").split()
        if words in ([], ["%"]):
            if not bars:
                raise UserError(
                    f"no chord in bar {number} of {text!r}; write chords such as 'C | Am | F G | C'"
                )
            bars.append(bars[-1])
            continue
        if len(words) > MOST_CHORDS_IN_A_BAR:
            raise UserError(
                f"bar {number} has {len(words)} chords; at most {MOST_CHORDS_IN_A_BAR} are possible: divide bars with |"
            )
        bars.append(tuple(_parse_chord(word, number) for word in words))
    return ChordTrack(tuple(bars))


def class_names(classes: frozenset[int]) -> str:
    """Pitch classes as people read them: "C, Eb, G"."""
    return ", ".join(_SHARP_NAMES[index] for index in sorted(classes))


def _parse_chord(word: str, bar: int) -> Chord:
    """One chord.

    Raises:
        UserError: If it is not known.
    """
    if word in _NO_CHORD:
        return ANYTHING
    match = _CHORD.fullmatch(word)
    steps = None if match is None else _QUALITIES.get(_SAME.get(match[3], match[3]))
    if match is None or steps is None:
        raise UserError(
            f"no chord: {word!r} in bar {bar}; {_near_chords(word)}write chords such as 'C', 'F#m7', 'Bb:maj7'"
        )
    root = _class(match[1], match[2])
    classes = {(root + step) % 12 for step in steps}
    if match[4]:
        classes.add(_class(match[4], match[5]))
    elif match[6]:
        classes.add((root + _degree(match[6], word, bar)) % 12)
    return Chord(word, frozenset(classes))


def _class(letter: str, accidental: str) -> int:
    """The pitch class of a note name."""
    return (_LETTERS[letter] + {"": 0, "#": 1, "b": -1}[accidental]) % 12


def _degree(text: str, word: str, bar: int) -> int:
    """Semitones of a degree of the major scale, as in `C:maj/b7`."""
    number = int(text.lstrip("#b"))
    if not 1 <= number <= 13:
        raise UserError(
            f"no chord: {word!r} in bar {bar}; a bass is a note such as 'E' or a degree from 1 to 13"
        )
    octave, degree = divmod(number - 1, 7)
    return 12 * octave + (0, 2, 4, 5, 7, 9, 11)[degree] + {"#": 1, "b": -1}.get(text[0], 0)


def _near_chords(word: str) -> str:
    """A question that offers up to three chords of similar spelling, and a blank; nothing where none is near."""
    root = re.match(r"[A-Ha-h][#b]?", word)
    if root is None:
        return ""
    name = root[0].capitalize()
    usual = [name, *(name + quality for quality in (*_SAME, *_QUALITIES) if quality)]
    close = difflib.get_close_matches(word[:1].upper() + word[1:], usual, n=3, cutoff=0.4)
    return f"did you mean {', '.join(repr(other) for other in close)}? " if close else ""
