"""Training of the published composer: noise in segments of triples is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ondes.datasets.triple_segments import read_segments
from ondes.diffusion.noise import position_seed
from ondes.models.dmc_unet import DmcUNet
from ondes.pipelines.dmc import TRAIN_STEPS, make_dmc_scheduler
from ondes.representations.triples import (
    NOTES,
    PUBLISHED_LONGEST_QUARTERS,
    TripleLimits,
    TripleStatistics,
    from_scaled,
    to_scaled,
)
from ondes.training.callbacks import averaged
from ondes.training.windows import in_epochs, own_numbers

VALIDATION_TIMESTEPS = (0, 100, 300, 600, 900)
QUIET, LOUD = -11.5, 3.0
"""Ends of the scale that pictures of a run are drawn in."""
PICTURE_STEPS_PER_QUARTER = 8


class TripleBatch(NamedTuple):
    """Scaled segments (batch, notes, 3), and the number of the batch."""

    triples: Tensor
    number: Tensor


class RandomSegments(IterableDataset[TripleBatch]):
    """Endless batches of segments; batch k is a function of the seed and k.

    Args:
        segments: Scaled, float32 (segments, notes, 3).
        batch: Segments in a batch.
        seed: Of the choice.
        first: Number of the first batch.
    """

    def __init__(self, segments: np.ndarray, *, batch: int, seed: int, first: int = 0) -> None:
        self.segments, self.batch, self.seed, self.first = segments, batch, seed, first

    def __iter__(self) -> Iterator[TripleBatch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> TripleBatch:
        """Batch of a number: of every epoch each segment once, in an order of its own."""
        chosen = in_epochs(number, batch=self.batch, count=len(self.segments), words=(self.seed, "segments"))
        return TripleBatch(torch.from_numpy(self.segments[chosen]), torch.tensor(number))


class TripleData(lightning.LightningDataModule):
    """Segments of one keyboard track a score.

    Args:
        data: Scores to learn from, by name and split, or a folder.
        validation_data: The same to measure on.
        pitch_encoding: "hz" as published, "log_hz" or "midi".
        scaling: "minmax" to 0 and 1 as published, or "zscore".
        batch: Segments in a batch.
        notes: Of a segment.
        longest_duration_quarters: Files whose track has a longer note are left out.
        longest_delta_quarters: The same of the time between onsets.
        validation_batches: How many, always the same.
        cache_folder: Where segments are kept between runs.
        seed: Of the order.
        workers: Processes that read the files.
    """

    def __init__(
        self,
        data: str = "corpus:train",
        validation_data: str = "corpus:validation",
        pitch_encoding: str = "hz",
        scaling: str = "minmax",
        batch: int = 64,
        notes: int = NOTES,
        longest_duration_quarters: float = PUBLISHED_LONGEST_QUARTERS,
        longest_delta_quarters: float = PUBLISHED_LONGEST_QUARTERS,
        validation_batches: int = 2,
        cache_folder: Path | None = None,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__()
        TripleStatistics(pitch_encoding, scaling, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # refuses words early
        self.save_hyperparameters(ignore=["cache_folder"])
        self.cache_folder = cache_folder
        self.scaled: dict[str, np.ndarray] = {}
        self.statistics: TripleStatistics | None = None

    def setup(self, stage: str) -> None:
        """Read the scores once; the statistics are those of the training data."""
        if self.statistics is not None:
            return
        settings = self.hparams
        limits = TripleLimits(
            settings["longest_duration_quarters"], settings["longest_delta_quarters"], settings["notes"]
        )
        for split, name in (("train", "data"), ("validation", "validation_data")):
            found = read_segments(
                settings[name], limits, workers=settings["workers"], cache=self.cache_folder
            )
            triples = found.triples.astype(np.float64)
            if self.statistics is None:
                words = {word: settings[word] for word in ("pitch_encoding", "scaling")}
                self.statistics = TripleStatistics.fit(triples, **words)
            self.scaled[split] = to_scaled(triples, self.statistics).astype(np.float32)

    def train_dataloader(self) -> DataLoader[TripleBatch]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step * self.trainer.accumulate_grad_batches if self.trainer else 0
        settings = {name: self.hparams[name] for name in ("batch", "seed")}
        return DataLoader(RandomSegments(self.scaled["train"], first=first, **settings), batch_size=None)

    def val_dataloader(self) -> DataLoader[TripleBatch]:
        """The same few batches each time."""
        segments = self.scaled["validation"]
        batch = min(self.hparams["batch"], len(segments))
        random = RandomSegments(segments, batch=batch, seed=-1)
        fixed = [random.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


class DmcTraining(lightning.LightningModule):
    """Trains the published composer: mean squared error of the noise, on the linear schedule of 1000 steps.

    All 1000 steps are trained; the published code leaves out the last, from which it then samples.

    Args:
        model: The network.
        learning_rate: Of Adam.
        lower_from: Step from which the learning rate is lower, as it was by hand in the published run.
        lower_by: What it is multiplied with from there on.
        ema_decay: Of the averaged weights, which are what a run saves; 0, as published, saves the weights themselves.
        seed: Of noise and levels.
    """

    def __init__(
        self,
        model: DmcUNet,
        learning_rate: float = 1e-4,
        lower_from: int | None = None,
        lower_by: float = 0.01,
        ema_decay: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["model"])
        self.model = model
        self.average = averaged(model, decay=ema_decay)
        self.noise_schedule: Any = make_dmc_scheduler("ddpm")

    def configure_optimizers(self) -> dict[str, object]:
        """Adam, with Keras's epsilon, at a rate that falls once."""
        optimiser = torch.optim.Adam(self.model.parameters(), lr=self.hparams["learning_rate"], eps=1e-7)
        begin, factor = self.hparams["lower_from"], self.hparams["lower_by"]
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: factor if begin is not None and step >= begin else 1.0
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Put the statistics of the data into the networks' settings."""
        data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        for network in (self.model, cast(DmcUNet, self.average.module)):
            network.register_to_config(statistics=data.statistics.to_config())

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Move the weights, then their average: before any callback saves either."""
        super().optimizer_step(*args, **settings)
        self.average.update_parameters(self.model)

    def _loss(
        self, network: DmcUNet, batch: TripleBatch, timestep: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Mean squared error of the noise."""
        noise = torch.randn(batch.triples.shape, generator=generator).to(self.device)
        timestep = timestep.to(self.device)
        noisy = self.noise_schedule.add_noise(batch.triples, noise, timestep)
        return functional.mse_loss(network(noisy, timestep), noise)

    def training_step(self, batch: TripleBatch) -> Tensor:
        """Loss of a batch, with noise that is a function of the batch's number."""
        seed = position_seed(self.hparams["seed"], "step", int(batch.number))
        generator = torch.Generator().manual_seed(seed)
        timestep = torch.randint(0, TRAIN_STEPS, (len(batch.triples),), generator=generator)
        loss = self._loss(self.model, batch, timestep, generator)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.triples))
        return loss

    def validation_step(self, batch: TripleBatch, number: int) -> None:
        """Losses of the saved weights at fixed steps with fixed noise."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        network, size = cast(DmcUNet, self.average.module), len(batch.triples)
        for step in VALIDATION_TIMESTEPS:
            loss = self._loss(network, batch, torch.full((size,), step), generator)
            self.log(f"validation/loss_{step}", loss, batch_size=size)

    def sample_image(self) -> dict[str, Tensor]:
        """A segment of the validation data, and what the network takes it for at step 300, as piano rolls."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        truth = batch.triples[:1].to(self.device)
        step = torch.tensor([300], device=self.device)
        noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        noisy = self.noise_schedule.add_noise(truth, noise, step)
        network = cast(DmcUNet, self.average.module)
        kept = float(self.noise_schedule.alphas_cumprod[300])
        made = (noisy - (1 - kept) ** 0.5 * network(noisy, step)) / kept**0.5
        return {
            title: roll(from_scaled(scaled[0].cpu().numpy(), data.statistics))
            for title, scaled in (("score", truth), ("model at step 300", made))
        }


def roll(triples: np.ndarray) -> Tensor:
    """A piano roll (pitches, 32nd notes) of triples on the scale of a run's pictures."""
    onset = np.cumsum(triples[:, 2])
    begin = np.round(onset * PICTURE_STEPS_PER_QUARTER).astype(int)
    end = np.maximum(np.round((onset + triples[:, 1]) * PICTURE_STEPS_PER_QUARTER).astype(int), begin + 1)
    drawn = torch.full((128, int(end.max(initial=1))), QUIET)
    for pitch, first, last in zip(triples[:, 0].astype(int), begin, end, strict=True):
        drawn[pitch, first:last] = LOUD
    return drawn
