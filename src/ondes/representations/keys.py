"""Keys: names as people write them, scales, and the key that a set of notes is in."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from ondes.errors import UserError

Mode = Literal["major", "minor"]

MAJOR_STEPS = (0, 2, 4, 5, 7, 9, 11)
MINOR_STEPS = (0, 2, 3, 5, 7, 8, 10)
WIDE_MINOR_STEPS = (0, 2, 3, 5, 7, 8, 9, 10, 11)
"""Natural minor, with the raised sixth and seventh of the melodic and harmonic scale."""

_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
_LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_ACCIDENTALS = {"": 0, "#": 1, "is": 1, "b": -1, "es": -1, "s": -1}
_MODES: dict[str, Mode] = {
    **dict.fromkeys(("major", "maj", "dur", "majeur", "maggiore", "mayor"), "major"),
    **dict.fromkeys(("minor", "min", "moll", "mineur", "minore", "menor"), "minor"),
}
_LETTER_MODES: dict[str, Mode] = {"": "major", "m": "minor", "M": "major"}
_GERMAN = ("dur", "moll")
_TONIC = re.compile(r"([a-h])(is|es|#|b|(?<=[ae])s|)", re.IGNORECASE)
_EXAMPLES = "write a key such as 'D minor', 'F# major', 'Bb', 'Am' or 'es-Moll'"

KRUMHANSL_KESSLER: NDArray[np.float64] = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
"""How well each degree fits a major and a minor key, (2, 12): Krumhansl and Kessler (1982), table 1."""


@dataclass(frozen=True)
class Key:
    """A tonic, as a pitch class from C = 0, and a mode."""

    tonic: int
    mode: Mode

    def __post_init__(self) -> None:
        if not 0 <= self.tonic <= 11 or self.mode not in ("major", "minor"):
            raise ValueError(f"no key: tonic {self.tonic}, mode {self.mode!r}")

    @classmethod
    def from_index(cls, index: int) -> Key:
        """The inverse of `index`."""
        return cls(index % 12, "major" if index < 12 else "minor")

    @property
    def index(self) -> int:
        """0 to 11 for C major to B major, 12 to 23 for C minor to B minor."""
        return self.tonic + 12 * (self.mode == "minor")

    @property
    def scale(self) -> frozenset[int]:
        """The seven pitch classes of the scale, the natural one in minor."""
        return self._classes(MAJOR_STEPS if self.mode == "major" else MINOR_STEPS)

    @property
    def wide_scale(self) -> frozenset[int]:
        """The scale, in minor with the raised sixth and seventh: nine pitch classes."""
        return self._classes(MAJOR_STEPS if self.mode == "major" else WIDE_MINOR_STEPS)

    @property
    def sharps(self) -> int:
        """The key signature: sharps, or flats as a negative number; -6 to 6."""
        major_tonic = self.tonic if self.mode == "major" else self.tonic + 3
        sharps = 7 * major_tonic % 12
        return sharps - 12 if sharps > 6 or str(self) == "Eb minor" else sharps

    def transposed(self, semitones: int) -> Key:
        """The key of the same music moved by semitones."""
        return Key((self.tonic + semitones) % 12, self.mode)

    def _classes(self, steps: tuple[int, ...]) -> frozenset[int]:
        return frozenset((self.tonic + step) % 12 for step in steps)

    def __str__(self) -> str:
        names = _MAJOR_NAMES if self.mode == "major" else _MINOR_NAMES
        return f"{names[self.tonic]} {self.mode}"


KEYS = tuple(Key.from_index(index) for index in range(24))
"""All keys in the order of their index."""


def parse_key(text: str) -> Key:
    """Read a key as people write it.

    Letters of any case with `#`, `b`, "sharp", "flat" or the German endings (`fis`, `es`, `as`); "major",
    "minor", "maj", "min", "m", "Dur", "Moll" and their French, Italian and Spanish forms, set off by a blank, a
    hyphen or nothing; a capital letter alone is major. H is B, and with "Dur" or "Moll" B is B flat, as in
    German.

    Args:
        text: Such as "D minor", "F# major", "Bb", "Am", "es-Moll".

    Raises:
        UserError: If this is no key, or a small letter alone, which some read as minor and some as major.
    """
    tonic_text, mode_word = _split(text)
    tonic = _TONIC.fullmatch(tonic_text)
    mode = _LETTER_MODES.get(mode_word) or _MODES.get(mode_word.lower())
    if tonic is None or mode is None:
        raise UserError(f"no key: {text!r}; {_near_names(text)}{_EXAMPLES}")
    if not mode_word and tonic_text[0].islower():
        name = tonic_text.capitalize()
        raise UserError(
            f"key {text!r} may mean major or minor; write '{name} major' or '{name} minor' to say which"
        )
    return Key(_pitch_class(*tonic.groups(), german=mode_word.lower() in _GERMAN), mode)


def detect_key(
    pitch: NDArray[np.int64],
    duration_quarters: NDArray[np.float64],
    weights: Float[NDArray[np.float64], "2 12"] = KRUMHANSL_KESSLER,
) -> Key | None:
    """The key whose profile correlates best with the time that each pitch class sounds.

    Krumhansl (1990), chapter 4. With the default profiles it equals music21's `analyze("Krumhansl")`. Drums are
    to be left out.

    Args:
        pitch: MIDI pitches (notes,).
        duration_quarters: How long each sounds, in any unit (notes,).
        weights: The profile of a major and of a minor key on C.

    Returns:
        The best key; None where there are no notes, or all pitch classes sound equally long.
    """
    correlations = key_correlations(pitch, duration_quarters, weights)
    return Key.from_index(int(np.argmax(correlations))) if correlations.any() else None


def key_correlations(
    pitch: NDArray[np.int64],
    duration_quarters: NDArray[np.float64],
    weights: Float[NDArray[np.float64], "2 12"] = KRUMHANSL_KESSLER,
) -> Float[NDArray[np.float64], "24"]:
    """Pearson's correlation of the notes' pitch classes with the profile of each key, as in `detect_key`."""
    heard = np.bincount(pitch % 12, duration_quarters, 12)
    heard = heard - heard.mean()
    size = np.linalg.norm(heard)
    if size < 1e-9 * max(float(np.sum(duration_quarters)), 1e-9):
        return np.zeros(24)
    centred = weights - weights.mean(axis=1, keepdims=True)
    profiles = np.stack([np.roll(row, tonic) for row in centred for tonic in range(12)])
    return profiles @ (heard / size) / np.linalg.norm(profiles, axis=1)


def _split(text: str) -> tuple[str, str]:
    """The tonic and the word of the mode, which may stick together; signs and long words in their short form."""
    plain = text.strip().replace("♯", "#").replace("♭", "b")
    plain = re.sub(r"[\s\-_]*sharp", "#", plain, flags=re.IGNORECASE)
    plain = re.sub(r"[\s\-_]*flat", "b", plain, flags=re.IGNORECASE)
    words = re.split(r"[\s\-_]+", plain)
    if len(words) == 1:
        modes = "|".join(sorted((*_MODES, "m"), key=len, reverse=True))
        stuck = re.fullmatch(rf"(.*?)({modes}|)", plain, flags=re.IGNORECASE)
        words = list(stuck.groups()) if stuck else [plain, ""]
    return words[0], " ".join(words[1:])


def _pitch_class(letter: str, accidental: str, *, german: bool) -> int:
    """The pitch class of a letter with its accidental."""
    if german and letter.lower() == "b" and not accidental:
        return 10
    return (_LETTERS[letter.lower()] + _ACCIDENTALS[accidental.lower()]) % 12


def _near_names(text: str) -> str:
    """A question that offers up to three keys of similar spelling, and a blank; nothing where none is near."""
    close = difflib.get_close_matches(text.strip().lower(), [str(key).lower() for key in KEYS], n=3)
    named = [str(key) for name in close for key in KEYS if str(key).lower() == name]
    return f"did you mean {', '.join(repr(name) for name in named)}? " if named else ""
