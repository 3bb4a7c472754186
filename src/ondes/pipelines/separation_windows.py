"""A mixture of any length, labelled window after window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from ondes.diffusion.label_sampling import LabelDenoiser, LabelSample, sample_labels
from ondes.diffusion.noise import position_seed
from ondes.diffusion.sampling import kept, kept_all
from ondes.models.part_labeller import PartLabeller
from ondes.pipelines.separation_anchor import Anchored
from ondes.pipelines.separation_constraints import PartRules, WindowRules
from ondes.pipelines.separation_parts import Labels
from ondes.representations.mixtures import MixtureFacts, PartSet, collate_parts, facts_of
from ondes.representations.note_sequence import NoteSequence

MOST_TOGETHER = 8
"""Alternatives that the network sees in one batch."""


@dataclass(frozen=True)
class Sampling:
    """How labels are drawn.

    Attributes:
        steps: Of the first window; later ones, of which a part is known, take as many a hidden note.
        temperatures: Of each alternative.
        seeds: Of each alternative.
        order: See `sample_labels`.
        calibration: See `sample_labels`.
        window_notes: Notes that the network sees at once.
        overlap_notes: How many of them are of the window before.
    """

    steps: int
    temperatures: tuple[float, ...]
    seeds: tuple[int, ...]
    order: str
    calibration: float
    window_notes: int
    overlap_notes: int


@dataclass(frozen=True, eq=False)
class Labelling:
    """The labels of all alternatives, and how sure they are.

    Attributes:
        labels: (alternatives, notes).
        probability: Of the label of each part when a note's was chosen (alternatives, notes, labels); known ones 1.
        broken: How many labels break the rules, of each alternative.
    """

    labels: Int64[np.ndarray, "alternatives notes"]
    probability: Float64[np.ndarray, "alternatives notes labels"]
    broken: list[int]


def spans(notes: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Beginnings and ends of windows that share `overlap` notes; the last one is whole, too, if there are enough."""
    ends = range(window, notes + window - overlap, window - overlap) if notes > window else [notes]
    return [(max(min(end, notes) - window, 0), min(end, notes)) for end in ends]


def settled_end(onset: Float64[np.ndarray, " notes"], end: int, overlap: int) -> int:
    """Up to where a window's labels stay; those after it are found again by the next, which sees what follows.

    That is a quarter of the overlap before the end, between two onsets, so that no chord is torn apart; the end where
    the whole overlap is one chord.
    """
    for place in range(end - overlap // 4, end - overlap, -1):
        if onset[place - 1] < onset[place]:
            return place
    return end


def window_facts(sequence: NoteSequence, span: tuple[int, int], device: torch.device) -> MixtureFacts:
    """What the network may know of one window, a batch of one."""
    facts = facts_of(sequence.select(np.arange(*span)))
    return MixtureFacts(*(values.to(device) for values in facts))


def label_windows(
    network: PartLabeller | Anchored,
    sequence: NoteSequence,
    labels: Labels,
    known: Int64[np.ndarray, " notes"],
    rules: PartRules,
    sampling: Sampling,
    on_notes: Callable[[int], None],
    *,
    classified: Float64[np.ndarray, "notes labels"] | None = None,
) -> Labelling:
    """Masked diffusion over the labels of each window in turn; what is settled is known to the next.

    Args:
        network: Asked for logits.
        sequence: The mixture, sorted.
        labels: What they mean.
        known: Labels of notes whose part is known, -1 elsewhere.
        rules: What the parts can play.
        sampling: How.
        on_notes: Called with the number of notes of the sequence that are done.
        classified: Draw from these probabilities of a classifier in one step, instead of asking the network.
    """
    found = np.tile(known, (len(sampling.seeds), 1))
    probability = np.zeros((*found.shape, len(labels.parts)))
    probability[found >= 0, found[found >= 0]] = 1.0
    broken = [0] * len(found)
    walk = _Walk(network, sequence, labels, rules, sampling, classified)
    for number, (start, end) in enumerate(
        spans(len(sequence), sampling.window_notes, sampling.overlap_notes)
    ):
        walk.to(start)
        walk.facts = None
        settled = end if end == len(sequence) else settled_end(walk.onset, end, sampling.overlap_notes)
        for first in range(0, len(found), MOST_TOGETHER):
            rows = slice(first, min(first + MOST_TOGETHER, len(found)))
            open_ones = found[rows, start:end] < 0
            sample = walk.sample((start, end), found, rows, number)
            found[rows, start:end] = sample.labels.numpy()
            if open_ones.any():
                probability[rows, start:end][open_ones] = sample.probability.numpy()[open_ones]
            for row, count in zip(range(rows.start, rows.stop), sample.broken, strict=True):
                broken[row] += count
        found[:, settled:end] = known[settled:end]
        on_notes(settled)
    return Labelling(found, probability, broken)


class _Walk:
    """The place in a piece, and the notes before it that still sound there."""

    def __init__(
        self,
        network: PartLabeller | Anchored,
        sequence: NoteSequence,
        labels: Labels,
        rules: PartRules,
        sampling: Sampling,
        classified: np.ndarray | None,
    ) -> None:
        self.network, self.labels, self.rules, self.sampling = network, labels, rules, sampling
        self.sequence, self.classified = sequence, classified
        self.parts = part_set(labels, network.device)
        self.facts: MixtureFacts | None = None
        self.onset = sequence.onset_quarters
        self.release = self.onset + sequence.duration_quarters
        self.pitch = sequence.pitch
        self.start, self.held = 0, np.zeros(0, np.int64)

    def to(self, start: int) -> None:
        """Go on to the window that begins with this note."""
        before = np.concatenate([self.held, np.arange(self.start, start)])
        self.held = before[self.release[before] > self.onset[start]]
        self.start = start

    def sample(self, span: tuple[int, int], found: np.ndarray, rows: slice, number: int) -> LabelSample:
        """The labels of one window, of some of the alternatives."""
        here = np.concatenate([self.held, np.arange(*span)])
        rules = [
            WindowRules(
                self.onset[here],
                self.release[here],
                self.pitch[here],
                found[row, self.held],
                self.labels.parts,
                self.labels.owner,
                self.rules,
            )
            for row in range(rows.start, rows.stop)
        ]
        labels = torch.from_numpy(found[rows, slice(*span)].copy())
        hidden = int((labels < 0).sum(1).max())
        share = hidden / max(min(self.sampling.window_notes, span[1] - span[0]), 1)
        steps = max(1, round(self.sampling.steps * share))

        def sampled() -> tuple[torch.Tensor, ...]:
            *tensors, broken = sample_labels(
                self._denoiser(span, len(rules)),
                labels,
                steps=steps if self.classified is None else 1,
                temperatures=self.sampling.temperatures[rows],
                generators=[
                    torch.Generator().manual_seed(position_seed(seed, "labels", number))
                    for seed in self.sampling.seeds[rows]
                ],
                order=self.sampling.order,
                calibration=self.sampling.calibration if self.classified is None else 1.0,
                rules=rules,
            )
            return (*tensors, torch.tensor(broken))

        found_labels, confidence, probability, broken = kept_all(labels, sampled)
        return LabelSample(found_labels, confidence, probability, broken.tolist())

    def _denoiser(self, span: tuple[int, int], count: int) -> LabelDenoiser:
        """What the network, or a classifier before, says of a window."""
        if self.classified is not None:
            logits = torch.from_numpy(self.classified[slice(*span)]).log().expand(count, -1, -1)
            return lambda _: logits
        self.facts = self.facts or window_facts(self.sequence, span, self.network.device)
        many = MixtureFacts(*(values.expand(count, *values.shape[1:]) for values in self.facts))
        parts = PartSet(*(values.expand(count, -1) for values in self.parts))
        return lambda labels: self.network(many, labels.to(self.network.device), parts)


def part_set(labels: Labels, device: torch.device) -> PartSet:
    """The labels as the network takes them, a batch of one."""
    return PartSet(*(values.to(device) for values in collate_parts([labels.pairs])))


def classify_windows(
    network: PartLabeller,
    sequence: NoteSequence,
    labels: Labels,
    sampling: Sampling,
    on_notes: Callable[[int], None],
) -> Float64[np.ndarray, "notes labels"]:
    """Probabilities of the labels of each note by itself, the mean over the windows that it lies in."""
    parts = part_set(labels, network.device)
    total = np.zeros((len(sequence), len(labels.parts)))
    for start, end in spans(len(sequence), sampling.window_notes, sampling.overlap_notes):
        facts = window_facts(sequence, (start, end), network.device)
        none = torch.full((1, end - start), -1, device=network.device)
        answer = kept(none, lambda facts=facts, none=none: network(facts, none, parts)[0].cpu().double())
        logits = answer / sampling.calibration
        total[start:end] += logits.softmax(-1).numpy()
        on_notes(end)
    return total / total.sum(1, keepdims=True)


def count_parts(
    network: PartLabeller, sequence: NoteSequence, window_notes: int
) -> Float64[np.ndarray, "instruments counts"]:
    """Probability of each number of parts of each instrument, the mean over the windows of a piece."""
    found: Sequence[np.ndarray] = [
        network.propose(window_facts(sequence, span, network.device))[0].cpu().double().softmax(-1).numpy()
        for span in spans(len(sequence), window_notes, 0)
    ]
    return np.mean(found, 0)
