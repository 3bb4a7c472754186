"""Training of Mixture2Music: noise in rolls within their mixture is predicted; and its decoder, by itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.models.trans_unet import RollDecoder, TransUNet
from ondes.pipelines.dmc import TRAIN_STEPS
from ondes.pipelines.roll_samplers import make_roll_scheduler
from ondes.training.averaged_training import AveragedTraining
from ondes.training.roll_windows import MixtureRolls, RollBatch

VALIDATION_TIMESTEPS = (0, 100, 300, 600, 900)
PICTURED_TIMESTEP = 300
LOWEST_RATE = 1e-5


class RollTraining(AveragedTraining):
    """What both networks share: AdamW at a rate that falls whenever the validation gets no better, as published.

    A run that is resumed has forgotten the validation of the step that its checkpoint was written at.

    Args:
        model: The network.
        learning_rate: At the beginning.
        lower_by: What it is multiplied with after a validation that is no better than the best.
        ema_decay: Of the averaged weights, which are what a run saves; 0, as published, saves the weights themselves.
        seed: Of noise and levels.
        schedule: Of the noise: "linear", as published, or "cosine".
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: float,
        lower_by: float,
        ema_decay: float,
        seed: int,
        schedule: str,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay)
        self.learning_rate, self.lower_by, self.seed, self.schedule = learning_rate, lower_by, seed, schedule
        self.noise_schedule: Any = make_roll_scheduler("ddpm", schedule)

    @abstractmethod
    def batch_loss(self, network: nn.Module, batch: RollBatch, generator: torch.Generator) -> Tensor:
        """Loss of a batch in training."""

    @abstractmethod
    def validation_losses(self, network: nn.Module, batch: RollBatch) -> dict[str, Tensor]:
        """Losses that are the same whenever they are asked for, one of them called "loss"."""

    @abstractmethod
    def estimate(self, network: nn.Module, batch: RollBatch) -> Tensor:
        """Rolls that the network makes of noisy ones, of values around 0 and 1."""

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW as torch has it; `on_validation_epoch_end` lowers its rate."""
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser, factor=self.lower_by, patience=0, min_lr=LOWEST_RATE
        )
        # Epochs are endless here: Lightning keeps the scheduler's state, and never steps it.
        settings = {"scheduler": plateau, "monitor": "validation/loss", "frequency": 2**62}
        return {"optimizer": optimiser, "lr_scheduler": settings}

    def check_data(self, data: object) -> None:
        """Compare the network with the data.

        Raises:
            UserError: If they have different numbers of layers.
        """
        if not isinstance(data, MixtureRolls):
            return
        config: Any = self.model.config
        if config["parts"] != len(data.layers):
            raise UserError(
                f"the network has {config['parts']} layers and the data {len(data.layers)}; give one number to both: "
                "--model.init_args.model.init_args.parts and --data.init_args.layer_names"
            )

    def on_fit_start(self) -> None:
        """Put what the layers are, and the schedule, into the networks' settings."""
        data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        self.check_data(data)
        for network in (self.model, self.average.module):
            if isinstance(network, TransUNet):
                network.register_to_config(layer_names=data.hparams["layer_names"], schedule=self.schedule)

    def training_step(self, batch: RollBatch) -> Tensor:
        """Loss of a batch, with noise that is a function of the batch's number."""
        seed = position_seed(self.seed, "step", int(batch.number))
        torch.manual_seed(seed)  # dropout draws from the generator of all
        loss = self.batch_loss(self.model, batch, torch.Generator().manual_seed(seed))
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.rolls))
        return loss

    def validation_step(self, batch: RollBatch, _: int) -> None:
        """Losses of the saved weights."""
        network = cast(nn.Module, self.average.module)
        for name, loss in self.validation_losses(network, batch).items():
            self.log(f"validation/{name}", loss, batch_size=len(batch.rolls), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Lower the rate if the loss is no better."""
        plateau = self.lr_schedulers()
        assert isinstance(plateau, torch.optim.lr_scheduler.ReduceLROnPlateau)
        if not self.trainer.sanity_checking:
            plateau.step(float(self.trainer.callback_metrics["validation/loss"]))

    def noisy(self, batch: RollBatch, timestep: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rolls with noise, and the noise, both within the mixture."""
        noise = torch.randn(batch.rolls.shape, generator=generator).to(batch.rolls)
        noisy = self.noise_schedule.add_noise(batch.rolls, noise, timestep)
        return batch.mixture * noisy, batch.mixture * noise

    def sample_image(self) -> dict[str, Tensor]:
        """Who plays which key in a validation window, and what the network takes it for."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        batch = RollBatch(batch.rolls[:1].to(self.device), batch.number)
        made = self.estimate(cast(nn.Module, self.average.module), batch) * batch.mixture
        return {"score": _picture(batch.rolls), "model": _picture(made)}


class Mixture2MusicTraining(RollTraining):
    """Trains the network: the Huber loss of the noise, over all cells, most of which are silent.

    Args:
        model: The network.
        learning_rate: As of `RollTraining`.
        lower_by: The same.
        ema_decay: The same.
        seed: The same.
        schedule: The same.
    """

    def __init__(
        self,
        model: TransUNet,
        learning_rate: float = 1e-3,
        lower_by: float = 0.95,
        ema_decay: float = 0.0,
        seed: int = 0,
        schedule: str = "linear",
    ) -> None:
        super().__init__(
            model,
            learning_rate=learning_rate,
            lower_by=lower_by,
            ema_decay=ema_decay,
            seed=seed,
            schedule=schedule,
        )
        self.save_hyperparameters(ignore=["model"])

    def batch_loss(self, network: nn.Module, batch: RollBatch, generator: torch.Generator) -> Tensor:
        """Huber loss of the noise at steps drawn evenly."""
        timestep = torch.randint(0, TRAIN_STEPS, (len(batch.rolls),), generator=generator).to(self.device)
        noisy, noise = self.noisy(batch, timestep, generator)
        return functional.smooth_l1_loss(network(noisy, timestep), noise)

    def validation_losses(self, network: nn.Module, batch: RollBatch) -> dict[str, Tensor]:
        """The loss at fixed steps, and the share of sounding cells whose surest part is one that plays them."""
        generator, size = torch.Generator().manual_seed(position_seed("validation")), len(batch.rolls)
        found = {}
        for step in VALIDATION_TIMESTEPS:
            timestep = torch.full((size,), step, device=self.device)
            noisy, noise = self.noisy(batch, timestep, generator)
            found[f"loss_{step}"] = functional.smooth_l1_loss(network(noisy, timestep), noise)
        surest = self.estimate(network, batch).argmax(1, keepdim=True)
        right = (batch.rolls.gather(1, surest) * batch.mixture).sum() / batch.mixture.sum().clamp(min=1)
        return {"loss": torch.stack(list(found.values())).mean(), **found, "cells": right}

    def estimate(self, network: nn.Module, batch: RollBatch) -> Tensor:
        """The data that the noise at step 300 leaves."""
        timestep = torch.full((len(batch.rolls),), PICTURED_TIMESTEP, device=self.device)
        noisy, _ = self.noisy(batch, timestep, torch.Generator().manual_seed(0))
        kept = float(self.noise_schedule.alphas_cumprod[PICTURED_TIMESTEP])
        return (noisy - (1 - kept) ** 0.5 * network(noisy, timestep)) / kept**0.5


class RollDecoderTraining(RollTraining):
    """Trains the independent decoder: cells from what is left of noise at the cleanest level, by cross-entropy.

    It never sees what the sampler makes, and its classes are 50 deviations of the noise from one half: a threshold does
    the same.

    Args:
        model: The decoder.
        learning_rate: As of `RollTraining`.
        lower_by: The same.
        ema_decay: The same.
        seed: The same.
        schedule: The same.
    """

    def __init__(
        self,
        model: RollDecoder,
        learning_rate: float = 1e-3,
        lower_by: float = 0.9,
        ema_decay: float = 0.0,
        seed: int = 0,
        schedule: str = "linear",
    ) -> None:
        super().__init__(
            model,
            learning_rate=learning_rate,
            lower_by=lower_by,
            ema_decay=ema_decay,
            seed=seed,
            schedule=schedule,
        )
        self.save_hyperparameters(ignore=["model"])

    def batch_loss(self, network: nn.Module, batch: RollBatch, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the cells, over all of them."""
        noisy, _ = self.noisy(batch, torch.zeros(len(batch.rolls), dtype=torch.int64), generator)
        return functional.binary_cross_entropy_with_logits(network(noisy), batch.rolls)

    def validation_losses(self, network: nn.Module, batch: RollBatch) -> dict[str, Tensor]:
        """The loss with fixed noise."""
        return {"loss": self.batch_loss(network, batch, torch.Generator().manual_seed(0))}

    def estimate(self, network: nn.Module, batch: RollBatch) -> Tensor:
        """Probabilities of the cells."""
        step = torch.zeros(len(batch.rolls), dtype=torch.int64)
        return network(self.noisy(batch, step, torch.Generator().manual_seed(0))[0]).sigmoid()


def _picture(rolls: Tensor) -> Tensor:
    """The first rolls of a batch as one (rows, steps): the surest part as a shade, on the scale of a run's pictures."""
    most, part = rolls[0].max(0)
    shade = torch.where(most > 0.5, (part + 2.0) / (rolls.shape[1] + 1), 0.0)
    return (14.5 * shade - 11.5).T.cpu()
