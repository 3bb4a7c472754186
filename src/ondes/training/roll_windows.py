"""Windows of piano rolls for Mixture2Music, of the songs of note caches, filtered as published."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ondes.datasets.note_cache import open_note_cache
from ondes.errors import UserError
from ondes.representations.mixture_rolls import (
    FAMILIES,
    FEWEST_NOTES,
    LEAST_CELLS,
    WINDOW_STEPS,
    RollNotes,
    RollPart,
    busy_windows,
    named_layers,
    refusal,
    roll_notes,
    unified,
)
from ondes.training.windows import in_epochs, own_numbers

log = logging.getLogger(__name__)


class RollBatch(NamedTuple):
    """Rolls of 0 and 1 (batch, parts, 64 sixteenths, 72 rows), and the number of the batch."""

    rolls: Tensor
    number: Tensor

    @property
    def mixture(self) -> Tensor:
        """Where any part sounds (batch, 1, steps, rows)."""
        return self.rolls.amax(1, keepdim=True)


class RollWindows(IterableDataset[RollBatch]):
    """Endless batches of windows of four bars; batch k is a function of the seed and k.

    Args:
        songs: Notes of each song.
        places: Song and first sixteenth of each window (windows, 2).
        parts: Layers of the rolls.
        batch: Windows in a batch.
        seed: Of the order.
        first: Number of the first batch.
    """

    def __init__(
        self,
        songs: Sequence[RollNotes],
        places: np.ndarray,
        *,
        parts: int,
        batch: int,
        seed: int,
        first: int = 0,
    ) -> None:
        self.songs, self.places, self.parts = songs, places, parts
        self.batch, self.seed, self.first = batch, seed, first

    def __iter__(self) -> Iterator[RollBatch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> RollBatch:
        """Batch of a number: of every epoch each window once, in an order of its own."""
        chosen = in_epochs(number, batch=self.batch, count=len(self.places), words=(self.seed, "rolls"))
        rolls = [
            self.songs[song].rolls(self.parts, WINDOW_STEPS, start=start)
            for song, start in self.places[chosen].tolist()
        ]
        return RollBatch(torch.from_numpy(np.stack(rolls).astype(np.float32)), torch.tensor(number))


class MixtureRolls(lightning.LightningDataModule):
    """Windows of the songs of note caches, filtered as published; which songs are for what is the caches' business.

    Args:
        train_cache: Folder that `ondes data notes` wrote.
        validation_cache: Another one, of other works.
        layer_names: What the layers are, as instrument and number of each; the published families where None.
        batch: Windows in a batch.
        validation_batches: How many, always the same.
        fewest_notes: Of a track that counts.
        least_cells: Sounding cells that each bar of a window has.
        seed: Of the order.
        workers: Processes that cut windows beside the training.
    """

    def __init__(
        self,
        train_cache: Path,
        validation_cache: Path,
        layer_names: list[list[int]] | None = None,
        batch: int = 512,
        validation_batches: int = 2,
        fewest_notes: int = FEWEST_NOTES,
        least_cells: int = LEAST_CELLS,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["train_cache", "validation_cache"])
        self.train_cache, self.validation_cache = train_cache, validation_cache
        self.read: dict[str, tuple[list[RollNotes], np.ndarray]] = {}

    @property
    def layers(self) -> tuple[RollPart, ...]:
        """What the layers of the rolls are."""
        pairs = self.hparams["layer_names"]
        return FAMILIES if pairs is None else named_layers(pairs)

    def setup(self, stage: str) -> None:
        """Read the songs once.

        Raises:
            UserError: If a cache has no window that can be used.
        """
        if not self.read:
            self.read = {
                "train": self._windows(self.train_cache),
                "validation": self._windows(self.validation_cache),
            }

    def _windows(self, folder: Path) -> tuple[list[RollNotes], np.ndarray]:
        """Songs that can be used, and where their windows begin."""
        cache, songs, places = open_note_cache(folder), [], [np.zeros((0, 2), np.int64)]
        reasons: Counter[str] = Counter()
        for index in range(len(cache)):
            sequence, _ = cache[index]
            part = unified(sequence, self.layers, fewest_notes=self.hparams["fewest_notes"])
            reason = refusal(sequence, part)
            if not reason:
                notes = roll_notes(sequence, part)
                starts = busy_windows(notes.rolls(len(self.layers)), least_cells=self.hparams["least_cells"])
                reason = "" if len(starts) else "no window without a bar that is nearly empty"
            if reason:
                reasons[reason] += 1
                continue
            places.append(np.stack([np.full(len(starts), len(songs)), starts], 1))
            songs.append(notes)
        found = np.concatenate(places)
        told = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        log.info("%s: %d windows of %d songs; left out: %s", folder, len(found), len(songs), told or "none")
        if not len(found):
            raise UserError(
                f"{folder} holds no song for these rolls ({told}); give others, or lower least_cells"
            )
        return songs, found

    def _random(self, split: str, *, seed: int, first: int = 0) -> RollWindows:
        songs, places = self.read[split]
        batch = min(self.hparams["batch"], len(places))
        return RollWindows(songs, places, parts=len(self.layers), batch=batch, seed=seed, first=first)

    def train_dataloader(self) -> DataLoader[RollBatch]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step * self.trainer.accumulate_grad_batches if self.trainer else 0
        windows = self._random("train", seed=self.hparams["seed"], first=first)
        return DataLoader(windows, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[RollBatch]:
        """The same few batches each time."""
        windows = self._random("validation", seed=-1)
        fixed = [windows.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]
