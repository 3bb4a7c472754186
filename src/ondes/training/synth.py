"""Training of the synthesiser's denoiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ondes.diffusion.flow import mix, stratified, to_level
from ondes.diffusion.noise import position_seed
from ondes.models.note_denoiser import Conditioning, NoteDenoiser
from ondes.training.averaged_training import AveragedTraining
from ondes.training.flow_losses import VALIDATION_LEVELS, flow_error, random_context, weights_of_channels
from ondes.training.fresh import FreshPairs, FreshWindows
from ondes.training.windows import Batch, Pair, RandomWindows, band_statistics, read_pairs


class RenderedWindows(lightning.LightningDataModule):
    """Windows of rendered pairs.

    Args:
        folders: Folders that 'ondes data render' wrote.
        batch: Windows in a batch.
        frames: Mel frames in a window.
        validation_batches: Batches of the validation split, always the same.
        seed: Of the cuts.
        workers: Processes that cut windows beside the training.
        shorten: From which step on there are how many times as many windows, as much shorter.
        fresh: Scores that are varied and rendered during the training, instead of the folders' training pairs; with
            `workers` this happens beside it.
        pool: Fresh pairs to cut from at a time.
        renew_every: Batches after which one of them is replaced.
    """

    def __init__(
        self,
        folders: list[Path],
        batch: int = 16,
        frames: int = 128,
        validation_batches: int = 4,
        seed: int = 0,
        workers: int = 0,
        shorten: dict[int, int] | None = None,
        fresh: FreshPairs | None = None,
        pool: int = 48,
        renew_every: int = 8,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["folders", "fresh"])
        self.fresh = fresh
        self.folders = folders
        self.pairs: list[Pair] = []
        self.validation_pairs: list[Pair] = []

    def setup(self, stage: str) -> None:
        """Read the pairs once."""
        if not self.pairs:
            self.pairs = read_pairs(self.folders, "train")
            self.validation_pairs = read_pairs(self.folders, "validation")

    def _windows(self, pairs: list[Pair], **settings: Any) -> RandomWindows:
        return RandomWindows(pairs, batch=self.hparams["batch"], frames=self.hparams["frames"], **settings)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step if self.trainer else 0
        settings = {"seed": self.hparams["seed"], "first": first, "shorten": self.hparams["shorten"]}
        if self.fresh is None:
            windows = self._windows(self.pairs, **settings)
        else:
            renewal = {name: self.hparams[name] for name in ("pool", "renew_every", "batch", "frames")}
            windows = FreshWindows(self.fresh, **renewal, **settings)
        return DataLoader(windows, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[Batch]:
        """The same few batches each time."""
        windows = self._windows(self.validation_pairs, seed=-1)
        fixed = [windows.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


class SynthTraining(AveragedTraining):
    """Trains the sketch of the notes by regression, then the denoiser around it by flow matching.

    Args:
        model: The network.
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        sketch_steps: Steps at the beginning that train the sketch alone, on which everything else stands; they cost a
            fraction of the others.
        drop_notes: Share of windows trained without their notes, for classifier-free guidance.
        level_shift: Above 1, more training near noise (`ondes.diffusion.flow.to_level`).
        start_from: A saved pipeline or denoiser whose weights to begin with.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of noise, levels and masks.
    """

    model: NoteDenoiser

    def __init__(
        self,
        model: NoteDenoiser,
        learning_rate: float = 1e-3,
        warm_up_steps: int = 100,
        sketch_steps: int = 1000,
        drop_notes: float = 0.1,
        level_shift: float = 1.0,
        start_from: Path | None = None,
        ema_decay: float = 0.998,
        seed: int = 0,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay, start_from=start_from, component="denoiser")
        self.save_hyperparameters(ignore=["model", "start_from"])

    def on_fit_start(self) -> None:
        """Fix the statistics of the features, once: a resumed or continued run has them already."""
        untouched = torch.equal(self.model.deviation, torch.ones_like(self.model.deviation))
        if not self.takes_over() and untouched:
            data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
            mean, deviation = band_statistics(pair.log_mel for pair in data.pairs)
            self.model.mean.copy_(mean)
            self.model.deviation.copy_(deviation)

    def training_step(self, batch: Batch) -> Tensor:
        """Loss of a batch: of the sketch, and after `sketch_steps` of the flow as well."""
        generator = torch.Generator().manual_seed(
            position_seed(self.hparams["seed"], "step", self.global_step)
        )
        windows = len(batch.log_mel)
        data = self.model.standardise(batch.log_mel)
        conditioning = self.model.condition(batch.notes, windows)
        sketch = sketch_loss(conditioning, data)
        self.log("train/sketch", sketch, prog_bar=True)
        if self.global_step < self.hparams["sketch_steps"]:
            return sketch
        level = to_level(stratified(windows, generator), shift=self.hparams["level_shift"]).to(data.device)
        known = random_context(windows, data.shape[-1], generator).to(data.device)
        dropped = (torch.rand(windows, generator=generator) < self.hparams["drop_notes"]).to(data.device)
        # The flow loss is weighed by the spread, and would make it what it likes: only the regression may move it.
        around = Conditioning(
            conditioning.sketch.detach(), conditioning.spread.detach(), conditioning.embedding
        )
        noise = torch.randn(data.shape, generator=generator).to(data.device)
        flow = flow_loss(self.model, data, noise, level, self.model.drop(around, dropped), known).mean()
        self.log("train/flow", flow, prog_bar=True)
        return flow + 0.5 * sketch

    def validation_step(self, batch: Batch, number: int) -> None:
        """Losses at fixed levels with fixed noise."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        windows = len(batch.log_mel)
        model = cast(NoteDenoiser, self.average.module)
        data = model.standardise(batch.log_mel)
        conditioning = model.condition(batch.notes, windows)
        self.log("validation/sketch", sketch_loss(conditioning, data), batch_size=windows)
        noise = torch.randn(data.shape, generator=generator).to(data.device)
        known = torch.zeros(windows, data.shape[-1], dtype=torch.bool, device=data.device)
        for value in VALIDATION_LEVELS:
            level = torch.full((windows,), value, device=data.device)
            loss = flow_loss(model, data, noise, level, conditioning, known).mean()
            self.log(f"validation/flow_{value:g}", loss, batch_size=windows)

    def sample_image(self) -> dict[str, Tensor]:
        """A window of the validation data and the sketch of its notes, left channel."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        model = cast(NoteDenoiser, self.average.module)
        conditioning = model.condition(batch.notes.to(self.device), len(batch.log_mel))
        sketch = model.restore(conditioning.sketch)
        return {"render": batch.log_mel[0, 0].cpu(), "sketch": sketch[0, 0].cpu()}


def sketch_loss(conditioning: Conditioning, data: Tensor) -> Tensor:
    """Negative log likelihood of the data, normal around the sketch with the spread, and the plain distance.

    The distance keeps bands in which the sketch is still bad from being given up to a large spread.
    """
    error = data - conditioning.sketch
    spread = conditioning.spread
    likelihood = 0.5 * (error / spread).square() + spread.log()
    return (weights_of_channels(data) * (0.2 * likelihood + error.abs())).mean()


def flow_loss(
    model: NoteDenoiser, data: Tensor, noise: Tensor, level: Tensor, conditioning: Conditioning, known: Tensor
) -> Tensor:
    """Squared error of the velocity over its variance around the sketch, a window (batch,); see `flow_error`."""
    noisy = torch.where(known[:, None, None], data, mix(data, noise, level))
    made = model(noisy, level, conditioning, known)
    return flow_error(made, data, noise, level, known, spread=conditioning.spread)
