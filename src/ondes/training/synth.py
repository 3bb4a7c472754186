"""Training of the synthesiser's denoiser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ondes.diffusion.flow import mix, stratified, to_level, velocity
from ondes.diffusion.noise import position_seed
from ondes.models.note_denoiser import Conditioning, NoteDenoiser
from ondes.training.callbacks import averaged
from ondes.training.fresh import FreshPairs, FreshWindows
from ondes.training.schedule import warm_up_cosine
from ondes.training.windows import Batch, Pair, RandomWindows, band_statistics, read_pairs

SIDE_WEIGHT = 0.3
"""Weight of half the difference of left and right against their mean, in every loss."""

VALIDATION_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


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


class SynthTraining(lightning.LightningModule):
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
        super().__init__()
        self.save_hyperparameters(ignore=["model", "start_from"])
        self.model = model
        self.average = averaged(model, decay=ema_decay)
        self.start_from = start_from

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW with warm-up and cosine."""
        optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=self.hparams["learning_rate"], betas=(0.9, 0.98), weight_decay=0.01
        )
        steps, warm_up = self.trainer.max_steps, self.hparams["warm_up_steps"]
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: warm_up_cosine(step, warm_up=warm_up, steps=steps)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Fix the statistics of the features, once: a resumed or continued run has them already."""
        if self.start_from is not None and self.trainer.ckpt_path is None:
            pipeline = (self.start_from / "model_index.json").is_file()
            place = self.start_from / "denoiser" if pipeline else self.start_from
            self.model.load_state_dict(NoteDenoiser.from_pretrained(place).state_dict())
        elif torch.equal(self.model.deviation, torch.ones_like(self.model.deviation)):
            data = self.trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
            mean, deviation = band_statistics(data.pairs)
            self.model.mean.copy_(mean)
            self.model.deviation.copy_(deviation)

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Move the weights, then their average: before any callback saves either."""
        super().optimizer_step(*args, **settings)
        self.average.update_parameters(self.model)

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


def weights_of_channels(data: Tensor) -> Tensor:
    """Weights of mean and half difference that average to one (1, 2, 1, 1)."""
    return data.new_tensor([1.0, SIDE_WEIGHT])[None, :, None, None] * (2 / (1 + SIDE_WEIGHT))


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
    """Squared error of the velocity over its variance around the sketch, a window (batch,).

    The variance makes all levels and bands count alike, as in Karras et al. (2022), equation 8.
    """
    wide = known[:, None, None]
    noisy = torch.where(wide, data, mix(data, noise, level))
    error = model(noisy, level, conditioning, known) - velocity(data, noise)
    share = level[:, None, None, None]
    variance = (1 - share).square() * conditioning.spread.square() + share.square()
    weighed = weights_of_channels(data) * error.square() * variance / conditioning.spread.square()
    return (weighed * ~wide).sum((1, 2, 3)) / (~wide).expand_as(weighed).sum((1, 2, 3)).clamp(min=1)


def random_context(windows: int, frames: int, generator: torch.Generator) -> Tensor:
    """Which frames are given (windows, frames): nothing, a prefix, a suffix, both, or all but a hole."""
    masks = torch.zeros(windows, frames, dtype=torch.bool)
    kinds = torch.randint(0, 5, (windows,), generator=generator).tolist()
    lengths = (torch.rand(windows, 2, generator=generator) * frames / 2).long().tolist()
    for mask, kind, ends in zip(masks, kinds, lengths, strict=True):
        # Whole patches: a multiple of four frames on either side.
        before, after = (end // 4 * 4 for end in ends)
        if kind in (1, 3, 4):
            mask[:before] = True
        if kind in (2, 3):
            mask[frames - after :] = True
        if kind == 4:
            mask[min(frames, before + math.ceil(frames / 4 / 4) * 4) :] = True
    return masks
