"""Notes that play in several parts, where the rules of the parts allow it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.pipelines.separation_constraints import PartRules, WindowRules
from ondes.pipelines.separation_parts import Labels
from ondes.representations.note_sequence import NoteSequence


def doubled_within(
    rules: PartRules,
    sequence: NoteSequence,
    labels: Labels,
    found: Int64[np.ndarray, " notes"],
    probability: Float64[np.ndarray, "notes labels"],
    wishes: Bool[np.ndarray, "notes parts"],
) -> Bool[np.ndarray, "notes parts"]:
    """Which notes play in which further parts: of those wished for the likeliest first, as long as no rule is broken.

    Rules hold among all notes and all doublings. A note that itself breaks one, because nothing else could be done,
    does not forbid doublings elsewhere.

    Args:
        rules: What the parts can play. A part never has one pitch twice at once.
        sequence: The notes, by onset.
        labels: What the labels mean, and which part each belongs to.
        found: Label of each note.
        probability: Of the labels of each note.
        wishes: In which parts notes may be doubled if they fit; their own is left aside.
    """
    made = np.zeros_like(wishes)
    wishes = wishes.copy()
    wishes[np.arange(len(found)), labels.owner[found]] = False
    note, part = np.nonzero(wishes)
    label = np.array(
        [_likeliest(probability[one], labels.owner == own) for one, own in zip(note, part, strict=True)],
        np.int64,
    )
    sounding = _Sounding(sequence, found)
    for index in np.argsort(-probability[note, label], kind="stable").tolist():
        one, wanted = int(note[index]), int(label[index])
        if sounding.allows(rules, labels, one, wanted):
            made[one, part[index]] = True
            sounding.add(one, wanted)
    return made


def _likeliest(probability: Float64[np.ndarray, " labels"], own: Bool[np.ndarray, " labels"]) -> int:
    """The likeliest label of a part: a hand, where it has two."""
    return int(np.where(own, probability, -1.0).argmax())


class _Sounding:
    """Notes with the labels that they play under; a doubled note has several."""

    def __init__(self, sequence: NoteSequence, found: Int64[np.ndarray, " notes"]) -> None:
        self.onset = sequence.onset_quarters
        self.release = self.onset + sequence.duration_quarters
        self.latest = np.maximum.accumulate(self.release)
        self.pitch, self.found = sequence.pitch, found
        self.more: dict[int, list[int]] = {}

    def allows(self, rules: PartRules, labels: Labels, note: int, label: int) -> bool:
        """Whether a note can play under a further label."""
        # Nothing before `first` still sounds, and nothing from `last` on has begun.
        first = int(np.searchsorted(self.latest, self.onset[note], side="right"))
        last = int(np.searchsorted(self.onset, self.release[note], side="left"))
        near = np.arange(min(first, note), max(last, note + 1))
        pairs = [(one, int(self.found[one])) for one in near.tolist()]
        pairs += [(one, other) for one in near.tolist() for other in self.more.get(one, ())]
        rows = np.array([*(one for one, _ in pairs), note])
        held = np.array([other for _, other in pairs], np.int64)
        window = WindowRules(
            self.onset[rows], self.release[rows], self.pitch[rows], held, labels.parts, labels.owner, rules
        )
        free = window.in_the_way(np.array([-1]), 0, label)
        return bool(window.allowed[0, label]) and not len(free)

    def add(self, note: int, label: int) -> None:
        """Let a note play under a further label, too."""
        self.more.setdefault(note, []).append(label)
