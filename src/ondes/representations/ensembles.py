"""Who plays: ensembles by name, and lists of instruments as people write them."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass, replace

from ondes.errors import UserError
from ondes.representations.instrument_names import INSTRUMENTS, instrument_name
from ondes.representations.note_sequence import DRUMS, PARTS
from ondes.representations.ranges import DRUM_KEYS, HIGH, LOW

_VOICES = {"soprano": (60, 84), "alto": (53, 77), "tenor": (48, 72), "bass": (40, 65)}
_CHOIR, _ACOUSTIC_BASS = 52, 43
TWO_STAVES = frozenset((*range(0, 8), 16, 17, 18, 19, 20, 46))
"""Keyboards and harp: engraved music gives each hand a part of its own."""
_NUMBERS = {
    **{word: number for number, word in enumerate(("one", "two", "three", "four"), 1)},
    **{word: number for number, word in enumerate(("i", "ii", "iii", "iv"), 1)},
    **{word: number for number, word in enumerate(("first", "second", "third", "fourth"), 1)},
    **{word: number for number, word in enumerate(("1st", "2nd", "3rd", "4th"), 1)},
}


@dataclass(frozen=True)
class PartSpec:
    """One part: its name, its instrument, and which of several parts of that instrument it is.

    Attributes:
        name: What to call the track.
        instrument: General MIDI program, or `DRUMS`.
        part_number: 0 for the first part of the instrument, to 3.
        compass: Lowest and highest pitch, where it is narrower than that of the instrument.
    """

    name: str
    instrument: int
    part_number: int = 0
    compass: tuple[int, int] | None = None

    @property
    def low(self) -> int:
        """Lowest pitch, or drum key."""
        return self._compass[0]

    @property
    def high(self) -> int:
        """Highest pitch, or drum key."""
        return self._compass[1]

    @property
    def _compass(self) -> tuple[int, int]:
        if self.compass is not None:
            return self.compass
        if self.instrument == DRUMS:
            return DRUM_KEYS
        return int(LOW[self.instrument]), int(HIGH[self.instrument])


_LISTS = {
    "piano": "piano",
    "harpsichord": "harpsichord",
    "organ": "organ",
    "guitar": "guitar",
    "string trio": "violin, viola, cello",
    "string quartet": "violin 1, violin 2, viola, cello",
    "string quintet": "violin 1, violin 2, viola 1, viola 2, cello",
    "string orchestra": "violin 1, violin 2, viola, cello, double bass",
    "piano trio": "violin, cello, piano",
    "piano quartet": "violin, viola, cello, piano",
    "piano quintet": "violin 1, violin 2, viola, cello, piano",
    "violin sonata": "violin, piano",
    "cello sonata": "cello, piano",
    "flute sonata": "flute, piano",
    "voice and piano": "voice, piano",
    "lied": "voice, piano",
    "song": "voice, piano",
    "choir": "soprano, alto, tenor, bass",
    "satb": "soprano, alto, tenor, bass",
    "wind quintet": "flute, oboe, clarinet, horn, bassoon",
    "brass quintet": "trumpet 1, trumpet 2, horn, trombone, tuba",
    "saxophone quartet": "soprano sax, alto sax, tenor sax, baritone sax",
    "recorder quartet": "recorder 1, recorder 2, recorder 3, recorder 4",
    "jazz trio": "piano, acoustic bass, drums",
    "jazz quartet": "tenor sax, piano, acoustic bass, drums",
    "band": "piano, steel guitar, bass, strings, drums",
    "pop band": "piano, steel guitar, bass, strings, drums",
    "rock band": "distortion guitar, overdriven guitar, bass, drums",
    "chamber orchestra": (
        "flute, oboe 1, oboe 2, bassoon, horn 1, horn 2, violin 1, violin 2, viola, cello, double bass"
    ),
    "orchestra": (
        "flute 1, flute 2, oboe 1, oboe 2, clarinet 1, clarinet 2, bassoon 1, bassoon 2, horn 1, horn 2, "
        "trumpet 1, trumpet 2, timpani, violin 1, violin 2, viola, cello, double bass"
    ),
}


def parse_ensemble(text: str) -> tuple[PartSpec, ...]:
    """Read an ensemble's name, or a list of instruments.

    Instruments are General MIDI names or what people call them ("cello", "horn", "drums"), numbered where there
    are several ("violin 1", "violin II", "first violin") or counted ("2 violins"), set off by commas, "and",
    "+", "&" or "/". "Bass" beside another voice is a voice, otherwise a bass guitar.

    Args:
        text: Such as "string quartet", "violin, cello", "voice and piano".

    Raises:
        UserError: If a name is not known, a part is named twice, or an instrument has more than four parts.
    """
    plain = " ".join(text.lower().replace("_", " ").split())
    if plain in ENSEMBLES:
        return ENSEMBLES[plain]
    return _numbered(text, _read_list(plain))


def with_two_hands(parts: tuple[PartSpec, ...]) -> tuple[PartSpec, ...]:
    """The same ensemble with a part for each hand of a keyboard or harp, as engraved music has it.

    Only where the instrument has a single part and no drums play: bands write a keyboard on one staff.
    """
    if any(part.instrument == DRUMS for part in parts):
        return parts
    counts = Counter(part.instrument for part in parts)
    hands: list[PartSpec] = []
    for part in parts:
        if part.instrument in TWO_STAVES and counts[part.instrument] == 1:
            names = (f"{part.name}, right hand", f"{part.name}, left hand")
            hands += [replace(part, name=name, part_number=number) for number, name in enumerate(names)]
        else:
            hands.append(part)
    return tuple(hands)


def _read_list(plain: str) -> list[tuple[str, int, int | None]]:
    """Name, instrument and number (0 for the first; None if not given) of each part of a list."""
    words = [word.strip() for word in re.split(r"[,;+&/]|\band\b", plain) if word.strip()]
    read = [_read_part(word) for word in words]
    named = {name for name, _, _ in read}
    if named & {"soprano", "alto", "tenor"}:
        read = [(name, _CHOIR if name == "bass" else program, number) for name, program, number in read]
    elif any(40 <= program <= 43 for _, program, _ in read) and not named & {"drums"}:
        read = [
            ("double bass", _ACOUSTIC_BASS, number) if name == "bass" else (name, program, number)
            for name, program, number in read
        ]
    return [entry for entry, word in zip(read, words, strict=True) for _ in range(_count(word))]


def _read_part(word: str) -> tuple[str, int, int | None]:
    """Name, instrument and number of one entry, such as "violin 2", "first violin" or "2 violins"."""
    first, _, rest = word.partition(" ")
    front, _, last = word.rpartition(" ")
    if word in INSTRUMENTS:
        return _named(word, word, None)
    if rest and _ordinal(first) and _singular(rest) is not None:
        number = None if _count(word) > 1 or first in ("1", "one") else _ordinal(first)
        return _named(word, rest, number)
    if front and _ordinal(last) and _singular(front) is not None:
        return _named(word, front, _ordinal(last))
    return _named(word, word, None)


def _named(word: str, name: str, number: int | None) -> tuple[str, int, int | None]:
    """An entry with its usual name, or the refusal of a word."""
    known = _singular(name)
    if known is None:
        close = difflib.get_close_matches(word, [*ENSEMBLES, *INSTRUMENTS], n=3)
        hint = f"did you mean {', '.join(repr(other) for other in close)}? " if close else ""
        raise UserError(
            f"no instrument or ensemble: {word!r}; {hint}Write General MIDI instruments ('violin, cello') or an "
            "ensemble ('string quartet', 'voice and piano', 'wind quintet', 'band', ...)"
        )
    program = INSTRUMENTS[known]
    usual = known if known in _VOICES or program == _CHOIR else instrument_name(program)
    return usual, program, None if number is None else number - 1


def _singular(name: str) -> str | None:
    """The name under which an instrument is listed; None if it is not."""
    for candidate in (name, name.removesuffix("s"), name.removesuffix("es")):
        if candidate in INSTRUMENTS:
            return candidate
    return None


def _ordinal(word: str) -> int | None:
    """The number that a digit, a Roman number or a word of order stands for, at least 1."""
    number = int(word) if word.isdigit() and len(word) < 4 else _NUMBERS.get(word, 0)
    return number or None


def _count(word: str) -> int:
    """How many parts an entry stands for: 2 for "2 violins" and "two violins", 1 for "violin 2" and "ii violin"."""
    first, _, rest = word.partition(" ")
    counts = first.isdigit() or first in ("two", "three", "four")
    return (_ordinal(first) or 1) if rest and counts and _singular(rest) and word not in INSTRUMENTS else 1


def _numbered(text: str, read: list[tuple[str, int, int | None]]) -> tuple[PartSpec, ...]:
    """Parts with their numbers: those given, and the next free ones for the rest."""
    if not read:
        raise UserError(
            f"nobody plays in {text!r}; write an ensemble ('string quartet') or a list ('violin, cello')"
        )
    for program, count in Counter(program for _, program, _ in read).items():
        highest = max(
            (number for _, other, number in read if other == program and number is not None), default=0
        )
        if max(count, highest + 1) > PARTS:
            raise UserError(
                f"{text!r} has more than {PARTS} parts of {instrument_name(program)}; "
                f"write at most {instrument_name(program)} 1 to {PARTS}"
            )
    taken: set[tuple[int, int]] = set()
    for name, program, number in read:
        if number is not None and (program, number) in taken:
            raise UserError(f"{text!r} names {name} {number + 1} twice; leave one out")
        taken |= {(program, number)} if number is not None else set()
    names = Counter(name for name, _, _ in read)
    parts = []
    for name, program, number in read:
        place = number
        if place is None:
            place = next(free for free in range(PARTS) if (program, free) not in taken)
            taken.add((program, place))
        alone = names[name] == 1 and number is None
        compass = _VOICES.get(name) if program == _CHOIR else None
        parts.append(PartSpec(name if alone else f"{name} {place + 1}", program, place, compass))
    return tuple(parts)


ENSEMBLES: dict[str, tuple[PartSpec, ...]] = {}
"""Parts of each ensemble that has a name."""
ENSEMBLES.update({name: _numbered(name, _read_list(words)) for name, words in _LISTS.items()})
