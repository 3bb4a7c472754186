"""What the parts of a separation can play: ranges, notes at once, voices that do not cross, hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.errors import UserError
from ondes.representations.ensembles import TWO_STAVES, PartSpec
from ondes.representations.note_sequence import DRUMS

HAND_SEMITONES = 16
"""From thumb to little finger: a tenth."""
FINGERS = 5
LEAST_OVERLAP_QUARTERS = 0.125
"""Notes that overlap by less, and by less than half the shorter one, are one after the other played legato."""


@dataclass(frozen=True)
class PartRules:
    """What is asked of the parts.

    Attributes:
        ranges: Whether parts keep to their compass.
        polyphony: Most notes at once, for each part as asked for; 0 for any number. None: any number everywhere.
        no_crossing: Whether parts that are higher by nature stay higher.
        playable_hands: Whether hands of keyboards keep to what five fingers reach.
    """

    ranges: bool = False
    polyphony: tuple[int, ...] | None = None
    no_crossing: bool = False
    playable_hands: bool = False

    def __bool__(self) -> bool:
        return self.ranges or self.no_crossing or self.playable_hands or self.polyphony is not None


def limits_of(polyphony: int | Sequence[int] | None, parts: Sequence[PartSpec]) -> tuple[int, ...] | None:
    """Most notes at once of each part.

    Raises:
        UserError: If there are more or fewer numbers than parts, or one is negative.
    """
    if polyphony is None:
        return None
    limits = (polyphony,) * len(parts) if isinstance(polyphony, int) else tuple(polyphony)
    # Parts that were added (drums, known ones) play any number.
    limits += (0,) * (len(parts) - len(limits))
    if len(limits) > len(parts):
        raise UserError(
            f"{len(limits)} numbers of notes at once for {len(parts)} parts; give one for each, or one"
        )
    if min(limits, default=0) < 0:
        raise UserError(f"{min(limits)} notes at once: 0 (any number) or more are allowed")
    return limits


def heights(parts: Sequence[PartSpec]) -> Int64[np.ndarray, " parts"]:
    """Place of each part from the highest, 0, by the middle of its compass and its number."""
    order = sorted(
        range(len(parts)), key=lambda index: (-_middle(parts[index]), parts[index].part_number, index)
    )
    places = np.zeros(len(parts), np.int64)
    places[order] = np.arange(len(parts))
    return places


def _middle(part: PartSpec) -> float:
    return (part.low + part.high) / 2


def sounds_with(
    onset: Float64[np.ndarray, "*#notes"],
    release: Float64[np.ndarray, "*#notes"],
    other_onset: Float64[np.ndarray, "*#notes"],
    other_release: Float64[np.ndarray, "*#notes"],
) -> Bool[np.ndarray, "..."]:
    """Whether notes sound at once; see `LEAST_OVERLAP_QUARTERS`. Times in quarter notes."""
    overlap = np.minimum(release, other_release) - np.maximum(onset, other_onset)
    shorter = np.minimum(release - onset, other_release - other_onset)
    return (onset == other_onset) | (overlap >= np.minimum(LEAST_OVERLAP_QUARTERS, shorter / 2)) & (
        overlap > 0
    )


class WindowRules:
    """The rules for the notes of one window, and for what still sounds when it begins (`LabelRules`).

    One part never has one pitch twice at once, if another can take it.

    Args:
        onset: Of what sounds already and then of the window, in quarter notes.
        release: Ends of the same notes.
        pitch: Of the same notes.
        held: Labels of what sounds already.
        parts: What the labels mean.
        owner: Index of the part that was asked for, of each label: hands may share one.
        rules: What is asked.
    """

    def __init__(
        self,
        onset: Float64[np.ndarray, " all"],
        release: Float64[np.ndarray, " all"],
        pitch: Int64[np.ndarray, " all"],
        held: Int64[np.ndarray, " held"],
        parts: Sequence[PartSpec],
        owner: Int64[np.ndarray, " labels"],
        rules: PartRules,
    ) -> None:
        self.owner = owner
        self.onset, self.release, self.pitch, self.held = onset, release, pitch, held
        self.parts, self.rules, self.height = parts, rules, heights(parts)
        own = slice(len(held), None)
        self.together = sounds_with(onset[own, None], release[own, None], onset, release)
        count = len(onset) - len(held)
        self.together[np.arange(count), np.arange(count) + len(held)] = False
        self._allowed = np.ones((count, len(parts)), np.bool_)
        if rules.ranges:
            low, high = np.array([part.low for part in parts]), np.array([part.high for part in parts])
            self._allowed = (pitch[own, None] >= low) & (pitch[own, None] <= high)

    @property
    def allowed(self) -> Bool[np.ndarray, "notes labels"]:
        """Where notes lie within the compass."""
        return self._allowed

    def in_the_way(
        self, labels: Int64[np.ndarray, " notes"], note: int, label: int
    ) -> Int64[np.ndarray, " found"]:
        """See `ondes.diffusion.label_sampling.LabelRules`."""
        everyone = np.concatenate([self.held, labels])
        near = np.flatnonzero(self.together[note] & (everyone >= 0))
        others, own_pitch = everyone[near], int(self.pitch[len(self.held) + note])
        mates = near[others == label]
        found = [mates[self.pitch[mates] == own_pitch]]
        if self.rules.no_crossing and self.parts[label].instrument != DRUMS:
            found.append(self._crossed(near, others, own_pitch, label))
        if self.rules.polyphony is not None and (most := self.rules.polyphony[self.owner[label]]):
            found.append(self._too_many(near[self.owner[others] == self.owner[label]], note, most))
        if self.rules.playable_hands and self.parts[label].instrument in TWO_STAVES:
            found.append(self._out_of_reach(mates, note, own_pitch))
        return np.maximum(np.unique(np.concatenate(found)) - len(self.held), -1)

    def _crossed(self, near: np.ndarray, others: np.ndarray, own_pitch: int, label: int) -> np.ndarray:
        """Notes of higher parts that are lower, and of lower parts that are higher."""
        pitched = np.array([part.instrument != DRUMS for part in self.parts])[others]
        above, below = self.height[others] < self.height[label], self.height[others] > self.height[label]
        wrong = above & (self.pitch[near] < own_pitch) | below & (self.pitch[near] > own_pitch)
        return near[wrong & pitched]

    def _too_many(self, mates: np.ndarray, note: int, most: int) -> np.ndarray:
        """Notes of the part too many at the fullest moment of this one, the latest of them."""
        place = len(self.held) + note
        # The number only grows where a note begins.
        moments = np.append(np.maximum(self.onset[mates], self.onset[place]), self.onset[place])
        sounding = (self.onset[mates] <= moments[:, None]) & (self.release[mates] > moments[:, None])
        sounding |= self.onset[mates] == moments[:, None]
        full = mates[sounding[int(sounding.sum(1).argmax())]]
        excess = len(full) + 1 - most
        return full[np.argsort(self.onset[full], kind="stable")][-excess:] if excess > 0 else full[:0]

    def _out_of_reach(self, mates: np.ndarray, note: int, own_pitch: int) -> np.ndarray:
        """Notes of a hand that it cannot hold beside this one."""
        far = mates[np.abs(self.pitch[mates] - own_pitch) > HAND_SEMITONES]
        near = np.setdiff1d(mates, far)
        return np.union1d(far, self._too_many(near, note, FINGERS))
