"""Training of the audio model: flow matching on log-mels, with given frames, places and styles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ondes.diffusion.flow import mix, stratified, to_level
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.models.mel_unet import AudioConditions, MelUNet
from ondes.training.audio_windows import AudioBatch, Piece, PieceWindows, read_pieces
from ondes.training.averaged_training import AveragedTraining
from ondes.training.flow_losses import VALIDATION_LEVELS, flow_error, random_context
from ondes.training.windows import band_statistics

LEAST_LEVEL = 0.2
"""Of `flow_error`: 14 dB under the music, noise is no louder than what a network of this size leaves of the details."""

PICTURE_LEVEL = 0.5
"""Pictures show what the network makes of a window at this level of noise in one step."""


class AudioWindows(lightning.LightningDataModule):
    """Windows of pieces of audio, as log-mels.

    Args:
        folders: Folders that 'ondes data render' or 'ondes data audio' wrote.
        batch: Windows in a batch.
        frames: Mel frames in a window.
        validation_batches: Batches of the validation split, always the same.
        seed: Of the cuts.
        workers: Processes that cut windows beside the training.
    """

    def __init__(
        self,
        folders: list[Path],
        batch: int = 8,
        frames: int = 1024,
        validation_batches: int = 4,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["folders"])
        self.folders = folders
        self.styles: tuple[str, ...] = ()
        self.pieces: list[Piece] = []
        self.validation_pieces: list[Piece] = []

    def setup(self, stage: str) -> None:
        """Find the pieces once."""
        if not self.pieces:
            self.pieces = read_pieces(self.folders, "train")
            self.validation_pieces = read_pieces(self.folders, "validation")

    def _windows(self, pieces: list[Piece], **settings: Any) -> PieceWindows:
        sizes = {name: self.hparams[name] for name in ("batch", "frames")}
        return PieceWindows(pieces, styles=self.styles, **sizes, **settings)

    def train_dataloader(self) -> DataLoader[AudioBatch]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step if self.trainer else 0
        windows = self._windows(self.pieces, seed=self.hparams["seed"], first=first)
        return DataLoader(windows, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[AudioBatch]:
        """The same few batches each time."""
        windows = self._windows(self.validation_pieces, seed=-1, vary=False)
        fixed = [windows.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


class AudioTraining(AveragedTraining):
    """Trains a `MelUNet` to turn noise into music.

    Args:
        model: The network.
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        drop_style: Share of windows trained without their style, for classifier-free guidance.
        level_shift: Above 1, more training near noise (`ondes.diffusion.flow.to_level`).
        start_from: A saved pipeline or network whose weights to begin with.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of noise, levels and masks.
    """

    model: MelUNet

    def __init__(
        self,
        model: MelUNet,
        learning_rate: float = 1e-3,
        warm_up_steps: int = 100,
        drop_style: float = 0.15,
        level_shift: float = 1.5,
        start_from: Path | None = None,
        ema_decay: float = 0.995,
        seed: int = 0,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay, start_from=start_from)
        self.save_hyperparameters(ignore=["model", "start_from"])

    def check_data(self, data: AudioWindows) -> None:
        """Tell the data which styles the network knows.

        Raises:
            UserError: If windows are no whole multiples of the network's coarsest token.
        """
        frames, multiple = data.hparams["frames"], self.model.multiple
        if frames % multiple:
            raise UserError(
                f"windows of {frames} frames; this network needs data.frames in multiples of {multiple}"
            )
        data.styles = self.model.styles

    def on_fit_start(self) -> None:
        """Fix the statistics of the features, once: a resumed or continued run has them already."""
        untouched = torch.equal(self.model.deviation, torch.ones_like(self.model.deviation))
        if not self.takes_over() and untouched:
            data = cast(AudioWindows, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]
            mean, deviation = band_statistics((piece.log_mel for piece in data.pieces), silence=True)
            self.model.mean.copy_(mean)
            self.model.deviation.copy_(deviation)

    def training_step(self, batch: AudioBatch) -> Tensor:
        """Loss of a batch."""
        generator = torch.Generator().manual_seed(
            position_seed(self.hparams["seed"], "step", self.global_step)
        )
        data, conditions = self.model.standardise(batch.log_mel), conditions_of(batch)
        windows, frames = len(data), data.shape[-1]
        level = to_level(stratified(windows, generator), shift=self.hparams["level_shift"]).to(data.device)
        known = random_context(windows, frames, generator).to(data.device)
        told = (torch.rand(windows, 1, generator=generator) >= self.hparams["drop_style"]).to(data)
        conditions = conditions._replace(style=conditions.style * told)
        noise = torch.randn(data.shape, generator=generator).to(data.device)
        noisy = torch.where(known[:, None, None], data, mix(data, noise, level))
        made = self.model(noisy, level, conditions, known)
        loss = flow_error(made, data, noise, level, known, least_level=LEAST_LEVEL).mean()
        self.log("train/flow", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: AudioBatch, number: int) -> None:
        """Losses of the averaged weights at fixed levels with fixed noise, and with a hole of a second to fill."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        network = cast(MelUNet, self.average.module)
        data, conditions = network.standardise(batch.log_mel), conditions_of(batch)
        noise = torch.randn(data.shape, generator=generator).to(data.device)
        nothing = torch.zeros(len(data), data.shape[-1], dtype=torch.bool, device=data.device)
        hole = ~nothing
        middle, half = data.shape[-1] // 2, round(network.spec.frames_per_second / 2)
        hole[:, max(middle - half, 0) : middle + half] = False
        cases = [*((f"{value:g}", value, nothing) for value in VALIDATION_LEVELS), ("hole_0.7", 0.7, hole)]
        for name, value, known in cases:
            level = torch.full((len(data),), value, device=data.device)
            noisy = torch.where(known[:, None, None], data, mix(data, noise, level))
            made = network(noisy, level, conditions, known)
            loss = flow_error(made, data, noise, level, known, least_level=LEAST_LEVEL).mean()
            self.log(f"validation/flow_{name}", loss, batch_size=len(data))

    def sample_image(self) -> dict[str, Tensor]:
        """A window of the validation data and what the network makes of it half drowned in noise, left channel."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        batch = AudioBatch(*(part[:1].to(self.device) for part in batch))
        network = cast(MelUNet, self.average.module)
        data = network.standardise(batch.log_mel)
        noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(0)).to(data.device)
        level = torch.full((1,), PICTURE_LEVEL, device=data.device)
        noisy = mix(data, noise, level)
        made = noisy - PICTURE_LEVEL * network(noisy, level, conditions_of(batch))
        return {"audio": batch.log_mel[0, 0].cpu(), "model": network.restore(made)[0, 0].cpu()}


def conditions_of(batch: AudioBatch) -> AudioConditions:
    """What the network is told of a batch."""
    return AudioConditions(batch.style, batch.since_start_s, batch.until_end_s)
