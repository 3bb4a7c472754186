"""Training of the separator's network."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import lightning
import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from ondes.datasets.note_cache import open_note_cache
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError, nearest
from ondes.models.part_labeller import INSTRUMENTS, MOST_OF_ONE, PartLabeller
from ondes.representations.mixtures import PartSet
from ondes.representations.note_sequence import NoteSequence
from ondes.training.averaged_training import AveragedTraining
from ondes.training.mixture_windows import MixtureBatch, MixtureWindows, part_names, random_labels

OBJECTIVES = ("diffusion", "classifier")
PROPOSAL_WEIGHT = 0.05
"""Of the loss of the instruments proposed, which is a sum over 129 of them."""


class Mixtures(lightning.LightningDataModule):
    """Windows of the scores of a note cache that have two parts and more.

    Args:
        train_cache: Folder that `ondes data notes` wrote.
        validation_cache: Another one, of other works.
        batch: Windows in a batch.
        notes: Notes in a window.
        validation_batches: Batches of the validation cache, always the same.
        collection_weights: How often each collection is drawn; any other has the weight 1.
        seed: Of the cuts.
        workers: Processes that cut windows beside the training.
    """

    def __init__(
        self,
        train_cache: Path,
        validation_cache: Path,
        batch: int = 8,
        notes: int = 256,
        validation_batches: int = 8,
        collection_weights: dict[str, float] | None = None,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["train_cache", "validation_cache"])
        self.train_cache, self.validation_cache = train_cache, validation_cache
        self.songs: list[NoteSequence] = []
        self.validation_songs: list[NoteSequence] = []
        self.weights = np.zeros(0)

    def setup(self, stage: str) -> None:
        """Read the scores once."""
        if not self.songs:
            self.songs, self.weights = self._read(self.train_cache)
            self.validation_songs, _ = self._read(self.validation_cache)

    def _read(self, folder: Path) -> tuple[list[NoteSequence], np.ndarray]:
        cache = open_note_cache(folder)
        wanted = self.hparams["collection_weights"] or {}
        found = [(cache[index]) for index in range(len(cache))]
        kept = [(song, about.collection) for song, about in found if len(part_names(song)) > 1]
        if not kept:
            raise UserError(f"{folder} holds no score of two parts or more; separation needs some")
        names = [collection for _, collection in kept]
        weights = np.array([wanted.get(name, 1.0) / names.count(name) for name in names])
        return [song for song, _ in kept], weights

    def train_dataloader(self) -> DataLoader[MixtureBatch]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step if self.trainer else 0
        windows = MixtureWindows(
            self.songs,
            batch=self.hparams["batch"],
            notes=self.hparams["notes"],
            seed=self.hparams["seed"],
            first=first,
            weights=self.weights,
        )
        return DataLoader(windows, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[MixtureBatch]:
        """The same few batches each time."""
        windows = MixtureWindows(
            self.validation_songs,
            batch=self.hparams["batch"],
            notes=self.hparams["notes"],
            seed=-1,
            vary=False,
        )
        fixed = [windows.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


class SeparatorTraining(AveragedTraining):
    """Trains a `PartLabeller` to name the parts of the notes whose labels were taken away.

    The loss of a window is its mean negative log likelihood over the labels taken away. For labels lost one by one
    with a chance that is uniform over windows this is the bound of masked diffusion (Sahoo et al. 2024, arXiv
    2406.07524, equation 10) for each note.

    Args:
        model: The network.
        objective: `diffusion`, or `classifier`, which never sees a label: the control of the same size.
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        start_from: A saved network whose weights to begin with.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of the labels taken away.

    Raises:
        UserError: If there is no such objective.
    """

    model: PartLabeller
    weight_decay = 0.05

    def __init__(
        self,
        model: PartLabeller,
        objective: str = "diffusion",
        learning_rate: float = 1e-3,
        warm_up_steps: int = 100,
        start_from: Path | None = None,
        ema_decay: float = 0.995,
        seed: int = 0,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay, start_from=start_from)
        if objective not in OBJECTIVES:
            raise UserError(f"unknown objective {objective!r}; {nearest(objective, OBJECTIVES)}")
        self.save_hyperparameters(ignore=["model", "start_from"])

    def training_step(self, batch: MixtureBatch) -> Tensor:
        """Loss of a batch: of the labels, and of the instruments proposed."""
        generator = torch.Generator().manual_seed(
            position_seed(self.hparams["seed"], "labels", self.global_step)
        )
        known = torch.full_like(batch.labels, -1)
        if self.hparams["objective"] == "diffusion":
            known = random_labels(batch.labels.cpu(), generator).to(batch.labels)
        loss, right = label_loss(self.model(batch.facts, known, batch.parts), batch.labels, known)
        proposal = proposal_loss(self.model.propose(batch.facts), batch.parts, batch.labels)
        self.log("train/labels", loss, prog_bar=True)
        self.log("train/accuracy", right, prog_bar=True)
        self.log("train/proposal", proposal)
        return loss + PROPOSAL_WEIGHT * proposal

    def validation_step(self, batch: MixtureBatch, number: int) -> None:
        """Loss and accuracy with no label known, and with half of them."""
        model = cast(PartLabeller, self.average.module)
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        half = torch.rand(batch.labels.shape, generator=generator).to(batch.labels.device) < 0.5
        for name, known in (
            ("none", torch.full_like(batch.labels, -1)),
            ("half", batch.labels.masked_fill(half, -1)),
        ):
            loss, right = label_loss(model(batch.facts, known, batch.parts), batch.labels, known)
            self.log(f"validation/labels_{name}", loss, batch_size=len(batch.labels))
            self.log(f"validation/accuracy_{name}", right, batch_size=len(batch.labels))
        proposal = proposal_loss(model.propose(batch.facts), batch.parts, batch.labels)
        self.log("validation/proposal", proposal, batch_size=len(batch.labels))

    def sample_image(self) -> dict[str, Tensor]:
        """The parts of a validation window over its notes, true and found, as a picture of two rows."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        batch = self.transfer_batch_to_device(batch, self.device, 0)
        model = cast(PartLabeller, self.average.module)
        logits = model(batch.facts, torch.full_like(batch.labels, -1), batch.parts)[0].cpu()
        found = functional.one_hot(logits.argmax(-1), logits.shape[-1])
        true = functional.one_hot(batch.labels[0].cpu().clamp(min=0), logits.shape[-1])
        return {"true": 14.0 * true.T - 11.5, "found": 14.0 * found.T - 11.5}


def label_loss(
    logits: Float[Tensor, "batch notes parts"],
    labels: Int64[Tensor, "batch notes"],
    known: Int64[Tensor, "batch notes"],
) -> tuple[Tensor, Tensor]:
    """Mean over windows of the mean negative log likelihood of labels not known, in nats, and the share found."""
    wanted = (labels >= 0) & (known < 0)
    target = labels.masked_fill(~wanted, -100)
    each = functional.cross_entropy(logits.transpose(1, 2), target, reduction="none", ignore_index=-100)
    count = wanted.sum(1).clamp(min=1)
    right = ((logits.argmax(-1) == labels) & wanted).sum(1) / count
    return (each.where(wanted, 0.0).sum(1) / count).mean(), right.mean()


def proposal_loss(
    logits: Float[Tensor, "batch instruments counts"], parts: PartSet, labels: Int64[Tensor, "batch notes"]
) -> Tensor:
    """Negative log likelihood of how many parts of each instrument have notes, summed over instruments, in nats."""
    sounding = torch.zeros_like(parts.valid, dtype=torch.int64)
    sounding = sounding.scatter_reduce(1, labels.clamp(min=0), (labels >= 0).long(), "amax")
    counts = torch.zeros(len(labels), INSTRUMENTS, dtype=torch.int64, device=labels.device)
    counts = counts.scatter_add(1, parts.instrument, sounding * parts.valid).clamp(max=MOST_OF_ONE - 1)
    each = functional.cross_entropy(logits.transpose(1, 2), counts, reduction="none")
    return each.sum(1).mean()
