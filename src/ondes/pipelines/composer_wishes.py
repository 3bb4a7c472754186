"""What a person asks of a composition, read from words and checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.errors import UserError, nearest
from ondes.representations.chords import parse_chords
from ondes.representations.ensembles import PartSpec, parse_ensemble
from ondes.representations.keys import Key, parse_key
from ondes.representations.metres import Metre, parse_metre

if TYPE_CHECKING:
    from ondes.representations.chords import ChordTrack

WISHES = ("key", "tempo", "metre", "ensemble", "density", "style", "chords", "scale")
SCALES = ("free", "strict")
KEEPS = ("rhythm", "pitch", "instruments", "velocity")

SLOWEST_BPM, FASTEST_BPM = 10.0, 500.0
DENSEST = 64.0
"""Notes a quarter note."""

MOST_NOTES = 1_000_000
MOST_BARS = 100_000
LONGEST_STEPS = 1000


@dataclass(frozen=True)
class Wishes:
    """What is asked for; None is left to the model.

    Attributes:
        key: Key.
        bpm: Quarter notes a minute.
        metre: Metre.
        ensemble: The parts.
        density: Notes a quarter note, all parts together.
        style: One of the model's styles.
        chords: Chords over the bars.
        strict_scale: No note outside the scale of the key.
    """

    key: Key | None = None
    bpm: float | None = None
    metre: Metre | None = None
    ensemble: tuple[PartSpec, ...] | None = None
    density: float | None = None
    style: str | None = None
    chords: ChordTrack | None = None
    strict_scale: bool = False


def parse_wishes(
    *,
    key: str | Key | None = None,
    tempo: float | None = None,
    metre: str | Metre | None = None,
    ensemble: str | Sequence[PartSpec] | None = None,
    density: float | None = None,
    style: str | None = None,
    chords: Any = None,
    scale: str | None = None,
) -> Wishes:
    """Words become wishes.

    Raises:
        UserError: If one makes no sense; the message says which are nearest.
    """
    if tempo is not None and not SLOWEST_BPM <= tempo <= FASTEST_BPM:
        raise UserError(
            f"a tempo of {tempo:g}: {SLOWEST_BPM:g} to {FASTEST_BPM:g} quarter notes a minute are allowed"
        )
    if density is not None and not 0 < density <= DENSEST:
        raise UserError(
            f"a density of {density:g}: above 0, to {DENSEST:g} notes a quarter note are allowed, 1 to 8 are usual"
        )
    if scale is not None and scale not in SCALES:
        raise UserError(f"no such scale setting: {scale!r}; {nearest(scale, SCALES)}")
    return Wishes(
        key=parse_key(key) if isinstance(key, str) else key,
        bpm=tempo,
        metre=parse_metre(metre) if isinstance(metre, str) else metre,
        ensemble=_parts(ensemble),
        density=density,
        style=style,
        chords=parse_chords(chords) if isinstance(chords, str) else chords,
        strict_scale=scale == "strict",
    )


def _parts(ensemble: str | Sequence[PartSpec] | None) -> tuple[PartSpec, ...] | None:
    if ensemble is None:
        return None
    return parse_ensemble(ensemble) if isinstance(ensemble, str) else tuple(ensemble)


def checked_length(notes: int | None, bars: int | None, usual: int) -> tuple[int | None, int | None]:
    """A length in notes or bars; the usual number of notes where neither is given.

    Raises:
        UserError: If both are given, or one is out of range.
    """
    if notes is not None and bars is not None:
        raise UserError(f"{notes} notes and {bars} bars both say how long; give one of them")
    if notes is not None and not 1 <= notes <= MOST_NOTES:
        raise UserError(f"{notes} notes: 1 to {MOST_NOTES} are allowed")
    if bars is not None and not 1 <= bars <= MOST_BARS:
        raise UserError(f"{bars} bars: 1 to {MOST_BARS} are allowed")
    return (usual if notes is None and bars is None else notes), bars


def check_sampling(steps: int, guidance_scale: float, temperature: float) -> None:
    """Refuse settings of the sampler that cannot be.

    Raises:
        UserError: If one is out of range.
    """
    if not 1 <= steps <= LONGEST_STEPS:
        raise UserError(f"{steps} steps: 1 to {LONGEST_STEPS} are allowed, 10 to 50 are useful")
    if not np.isfinite(guidance_scale) or guidance_scale < 0:
        raise UserError(f"a guidance scale of {guidance_scale}: 0 or more is allowed, 1 to 4 are useful")
    if not 0 <= temperature <= 5:
        raise UserError(f"a temperature of {temperature}: 0 to 5 is allowed, 0.7 to 1.1 is useful")


def parse_keep(keep: str | Sequence[str] | None) -> frozenset[str]:
    """What a variation leaves as it is: some of `KEEPS`.

    Raises:
        UserError: If a word is none of them, or "nothing" stands beside others.
    """
    words = [keep] if isinstance(keep, str) else list(keep or ())
    for word in words:
        if word not in (*KEEPS, "nothing"):
            raise UserError(f"a variation cannot keep {word!r}: {nearest(word, (*KEEPS, 'nothing'))}")
    if "nothing" in words and len(set(words)) > 1:
        raise UserError(f"keep nothing and {' and '.join(set(words) - {'nothing'})}: leave one out")
    if set(words) >= set(KEEPS):
        raise UserError("a variation that keeps everything changes nothing; leave one out")
    return frozenset(words) - {"nothing"}


def check_strength(strength: float) -> None:
    """Refuse a share that is none.

    Raises:
        UserError: If it is not from 0 to 1.
    """
    if not 0 <= strength <= 1:
        raise UserError(f"a strength of {strength:g}: 0 (nothing changes) to 1 (all is new) is allowed")
