"""Metres: names as people write them, the length of a bar, and how strong each place in it is."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from fractions import Fraction

from ondes.errors import UserError

DENOMINATORS = (1, 2, 4, 8, 16, 32)
LONGEST_BAR_QUARTERS = 8
"""Longer bars have positions for which the note tokens have no place."""


@dataclass(frozen=True)
class Metre:
    """A time signature."""

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if self.numerator < 1 or self.denominator not in DENOMINATORS:
            raise ValueError(f"no metre: {self.numerator}/{self.denominator}")

    @property
    def bar_quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return 4 * self.numerator / self.denominator

    @property
    def is_compound(self) -> bool:
        """Whether three of its units make a beat: 6/8, 9/8, 12/8, 6/4, ..."""
        return self.numerator > 3 and self.numerator % 3 == 0

    @property
    def groups(self) -> tuple[int, ...]:
        """How many units each beat group of the bar has: (3, 3) for 6/8, (2, 2) for 4/4, (3, 2) for 5/4.

        Metres that neither two nor three divides begin with a three and go on in twos, as most are felt.
        """
        if self.is_compound:
            return (3,) * (self.numerator // 3)
        if self.numerator % 2 and self.numerator > 3:
            return (3, *(2,) * ((self.numerator - 3) // 2))
        return (2,) * (self.numerator // 2) if self.numerator > 3 else (1,) * self.numerator

    def level(self, position_quarters: Fraction) -> int:
        """How strong a place in the bar is: 4 its start, 3 a group of beats, 2 a unit, 1 half a unit, 0 between.

        Lerdahl and Jackendoff (1983), chapter 4, with one grid of dots for each metre.

        Args:
            position_quarters: Quarter notes from the start of the bar.
        """
        units = position_quarters * self.denominator / 4 % self.numerator
        if units == 0:
            return 4
        if units.denominator > 1:
            return 1 if units.denominator == 2 else 0
        starts = [sum(self.groups[:index]) for index in range(len(self.groups))]
        return 3 if int(units) in starts and max(self.groups) > 1 else 2

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


METRES = tuple(
    Metre(numerator, denominator)
    for numerator, denominator in (
        *((4, 4), (3, 4), (2, 4), (6, 8), (2, 2), (3, 8), (9, 8), (12, 8)),
        *((6, 4), (3, 2), (4, 2), (4, 8), (5, 4), (7, 8), (5, 8)),
    )
)
"""Metres that a model can be asked for; all but a hundredth of the bars of engraved music are in one of them."""

_WORDS = {
    "c": Metre(4, 4),
    "common": Metre(4, 4),
    "common time": Metre(4, 4),
    "waltz": Metre(3, 4),
    "c|": Metre(2, 2),
    "cut": Metre(2, 2),
    "cut time": Metre(2, 2),
    "alla breve": Metre(2, 2),
}


def parse_metre(text: str) -> Metre:
    """Read a metre such as "3/4", "6:8", "common time" or "alla breve".

    Raises:
        UserError: If it is none, its unit is no kind of note, or its bar is longer than eight quarter notes.
    """
    word = " ".join(text.lower().split())
    if word in _WORDS:
        return _WORDS[word]
    numbers = re.fullmatch(r"(\d{1,3})\s*[/:]\s*(\d{1,3})", word)
    if numbers is None:
        close = difflib.get_close_matches(word, [*map(str, METRES), *_WORDS], n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(repr(name) for name in close)}? " if close else ""
        raise UserError(f"no metre: {text!r}; {hint}write it as '3/4' or '6/8'")
    numerator, denominator = int(numbers[1]), int(numbers[2])
    if denominator not in DENOMINATORS:
        raise UserError(
            f"metre {text!r}: there is no 1/{denominator} note; the lower number is one of "
            f"{', '.join(map(str, DENOMINATORS))}: write '{max(numerator, 1)}/{_near_unit(denominator)}'"
        )
    if numerator < 1:
        raise UserError(f"metre {text!r} has empty bars; write at least '1/{denominator}'")
    metre = Metre(numerator, denominator)
    if metre.bar_quarters > LONGEST_BAR_QUARTERS:
        raise UserError(
            f"metre {text!r} has bars of {metre.bar_quarters:g} quarter notes; at most "
            f"{LONGEST_BAR_QUARTERS} are possible: write a shorter bar, such as '4/4'"
        )
    return metre


def _near_unit(denominator: int) -> int:
    """The note value nearest to one that there is not."""
    return min(DENOMINATORS, key=lambda unit: abs(unit - denominator))
