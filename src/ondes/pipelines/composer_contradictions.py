"""Wishes that cannot all come true, found before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from ondes.errors import UserError
from ondes.representations.chords import ChordTrack, class_names
from ondes.representations.ensembles import PartSpec
from ondes.representations.keys import Key
from ondes.representations.note_sequence import DRUMS, STEPS_PER_QUARTER


def check_wishes(
    *,
    parts: Sequence[PartSpec] | None = None,
    key: Key | None = None,
    strict_scale: bool = False,
    chords: ChordTrack | None = None,
    notes: int | None = None,
    bar_quarters: float | None = None,
) -> None:
    """Refuse what nobody could write.

    Args:
        parts: Who plays.
        key: Asked key.
        strict_scale: Whether nothing may leave its scale (in minor with the raised sixth and seventh).
        chords: Asked chords.
        notes: How many notes there are to be, if it is known.
        bar_quarters: Length of a bar in quarter notes, if it is known.

    Raises:
        UserError: If two wishes contradict each other; the message names both.
    """
    if strict_scale and key is None:
        raise UserError("a strict scale needs a key; ask for one, such as 'D minor'")
    if notes is not None and parts is not None and notes < len(parts):
        raise UserError(
            f"{notes} notes for {len(parts)} parts, each of which must play; ask for at least {len(parts)} notes or "
            "for a smaller ensemble"
        )
    if parts is not None and all(part.instrument == DRUMS for part in parts):
        for what, wish in (("key", key), ("chords", chords)):
            if wish is not None:
                raise UserError(
                    f"drums alone have no {what}; leave it out, or add an instrument with pitches"
                )
    if chords is not None and bar_quarters is not None:
        _check_divisions(chords, bar_quarters)
    scale = key.wide_scale if key is not None and strict_scale else frozenset(range(12))
    if chords is not None and key is not None and strict_scale:
        _check_scale(chords, key)
    for part in parts or ():
        _check_part(part, scale, chords, str(key) if strict_scale else "")


def _check_divisions(chords: ChordTrack, bar_quarters: float) -> None:
    """Every chord of a bar needs a place on the grid."""
    steps = int(bar_quarters * STEPS_PER_QUARTER)
    for number, bar in enumerate(chords.bars, 1):
        if len(bar) > steps:
            raise UserError(
                f"bar {number} has {len(bar)} chords, but a bar of {bar_quarters:g} quarter notes has only {steps} "
                "places for notes; divide the chords over more bars"
            )


def _check_scale(chords: ChordTrack, key: Key) -> None:
    """Chords must lie in a strict scale."""
    for bar, chord in chords:
        outside = chord.classes - key.wide_scale
        if outside and len(chord.classes) < 12:
            raise UserError(
                f"chord {chord.name!r} in bar {bar + 1} has {class_names(outside)}, which {key} does not have; change "
                "the chord or the key, or do not ask for a strict scale"
            )


def _check_part(part: PartSpec, scale: frozenset[int], chords: ChordTrack | None, key_name: str) -> None:
    """Every part must have something to play, and something in each chord."""
    if part.instrument == DRUMS:
        return
    reach = frozenset(pitch % 12 for pitch in range(part.low, part.high + 1))
    if not reach & scale:
        raise UserError(
            f"{part.name} has only {class_names(reach)}, none of which is in {key_name}; choose another key or leave "
            f"{part.name} out"
        )
    for bar, chord in chords or ():
        if not reach & scale & chord.classes:
            raise UserError(
                f"{part.name} has only {class_names(reach)} and can play nothing of chord {chord.name!r} in bar "
                f"{bar + 1}; change the chord or leave {part.name} out"
            )
