"""Training of the composer by masked diffusion."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ondes.diffusion.masked import MaskedScheduler, mask_tokens, masked_loss, sample_masked
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.representations.note_tokens import (
    DURATION,
    DURATION_STEPS,
    PITCH,
    POSITION,
    SIZES,
    NoteTokenSpec,
)
from ondes.training.averaged_training import AveragedTraining, network_folder
from ondes.training.note_windows import NoteBatch, NoteWindows

__all__ = ["ComposerTraining", "NoteWindows"]

LEAST_LEVEL = 0.25
"""Levels below count less in training than the bound of the likelihood says: their losses vary more than they teach."""

PICTURE_NOTES, PICTURE_STEPS = 128, 12
SILENT, SOUNDING, ONSET = -11.5, -2.0, 3.0


def load_network(folder: Path) -> NoteTransformer:
    """The network of a saved pipeline, or of a folder that a run saved."""
    return NoteTransformer.from_pretrained(network_folder(folder))


def token_loss(network: NoteTransformer, batch: NoteBatch, generator: torch.Generator) -> Tensor:
    """Bound of the negative log likelihood, in nats a note: of the free tokens, given the others."""
    sizes = network.sizes
    masked, hidden = mask_tokens(batch.tokens, batch.level, sizes=sizes, generator=generator, free=batch.free)
    logits = cast(tuple[Tensor, ...], network(masked, batch.valid, batch.conditions))
    loss = masked_loss(logits, batch.tokens, hidden, batch.level, least_level=LEAST_LEVEL)
    return loss.sum() / batch.valid.sum()


def bits_a_note(network: NoteTransformer, batch: NoteBatch, generator: torch.Generator) -> Tensor:
    """Bound of the information in the free tokens, in bits a note that has them, a field (fields,)."""
    masked, hidden = mask_tokens(
        batch.tokens, batch.level, sizes=network.sizes, generator=generator, free=batch.free
    )
    logits = cast(tuple[Tensor, ...], network(masked, batch.valid, batch.conditions))
    loss = masked_loss(logits, batch.tokens, hidden, batch.level).sum(0)
    return loss / batch.free.sum((0, 1)).clamp(min=1) / math.log(2)


def unigram_bits(probabilities: list[Tensor], batch: NoteBatch) -> Tensor:
    """What the free tokens cost if each is told by its field's probabilities alone, in bits a note (fields,)."""
    costs = []
    for field, probability in enumerate(probabilities):
        told = batch.tokens[..., field][batch.free[..., field]]
        costs.append(-probability.to(told.device)[told].log2().sum() / max(told.numel(), 1))
    return torch.stack(costs)


class ComposerTraining(AveragedTraining):
    """Trains a network to fill in what is hidden of windows of music.

    Args:
        model: The network.
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        start_from: A saved pipeline or network whose weights to begin with.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of what is hidden.
    """

    model: NoteTransformer
    betas = (0.9, 0.99)

    def __init__(
        self,
        model: NoteTransformer,
        learning_rate: float = 1.5e-3,
        warm_up_steps: int = 200,
        start_from: Path | None = None,
        ema_decay: float = 0.998,
        seed: int = 0,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay, start_from=start_from)
        self.save_hyperparameters(ignore=["model", "start_from"])
        self.unigrams: list[Tensor] = []

    def check_data(self, data: NoteWindows) -> None:
        """Tell the data which styles and which fields of a note the network knows.

        Raises:
            UserError: If it has fields that no note has, or of other sizes.
        """
        data.styles = tuple(self.model.config["styles"])
        data.spec = NoteTokenSpec(unquantised="offset" in self.model.fields)
        if (self.model.fields, self.model.sizes) != (data.spec.fields, data.spec.sizes):
            raise UserError(
                f"the network has fields {list(self.model.fields)} of {list(self.model.sizes)} classes; notes have "
                f"{list(data.spec.fields)} of {list(data.spec.sizes)}: give these as fields and sizes"
            )

    def parameter_groups(self) -> list[dict[str, object]]:
        """Only matrices decay."""
        matrices = [weights for weights in self.model.parameters() if weights.ndim >= 2]
        others = [weights for weights in self.model.parameters() if weights.ndim < 2]
        return [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]

    def on_fit_start(self) -> None:
        """Take over weights, once, and count the training data."""
        data = cast(NoteWindows, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]
        self.check_data(data)
        self.takes_over()
        self.unigrams = data.unigrams()

    def training_step(self, batch: NoteBatch) -> Tensor:
        """Loss of a batch."""
        seed = position_seed(self.hparams["seed"], "step", int(batch.number))
        loss = token_loss(self.model, batch, torch.Generator().manual_seed(seed))
        self.log("train/nats_a_note", loss, prog_bar=True, batch_size=len(batch.tokens))
        return loss

    def validation_step(self, batch: NoteBatch, number: int) -> None:
        """Bits a note of each field, by the averaged weights and by the frequencies of classes alone."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        network = cast(NoteTransformer, self.average.module)
        rows = {
            "bits": bits_a_note(network, batch, generator),
            "unigram_bits": unigram_bits(self.unigrams, batch),
        }
        there = batch.free.sum((0, 1))
        for name, bits in rows.items():
            for field, value, count in zip(self.model.fields, bits, there.tolist(), strict=True):
                if count:
                    self.log(f"validation/{name}_{field}", value, batch_size=count, sync_dist=True)
            total = (bits * there).sum() / batch.valid.sum()
            self.log(f"validation/{name}", total, batch_size=int(batch.valid.sum()), sync_dist=True)

    def sample_image(self) -> dict[str, Tensor]:
        """Rolls of a validation window and of what the network writes under its conditions."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        network = cast(NoteTransformer, self.average.module)
        truth = batch.tokens[:1, :PICTURE_NOTES].to(self.device)
        conditions = {name: value[:1].to(self.device) for name, value in batch.conditions.items()}
        made = sample_masked(
            lambda tokens, _: cast(tuple[Tensor, ...], network(tokens, None, conditions)),
            torch.tensor(network.sizes, device=self.device).expand_as(truth),
            sizes=network.sizes,
            scheduler=MaskedScheduler(),
            steps=PICTURE_STEPS,
            generators=[torch.Generator().manual_seed(0)],
        )
        return {"score": roll(truth[0]), "model": roll(made[0])}


def roll(tokens: Tensor) -> Tensor:
    """A picture of notes, (pitches, steps), bars taken to be as long as the longest position there."""
    tokens = tokens.cpu()
    bar_steps = int(tokens[:, POSITION].max()) // 24 * 24 + 24
    onset = tokens[:, 0].cumsum(0) * bar_steps + tokens[:, POSITION]
    length = torch.from_numpy(DURATION_STEPS)[tokens[:, DURATION]]
    picture = torch.full((SIZES[PITCH], int((onset + length).max())), SILENT)
    for pitch, start, steps in zip(tokens[:, PITCH], onset, length, strict=True):
        picture[pitch, start : start + steps] = SOUNDING
        picture[pitch, start] = ONSET
    return picture
