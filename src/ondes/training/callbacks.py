"""What a run does beside its steps: it saves its model, measures its speed and draws samples."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

log = logging.getLogger(__name__)


def averaged(model: nn.Module, *, decay: float) -> AveragedModel:
    """A copy of a model whose weights follow it as an exponential moving average."""
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    return average.requires_grad_(False)  # or several processes would wait for its gradients


def step_done(trainer: lightning.Trainer, batch_idx: int) -> bool:
    """Whether a batch was the last that its step waited for: several have one step where gradients accumulate."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class SaveModel(lightning.Callback):
    """Writes the averaged model, ready for `from_pretrained`, beside the checkpoints.

    Args:
        folder: Where; it is replaced as a whole.
        every_n_steps: How often; the end of a run counts as well.
    """

    def __init__(self, folder: Path, *, every_n_steps: int) -> None:
        self.folder, self.every_n_steps = folder, every_n_steps

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save now and then."""
        if trainer.global_step % self.every_n_steps == 0 and step_done(trainer, batch_idx):
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save the result."""
        self._save(trainer, pl_module)

    def _save(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        beside = self.folder.with_name(self.folder.name + ".part")
        module.average.module.save_pretrained(beside)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        shutil.rmtree(self.folder, ignore_errors=True)
        beside.replace(self.folder)


class SpeedReport(lightning.Callback):
    """Logs samples a second and the floating-point operations a second reached.

    Operations of one batch are counted by torch's own counter, once, at `count_step` after the start.
    """

    def __init__(self, *, every_n_steps: int = 50, count_step: int = 2) -> None:
        self.every_n_steps, self.count_step = every_n_steps, count_step
        self.flops_per_batch = 0.0
        self._counter: FlopCounterMode | None = None
        self._since: tuple[float, int] = (time.perf_counter(), 0)

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Count the operations of one batch in every phase of the training."""
        if trainer.global_step % (self.every_n_steps * 10) == self.count_step:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Log the speed since the last time."""
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.flops_per_batch, self._counter = float(self._counter.get_total_flops()), None
        if trainer.global_step % self.every_n_steps == 0 and step_done(trainer, batch_idx):
            now, step = time.perf_counter(), trainer.global_step
            batches = (step - self._since[1]) * trainer.accumulate_grad_batches
            batches_per_s = batches / (now - self._since[0])
            self._since = (now, step)
            pl_module.log("speed/windows_per_s", batches_per_s * len(batch[0]), batch_size=1)
            pl_module.log("speed/tflops", batches_per_s * self.flops_per_batch / 1e12, batch_size=1)


class SampleImages(lightning.Callback):
    """Draws a window of the truth over the model's sketch of it, every so many steps.

    Args:
        folder: Where the PNG files go.
        every_n_steps: How often.
    """

    def __init__(self, folder: Path, *, every_n_steps: int) -> None:
        self.folder, self.every_n_steps = folder, every_n_steps

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Draw what the module's `sample_image` gives: arrays (bands, frames) by title."""
        if trainer.global_step % self.every_n_steps or not trainer.is_global_zero:
            return
        if not step_done(trainer, batch_idx):
            return
        with torch.no_grad():
            rows = pl_module.sample_image()  # pyright: ignore[reportCallIssue]
        draw_rows(rows, self.folder / f"step_{trainer.global_step:07d}.png")


def draw_rows(rows: dict[str, Tensor], path: Path) -> None:
    """Draw log-mels or rolls (bands, frames) under each other, lowest band below, under their titles, as a PNG file."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 2.2 * len(rows)), layout="constrained")
    for axes, (title, values) in zip(
        figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True
    ):
        axes.imshow(values, origin="lower", aspect="auto", vmin=-11.5, vmax=3)
        axes.set_title(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
