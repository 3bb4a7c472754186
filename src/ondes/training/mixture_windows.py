"""Training windows of the separator: stretches of scores whose instruments are taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import IterableDataset

from ondes.diffusion.noise import position_seed
from ondes.representations.mixtures import (
    MixtureFacts,
    PartSet,
    collate_facts,
    collate_parts,
    facts_of,
)
from ondes.representations.note_sequence import NoteSequence
from ondes.training.windows import own_numbers

LEAVE_OUT = 0.3
"""Share of windows of three parts and more of which some are left out: smaller ensembles than those written for."""
ADD_SILENT = 0.5
"""Chance that a part which rests in the window is asked for all the same."""
SEMITONES = 5
"""Windows without range limits are moved up or down by at most so much."""
SMALLEST_RATIO, LARGEST_RATIO = 0.5, 2.0
"""All lengths are multiplied by a random power of two between: halves and doubles of the same rhythm are the same."""


class MixtureBatch(NamedTuple):
    """Mixtures, the parts asked for and the true part of each note, -1 where there is no note (batch, notes)."""

    facts: MixtureFacts
    parts: PartSet
    labels: Tensor


def part_names(sequence: NoteSequence) -> list[tuple[int, int]]:
    """The parts of a piece, each as instrument and number, in order."""
    pairs = np.stack([sequence.instrument, sequence.part_number], 1)
    return [(int(instrument), int(number)) for instrument, number in np.unique(pairs, axis=0)]


def labels_of(sequence: NoteSequence, parts: Sequence[tuple[int, int]]) -> Int64[np.ndarray, " notes"]:
    """Index of each note's part in a list of parts, -1 for notes of others."""
    labels = np.full(len(sequence), -1, np.int64)
    for index, (instrument, number) in enumerate(parts):
        labels[(sequence.instrument == instrument) & (sequence.part_number == number)] = index
    return labels


class MixtureWindows(IterableDataset[MixtureBatch]):
    """Endless batches; batch k is a function of the seed and k, so a resumed run sees what an unbroken one would.

    Args:
        songs: Pieces of at least two parts.
        batch: Windows in a batch.
        notes: Notes in a window.
        seed: Of the whole run.
        first: Number of the first batch.
        vary: Transpose, stretch and leave out parts; validation does not.
    """

    def __init__(
        self,
        songs: Sequence[NoteSequence],
        *,
        batch: int,
        notes: int,
        seed: int,
        first: int = 0,
        vary: bool = True,
        weights: np.ndarray | None = None,
    ) -> None:
        self.songs, self.batch, self.notes = songs, batch, notes
        self.seed, self.first, self.vary = seed, first, vary
        share = np.ones(len(songs)) if weights is None else np.asarray(weights, dtype=np.float64)
        self.weights = share / share.sum()

    def __iter__(self) -> Iterator[MixtureBatch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> MixtureBatch:
        """Batch of a number."""
        rng = np.random.default_rng(position_seed(self.seed, "mixtures", number))
        chosen = rng.choice(len(self.songs), size=self.batch, p=self.weights)
        pieces = [self._window(self.songs[index], rng) for index in chosen]
        longest = max(len(labels) for _, _, labels in pieces)
        labels = torch.full((self.batch, longest), -1, dtype=torch.int64)
        for row, (_, _, own) in zip(labels, pieces, strict=True):
            row[: len(own)] = torch.from_numpy(own)
        return MixtureBatch(
            collate_facts([facts for facts, _, _ in pieces]),
            collate_parts([parts for _, parts, _ in pieces]),
            labels,
        )

    def _window(
        self, song: NoteSequence, rng: np.random.Generator
    ) -> tuple[MixtureFacts, list[tuple[int, int]], np.ndarray]:
        everywhere = part_names(song)
        if self.vary and len(everywhere) > 2 and rng.random() < LEAVE_OUT:
            kept = rng.permutation(len(everywhere))[: int(rng.integers(2, len(everywhere)))]
            everywhere = [everywhere[index] for index in sorted(kept)]
            song = song.select(labels_of(song, everywhere) >= 0)
        start = int(rng.integers(0, max(len(song) - self.notes, 0) + 1))
        window = song.select(np.arange(start, min(start + self.notes, len(song))))
        here = set(part_names(window))
        parts = [part for part in everywhere if part in here or rng.random() < ADD_SILENT]
        parts = [parts[index] for index in rng.permutation(len(parts))]
        stretch = 1.0
        if self.vary:
            window = window.transposed(int(rng.integers(-SEMITONES, SEMITONES + 1)))
            stretch = float(rng.choice([SMALLEST_RATIO, 1.0, 1.0, LARGEST_RATIO]))
        return facts_of(window, stretch=stretch), parts, labels_of(window, parts)


def random_labels(
    labels: Int64[Tensor, "batch notes"], generator: torch.Generator
) -> Int64[Tensor, "batch notes"]:
    """Labels with some taken away (-1), as the separator meets them; each window has at least one to find.

    Of ten windows five lose each label by itself with a chance that is uniform over windows, two lose all, two lose
    those after a place (the overlap of windows of a long piece is known), and one loses whole parts (given parts).
    """
    windows, notes = labels.shape
    kind = torch.randint(0, 10, (windows, 1), generator=generator)
    level = torch.rand(windows, 1, generator=generator)
    chance = torch.rand(windows, notes, generator=generator)
    whole = torch.rand(windows, int(labels.max()) + 2, generator=generator).gather(1, labels.clamp(min=0))
    place = torch.arange(notes) / notes
    hidden = torch.where(kind < 5, chance < level, torch.ones_like(chance, dtype=torch.bool))
    hidden = torch.where((kind == 7) | (kind == 8), place >= level * 0.9, hidden)
    hidden = torch.where(kind == 9, whole < 0.5, hidden)
    hidden |= ~(hidden & (labels >= 0)).any(1, keepdim=True)
    return labels.masked_fill(hidden, -1)
