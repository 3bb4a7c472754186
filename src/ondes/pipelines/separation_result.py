"""What a separation gives back: scores in parts, how sure each note is, and words on rules that could not be kept."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.pipelines.separation_confidence import Worth, restated
from ondes.pipelines.separation_constraints import PartRules
from ondes.pipelines.separation_doubling import doubled_within
from ondes.pipelines.separation_notes import MixtureNotes, parted
from ondes.pipelines.separation_parts import Labels
from ondes.pipelines.separation_windows import Labelling
from ondes.representations.ensembles import PartSpec
from ondes.representations.instrument_names import instrument_name
from ondes.representations.note_sequence import NoteSequence

if TYPE_CHECKING:
    from symusic.core import ScoreTick


@dataclass(frozen=True, eq=False)
class Separation:
    """A score in parts, and alternatives.

    Attributes:
        scores: The alternatives, the likeliest first: the same notes in other tracks.
        labels: Index of the part of each note in `parts` (alternatives, notes).
        confidences: How likely it is right, parts of one instrument matched; 1 where it was known before
            (alternatives, notes).
        parts: Who plays.
        notes: The notes that the columns speak of, in the order of the score's tracks.
        doubled: Of each alternative, which notes also play in which parts: (alternatives, notes, parts).
    """

    scores: list[ScoreTick]
    labels: Int64[np.ndarray, "alternatives notes"]
    confidences: Float64[np.ndarray, "alternatives notes"]
    parts: tuple[PartSpec, ...]
    notes: MixtureNotes
    doubled: np.ndarray


def explain(broken: int, sequence: NoteSequence, rules: PartRules, parts: Sequence[PartSpec]) -> None:
    """Say that the rules were relaxed, and where more notes sound than all parts together can play."""
    if not broken or not rules:
        return
    words = [
        name
        for name, asked_for in (
            ("range", rules.ranges),
            ("notes at once", rules.polyphony is not None),
            ("no crossing", rules.no_crossing),
            ("playable hands", rules.playable_hands),
        )
        if asked_for
    ]
    reasons = ""
    most = sum(rules.polyphony or ())
    if rules.polyphony is not None and all(rules.polyphony):
        onset = sequence.onset_quarters
        times = np.unique(onset)
        release = np.sort(onset + sequence.duration_quarters)
        sounding = np.searchsorted(onset, times, side="right") - np.searchsorted(release, times, side="right")
        fullest = int(sounding.argmax())
        if sounding[fullest] > most:
            bar = int(sequence.bar[np.searchsorted(onset, times[fullest])]) + 1
            reasons = (
                f": {sounding[fullest]} notes sound at once in bar {bar}, and {len(parts)} parts play {most}"
            )
    warnings.warn(
        f"{broken} notes do not fit ({', '.join(words)}){reasons}; the rules are relaxed for them, and no note is lost",
        stacklevel=1,
    )


def without_silent(
    parts: tuple[PartSpec, ...],
    labels: Int64[np.ndarray, "alternatives notes"],
    doubled: Bool[np.ndarray, "alternatives notes parts"],
) -> tuple[
    tuple[PartSpec, ...],
    Int64[np.ndarray, "alternatives notes"],
    Bool[np.ndarray, "alternatives notes sounding"],
]:
    """The parts that get a note in some alternative, and labels and doublings that speak of these alone.

    One that was "violin 2" and is now alone of its instrument is a "violin".
    """
    sounds = np.array(doubled.any((0, 1)))
    sounds[labels] = True
    kept = [part for part, sounding in zip(parts, sounds.tolist(), strict=True) if sounding]
    count = Counter(part.instrument for part in kept)
    named = tuple(
        replace(part, name=instrument_name(part.instrument), part_number=0)
        if count[part.instrument] == 1
        and part.name == f"{instrument_name(part.instrument)} {part.part_number + 1}"
        else part
        for part in kept
    )
    return named, (np.cumsum(sounds) - 1)[labels], doubled[:, :, sounds]


def separation_of(
    score: ScoreTick,
    notes: MixtureNotes,
    sequence: NoteSequence,
    parts: tuple[PartSpec, ...],
    labels: Labels,
    known: Int64[np.ndarray, " notes"],
    made: Labelling,
    rules: PartRules,
    least_doubling: float,
    worth: Worth,
    *,
    keep_silent: bool,
) -> Separation:
    """Labels by part instead of by hand, in the order of the score's notes; and the scores."""
    alternatives = len(made.labels)
    shape = alternatives, len(notes)
    probability = np.zeros((*shape, len(parts)))
    for label, part in enumerate(labels.owner.tolist()):
        probability[:, sequence.index, part] += made.probability[:, :, label]
    found = np.tile(known, (alternatives, 1))
    owner = np.append(labels.owner, -1)
    found[:, sequence.index] = owner[made.labels]
    stated = np.take_along_axis(probability, found[..., None], 2)[..., 0]
    confidences = restated(np.minimum(stated, 1.0), worth)
    confidences[:, known >= 0] = 1.0
    doubled = np.zeros(probability.shape, np.bool_)
    free = known[sequence.index] < 0
    for row in range(alternatives if least_doubling <= 1 else 0):
        wishes = np.where(free[:, None], probability[row, sequence.index], 0.0) >= least_doubling
        doubled[row, sequence.index] = doubled_within(
            rules, sequence, labels, made.labels[row], made.probability[row], wishes
        )
    if not keep_silent:
        parts, found, doubled = without_silent(parts, found, doubled)
    scores = [
        parted(
            score, notes, [np.flatnonzero((row == part) | also[:, part]) for part in range(len(parts))], parts
        )
        for row, also in zip(found, doubled, strict=True)
    ]
    return Separation(scores, found, confidences, parts, notes, doubled)
