"""Training of a composer of continuous features: Gaussian diffusion of the same notes with the same transformer."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from ondes.diffusion.flow import stratified
from ondes.diffusion.noise import position_seed
from ondes.diffusion.zero_snr import mean_squared, noisy_and_velocity, to_level, zero_snr_scheduler
from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline
from ondes.representations.note_features import FEATURES, FeatureStatistics
from ondes.training.averaged_training import AveragedTraining
from ondes.training.note_windows import NoteBatch, NoteWindows

__all__ = ["ContinuousTraining", "NoteWindows"]

VALIDATION_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


class FeatureDenoiser(nn.Module):
    """A network and the statistics of what it denoises, saved together as a pipeline.

    Args:
        network: Of the kind "features".
    """

    def __init__(self, network: NoteTransformer) -> None:
        super().__init__()
        self.network = network
        self.statistics = FeatureStatistics()

    def forward(self, batch: NoteBatch, noise: Tensor, timestep: Tensor) -> Tensor:
        """Mean squared error of the velocity at timesteps (batch,), of the notes that are free."""
        scheduler = zero_snr_scheduler()
        data = batch.features
        if data is None:
            raise ValueError("the batch has no features")
        free = batch.free.any(-1) & batch.valid
        noisy, truth = noisy_and_velocity(data, noise, timestep, scheduler)
        shown = torch.where(free[..., None], noisy, data)
        known = ~free[..., None].expand_as(data)
        level = to_level(timestep.cpu(), scheduler).to(data.device)
        answer = cast(Tensor, self.network(shown, batch.valid, batch.conditions, level, known))
        return mean_squared(answer, truth, free)

    def save_pretrained(self, folder: Path) -> None:
        """Save a pipeline that composes with this network."""
        statistics = self.statistics.to_config()
        pipeline = ComposerPipeline(self.network, zero_snr_scheduler(), feature_statistics=statistics)
        pipeline.save_pretrained(folder)


class ContinuousTraining(AveragedTraining):
    """Trains a network of features to denoise windows of music.

    Args:
        model: The network, of the kind "features".
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        start_from: A saved pipeline whose weights to begin with.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of noise and levels.

    Raises:
        UserError: If the network is of another kind.
    """

    model: FeatureDenoiser
    betas = (0.9, 0.99)

    def __init__(
        self,
        model: NoteTransformer,
        learning_rate: float = 1.5e-3,
        warm_up_steps: int = 100,
        start_from: Path | None = None,
        ema_decay: float = 0.995,
        seed: int = 0,
    ) -> None:
        super().__init__(FeatureDenoiser(model), ema_decay=ema_decay, start_from=start_from)
        self.save_hyperparameters(ignore=["model", "start_from"])
        if model.config["kind"] != "features" or model.config["feature_size"] != len(FEATURES):
            raise UserError(
                f"the network is of the kind {model.config['kind']!r} with {model.config['feature_size']} features; "
                f"give it kind: features and feature_size: {len(FEATURES)}"
            )

    def check_data(self, data: NoteWindows) -> None:
        """Tell the data which styles the network knows."""
        data.styles = tuple(self.model.network.config["styles"])

    def on_fit_start(self) -> None:
        """Fix the statistics, which depend on the data alone, and take over weights, once."""
        data = cast(NoteWindows, self.trainer.datamodule)  # pyright: ignore[reportAttributeAccessIssue]
        self.check_data(data)
        statistics = data.fit_statistics()
        fresh = self.start_from is not None and self.trainer.ckpt_path is None
        for denoiser in (self.model, cast(FeatureDenoiser, self.average.module)):
            denoiser.statistics = statistics
            if fresh and self.start_from is not None:
                saved = NoteTransformer.from_pretrained(self.start_from / "network")
                denoiser.network.load_state_dict(saved.state_dict())

    def training_step(self, batch: NoteBatch) -> Tensor:
        """Loss of a batch, with noise and levels that are a function of its number."""
        generator = torch.Generator().manual_seed(
            position_seed(self.hparams["seed"], "step", int(batch.number))
        )
        loss = self.model(batch, *chances(batch, generator))
        self.log("train/velocity", loss, prog_bar=True, batch_size=len(batch.tokens))
        return loss

    def validation_step(self, batch: NoteBatch, number: int) -> None:
        """Losses of the averaged weights at fixed levels with fixed noise."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        noise, timestep = chances(batch, generator)
        for level in VALIDATION_LEVELS:
            fixed = torch.full_like(timestep, int(level * 1000))
            loss = self.average.module(batch, noise, fixed)
            self.log(f"validation/velocity_{level:g}", loss, batch_size=len(batch.tokens), sync_dist=True)

    def sample_image(self) -> dict[str, Tensor]:
        """Features of a validation window, noise as silence."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        return {"features": batch.features[0].T.cpu()}


def chances(batch: NoteBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise like the features, and timesteps spread over all, drawn on the CPU."""
    if batch.features is None:
        raise ValueError("the batch has no features")
    noise = torch.randn(batch.features.shape, generator=generator)
    timestep = (stratified(len(batch.tokens), generator) * 1000).long()
    return noise.to(batch.features), timestep.to(batch.features.device)
