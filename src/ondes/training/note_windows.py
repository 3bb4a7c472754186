"""Windows of notes for training composers; a batch is a function of the seed and its number."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ondes.datasets.note_cache import CachedSequences, open_note_cache
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.representations.note_conditions import (
    NoteConditions,
    conditions_of,
    style_of,
    to_condition_tensors,
)
from ondes.representations.note_features import FeatureStatistics, to_features
from ondes.representations.note_layout import inpainting_order, relaid
from ondes.representations.note_sequence import NoteSequence
from ondes.representations.note_tokens import (
    DURATION,
    FIELDS,
    POSITION,
    QUANTISED,
    SIZES,
    VELOCITY,
    NoteTokenSpec,
    Tokens,
    to_tokens,
)
from ondes.training.note_masks import NOTE_PATTERNS, PATTERNS, Pattern, draw_levels, draw_pattern, whole
from ondes.training.windows import own_numbers

log = logging.getLogger(__name__)

LEAST_NOTES = 16
"""Shorter scores are left out."""

TRANSPOSITIONS = (-6, 5)
BAR_START_SHARE = 0.6
"""How often a window begins with the first note of a bar; otherwise with any note."""

FORGOTTEN_SHARE, ALL_FORGOTTEN_SHARE = 0.1, 0.1
"""How often a condition is unknown in training, and how often all of them are."""


class NoteBatch(NamedTuple):
    """Windows of notes.

    Attributes:
        tokens: (batch, notes, fields); velocities that nobody knows are hidden.
        free: Tokens that may be hidden, and are to be learned.
        level: Probability of that, of each field (batch, fields).
        valid: False for padding, at the end (batch, notes).
        conditions: As of `to_condition_tensors`.
        number: Of the batch.
        features: Of the notes (batch, notes, features), zeros in padding, where statistics are given.
    """

    tokens: Int64[Tensor, "batch notes fields"]
    free: Bool[Tensor, "batch notes fields"]
    level: Float[Tensor, "batch fields"]
    valid: Bool[Tensor, "batch notes"]
    conditions: Mapping[str, Tensor]
    number: Tensor
    features: Float[Tensor, "batch notes features"] | None = None


def cut(sequence: NoteSequence, start: int, notes: int) -> NoteSequence:
    """So many notes from one on, with bars counted from that of the first."""
    inside = sequence.select(np.arange(start, min(start + notes, len(sequence))))
    first, last = int(inside.bar[0]), int(inside.bar[-1])
    return replace(inside, bar=inside.bar - first, bars=sequence.bars.window(first, last + 1))


def forget(conditions: NoteConditions, rng: np.random.Generator) -> NoteConditions:
    """Conditions of which some are unknown."""
    if rng.random() < ALL_FORGOTTEN_SHARE:
        return NoteConditions()
    names = [field.name for field in fields(conditions) if rng.random() < FORGOTTEN_SHARE]
    return replace(conditions, **dict.fromkeys(names))


def collate(
    windows: Sequence[tuple[NDArray[np.int64], Pattern, NDArray[np.float32]]],
    conditions: Sequence[NoteConditions],
    *,
    notes: int,
    styles: Sequence[str],
    number: int,
) -> NoteBatch:
    """Windows side by side; shorter ones are padded at their end with zeros.

    A velocity that is unknown is not to be learned.
    """
    tokens = torch.zeros(len(windows), notes, windows[0][0].shape[1], dtype=torch.long)
    free = torch.zeros(tokens.shape, dtype=torch.bool)
    valid = torch.zeros(tokens.shape[:2], dtype=torch.bool)
    for row, (own, pattern, _) in enumerate(windows):
        tokens[row, : len(own)] = torch.from_numpy(own)
        free[row, : len(own)] = torch.from_numpy(pattern.free)
        valid[row, : len(own)] = True
    free[..., VELOCITY] &= tokens[..., VELOCITY] != SIZES[VELOCITY]
    level = torch.from_numpy(np.stack([level for *_, level in windows]))
    return NoteBatch(
        tokens, free, level, valid, to_condition_tensors(conditions, styles=styles), torch.tensor(number)
    )


class RandomNoteWindows(IterableDataset[NoteBatch]):
    """Endless batches of windows of scores.

    Args:
        scores: Where to cut.
        lengths: Notes in a window; all windows of a batch have one of these.
        notes_per_batch: Notes in a batch, about: shorter windows are more.
        styles: Names of the styles of the network.
        balance: A score is drawn as often as its number of notes to this power.
        seed: Of the whole run.
        first: Number of the first batch.
        learn: False for validation: nothing is transposed or forgotten, and everything is free.
        rank: Of this process among several, which have different batches.
        processes: How many there are.
        statistics: Give features too, scaled by these, and free whole notes only.
        spec: Fields of the tokens.
    """

    def __init__(
        self,
        scores: CachedSequences,
        *,
        lengths: Sequence[int],
        notes_per_batch: int,
        styles: Sequence[str],
        balance: float,
        seed: int,
        first: int = 0,
        learn: bool = True,
        rank: int = 0,
        processes: int = 1,
        statistics: FeatureStatistics | None = None,
        spec: NoteTokenSpec = QUANTISED,
    ) -> None:
        self.statistics, self.spec = statistics, spec
        self.patterns = tuple(PATTERNS) if statistics is None else NOTE_PATTERNS
        self.scores, self.lengths, self.notes_per_batch = scores, tuple(lengths), notes_per_batch
        self.styles, self.seed, self.first, self.learn = tuple(styles), seed, first, learn
        self.rank, self.processes = rank, processes
        counts = scores.note_counts.astype(np.float64)
        weights = np.where(counts >= LEAST_NOTES, counts, 0) ** balance * (counts >= LEAST_NOTES)
        if not weights.sum():
            raise UserError(f"none of the {len(counts)} scores has {LEAST_NOTES} notes; give longer ones")
        self.weights = weights / weights.sum()

    def __iter__(self) -> Iterator[NoteBatch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number * self.processes + self.rank)

    def at(self, number: int) -> NoteBatch:
        """Batch of a number."""
        rng = np.random.default_rng(position_seed(self.seed, "notes", number))
        notes = int(rng.choice(self.lengths))
        count = max(self.notes_per_batch // notes, 1)
        strata = rng.permutation(count)
        windows, conditions, features = [], [], []
        for index, stratum in zip(
            rng.choice(len(self.scores), size=count, p=self.weights), strata, strict=True
        ):
            sequence, style = self.window(int(index), notes, rng)
            known = conditions_of(sequence, style=style)
            conditions.append(forget(known, rng) if self.learn else known)
            pattern = draw_pattern(sequence, rng, self.patterns) if self.learn else whole(sequence, rng)
            level = draw_levels(rng, int(stratum), count)
            if not self.learn:
                level = np.full_like(level, (stratum + 0.5) / count)
            windows.append((*laid_out(sequence, pattern, self.spec), with_fine(level, self.spec)))
            if self.statistics is not None:
                features.append(torch.from_numpy(to_features(sequence, self.statistics)))
        batch = collate(windows, conditions, notes=notes, styles=self.styles, number=number)
        if self.statistics is None:
            return batch
        padded = [torch.nn.functional.pad(own, (0, 0, 0, notes - len(own))) for own in features]
        return batch._replace(features=torch.stack(padded))

    def window(self, index: int, notes: int, rng: np.random.Generator) -> tuple[NoteSequence, str | None]:
        """A window of a score, transposed in training, and its style."""
        sequence, about = self.scores[index]
        latest = max(len(sequence) - notes, 0)
        start = int(rng.integers(0, latest + 1))
        if rng.random() < BAR_START_SHARE:
            start = int(np.searchsorted(sequence.bar, sequence.bar[start]))
        part = cut(sequence, start, notes)
        if self.learn:
            low, high = TRANSPOSITIONS
            part = part.transposed(int(rng.integers(low, high + 1)))
        return part, style_of(about.composer, about.collection, self.styles)


def with_fine(columns: NDArray[Any], spec: NoteTokenSpec) -> NDArray[Any]:
    """Something of every field: where in a step a note begins goes with its position, the rest of a length with it."""
    return columns[..., [*range(len(FIELDS)), POSITION, DURATION]] if spec.unquantised else columns


def laid_out(
    sequence: NoteSequence, pattern: Pattern, spec: NoteTokenSpec = QUANTISED
) -> tuple[Tokens, Pattern]:
    """Tokens of a window in the order of its pattern, and the pattern in that order, with the fields of the tokens."""
    tokens = to_tokens(sequence, spec=spec)
    pattern = pattern._replace(free=with_fine(pattern.free, spec))
    if pattern.moved is None:
        return tokens, pattern
    order = inpainting_order(sequence.bar, pattern.moved)
    return relaid(tokens, sequence.bar, order), Pattern(pattern.free[order], pattern.moved[order])


class NoteWindows(lightning.LightningDataModule):
    """Windows of the scores in caches that `ondes.datasets.note_cache.build_note_cache` wrote.

    Args:
        train: Folder of the cache to learn from.
        validation: Folder of the cache to test with.
        lengths: Notes in a window; all windows of a batch have one of these.
        notes_per_batch: Notes in a batch.
        balance: A score is drawn as often as its number of notes to this power.
        validation_batches: Batches for validation, always the same.
        workers: Processes that cut windows beside the training.
        seed: Of the cuts.
    """

    def __init__(
        self,
        train: Path,
        validation: Path,
        lengths: tuple[int, ...] = (128, 192, 256),
        notes_per_batch: int = 1536,
        balance: float = 0.7,
        validation_batches: int = 8,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.styles: tuple[str, ...] = ()
        self.statistics: FeatureStatistics | None = None
        self.spec = QUANTISED
        self.scores: dict[str, CachedSequences] = {}

    def setup(self, stage: str) -> None:
        """Open the caches."""
        if not self.scores:
            self.scores = {split: open_note_cache(self.hparams[split]) for split in ("train", "validation")}

    def windows(self, split: str, **place: Any) -> RandomNoteWindows:
        """Windows of a split; of the validation the same whenever asked for."""
        names = ("lengths", "notes_per_batch", "balance")
        settings = {name: self.hparams[name] for name in names}
        if split == "validation":
            place = {"seed": -1, "learn": False}
        known = {"styles": self.styles, "statistics": self.statistics, "spec": self.spec}
        opened = self.scores[split]
        scores = CachedSequences(opened.folder, opened.rows, quantise=not self.spec.unquantised)
        return RandomNoteWindows(scores, **settings, **known, **place)

    def fit_statistics(self, songs: int = 200) -> FeatureStatistics:
        """Statistics of the features of evenly chosen songs, which batches are scaled by from now on."""
        scores = self.scores["train"]
        chosen = np.unique(np.linspace(0, len(scores) - 1, songs).astype(int))
        self.statistics = FeatureStatistics.fit(scores[int(index)][0] for index in chosen)
        return self.statistics

    def train_dataloader(self) -> DataLoader[NoteBatch]:
        """Endless batches from the trainer's step on; each process has its own."""
        place = {"seed": self.hparams["seed"]}
        if self.trainer is not None:
            place["first"] = self.trainer.global_step * self.trainer.accumulate_grad_batches
            place |= {"rank": self.trainer.global_rank, "processes": self.trainer.world_size}
        return DataLoader(
            self.windows("train", **place), batch_size=None, num_workers=self.hparams["workers"]
        )

    def val_dataloader(self) -> DataLoader[NoteBatch]:
        """The same few batches each time."""
        windows = self.windows("validation")
        fixed = [windows.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]

    def unigrams(self, batches: int = 32) -> list[Tensor]:
        """How probable each class of each field is in the training data, whatever its surroundings; one tensor a field.

        From the first batches, with one note added to every class.
        """
        windows = self.windows("train", seed=-2)
        seen = [windows.at(number) for number in range(batches)]
        counts = [torch.ones(size) for size in self.spec.sizes]
        for batch in seen:
            for field, count in enumerate(counts):
                column = batch.tokens[..., field]
                there = batch.valid & (column < len(count))
                count.add_(torch.bincount(column[there], minlength=len(count)))
        return [count / count.sum() for count in counts]
