"""Stretches of a sound in samples, and how people write them: `12.5-15,1:03-1:07.25`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ondes.errors import UserError

_TIME = re.compile(r"(?:(?:([0-9]+):)?([0-9]+):)?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
"""Hours, minutes and seconds of `1:02:03.5`; only the seconds have decimals."""

END = "end"
"""The word for the last sample's end."""

ALLOWED = "write start-stop in seconds or minutes:seconds, several with commas, as 12.5-15,1:03-1:07.25"


@dataclass(frozen=True, order=True)
class Region:
    """Samples from `start` up to, but without, `stop`, counted from 0 in each channel.

    Raises:
        ValueError: If it begins before 0, or holds no sample.
    """

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"samples {self.start} to {self.stop} are no region; 0 <= start < stop is")

    @property
    def samples(self) -> int:
        """How many there are in each channel."""
        return self.stop - self.start


def parse_seconds(text: str) -> Fraction:
    """A time as people write it, exactly: `12.5`, `1:07.25` or `1:02:03.5`.

    Returns:
        Seconds; decimals stay what they are, so that 0.1 is a tenth.

    Raises:
        UserError: If it is no such time, or has 60 or more minutes or seconds after a colon.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"{text.strip()!r} is no time; write seconds as 12.5, or minutes as 1:07.25 or 1:02:03.5"
        )
    hours, minutes, seconds = match.groups()
    limited = [part for part, above in ((minutes, hours), (seconds, minutes)) if part and above]
    if any(Fraction(part) >= 60 for part in limited):
        raise UserError(
            f"{text.strip()!r} is no time: after a colon there are 0 to 59; write 75 s as 75 or 1:15"
        )
    return 3600 * Fraction(hours or 0) + 60 * Fraction(minutes or 0) + Fraction(seconds)


def parse_regions(text: str, *, sample_rate_hz: int, length_samples: int) -> tuple[Region, ...]:
    """The regions of one line, to the nearest sample.

    Args:
        text: As `12.5-15,1:03-1:07.25`, in any order; `end` stands for the end of the sound.
        sample_rate_hz: Rate of the sound.
        length_samples: Samples of the sound in each channel.

    Returns:
        In order of time; they may touch.

    Raises:
        UserError: If one is no region, is backwards, shorter than a sample or past the end, or two overlap.
    """
    spans = []
    for word in text.split(","):
        start, dash, stop = (part.strip() for part in word.partition("-"))
        if not (start and dash and stop) or "-" in stop:
            raise UserError(f"{word.strip()!r} is no region; {ALLOWED}")
        begin = parse_seconds(start)
        end = Fraction(length_samples, sample_rate_hz) if stop == END else parse_seconds(stop)
        spans.append((word.strip(), begin, end))
    return _checked(spans, sample_rate_hz, length_samples)


def to_regions(
    given: str | Sequence[Region] | Sequence[tuple[float, float]], *, sample_rate_hz: int, length_samples: int
) -> tuple[Region, ...]:
    """Regions however they are given, checked as those of `parse_regions`.

    Args:
        given: A line for `parse_regions`, regions in samples, or pairs of start and stop in seconds.
        sample_rate_hz: Rate of the sound.
        length_samples: Samples of the sound in each channel.

    Returns:
        In order of time; they may touch.

    Raises:
        UserError: As `parse_regions`, or if there is none.
    """
    if isinstance(given, str):
        return parse_regions(given, sample_rate_hz=sample_rate_hz, length_samples=length_samples)
    spans = []
    for one in given:
        if isinstance(one, Region):
            bounds = (Fraction(one.start, sample_rate_hz), Fraction(one.stop, sample_rate_hz))
        else:
            bounds = _seconds(one)
        spans.append((f"{float(bounds[0]):g}-{float(bounds[1]):g}", *bounds))
    return _checked(spans, sample_rate_hz, length_samples)


def _seconds(pair: object) -> tuple[Fraction, Fraction]:
    """Start and stop of a pair of numbers."""
    numbers = list(pair) if isinstance(pair, Iterable) else []
    if len(numbers) != 2 or not all(isinstance(one, int | float) and math.isfinite(one) for one in numbers):
        raise UserError(f"{pair!r} is no region; give (start, stop) in seconds, as (12.5, 15)")
    if numbers[0] < 0:
        raise UserError(f"the region {numbers[0]}-{numbers[1]} begins before the sound; begin at 0")
    return Fraction(numbers[0]), Fraction(numbers[1])


def _checked(
    spans: list[tuple[str, Fraction, Fraction]], sample_rate_hz: int, length_samples: int
) -> tuple[Region, ...]:
    """Spans in seconds, each with how it was written, as regions in order of time."""
    if not spans:
        raise UserError(f"no region is given; {ALLOWED}")
    named = [
        (_region(word, start, stop, sample_rate_hz, length_samples), word) for word, start, stop in spans
    ]
    named.sort()
    for (first, earlier), (second, later) in pairwise(named):
        if second.start < first.stop:
            raise UserError(
                f"the regions {earlier} and {later} overlap; join them into one, or move a border"
            )
    return tuple(region for region, _ in named)


def _region(word: str, start: Fraction, stop: Fraction, sample_rate_hz: int, length_samples: int) -> Region:
    """One region to the nearest sample, halves up; `word` is how a person wrote it."""
    if stop < start:
        raise UserError(f"the region {word} runs backwards; write the earlier time first")
    first, last = (math.floor(time * sample_rate_hz + Fraction(1, 2)) for time in (start, stop))
    if last > length_samples:
        length_s = math.floor(Fraction(length_samples * 1000, sample_rate_hz)) / 1000
        raise UserError(
            f"the region {word} goes past the end of the sound, which is {length_s:g} s long; "
            f"write {END} for its end, as 1:03-{END}"
        )
    if last == first:
        raise UserError(
            f"the region {word} has no length: it holds no sample at {sample_rate_hz} Hz; widen it"
        )
    return Region(first, last)
