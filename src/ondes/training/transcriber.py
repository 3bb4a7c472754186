"""Training of a transcriber that can be differentiated, for the classifier guidance of Spectrogram Diffusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ondes.datasets.cached_songs import CachedSongs
from ondes.diffusion.flow import stratified
from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.diffusion.noise import position_seed
from ondes.diffusion.predictions import Prediction
from ondes.errors import UserError
from ondes.models.mel_transcriber import MelTranscriber
from ondes.pipelines.segment_network import SegmentNetwork
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.representations.framed_mel import OFFICIAL, from_scaled, to_scaled
from ondes.representations.piano_rolls import to_rolls
from ondes.training.averaged_training import AveragedTraining
from ondes.training.spectrogram_data import SpectrogramData
from ondes.training.spectrogram_diffusion import to_sample
from ondes.training.spectrogram_segments import SILENCE, Songs, song_chances
from ondes.training.windows import own_numbers

CLEAN_LOG_SNR = 20.0
"""Told for recordings."""

VALIDATION_TIMES = (0.0, 0.3, 0.6, 0.9)
"""0 stands for recordings."""

ONSET_WEIGHT = 4.0
"""Of what a transcriber misses of beginnings: of a note they are one frame, what sounds is many."""


class RollBatch(NamedTuple):
    """Windows of recordings: scaled log-mel (batch, frames, bands), beginnings and what sounds (batch, frames, 88)."""

    log_mel: Tensor
    onsets: Tensor
    sounding: Tensor


class RandomRolls(IterableDataset[RollBatch]):
    """Endless batches of windows of songs and their piano rolls; batch k is a function of the seed and k.

    Args:
        sets: Songs of each data set.
        batch: Windows in a batch.
        frames: Frames of a window.
        temperature: Of the mixture of the data sets.
        seed: Of the whole run.
        first: Number of the first batch.
    """

    def __init__(
        self, sets: Sequence[Songs], *, batch: int, frames: int, temperature: float, seed: int, first: int = 0
    ) -> None:
        self.chances = song_chances([songs.frames for songs in sets], temperature)
        self.places = [(songs, index) for songs in sets for index in range(len(songs.frames))]
        self.batch, self.frames, self.seed, self.first = batch, frames, seed, first

    def __iter__(self) -> Iterator[RollBatch]:
        """Batches from the first on; worker w of n makes every n-th."""
        return map(self.at, own_numbers(self.first))

    def at(self, number: int) -> RollBatch:
        """Batch of a number."""
        rng = np.random.default_rng(position_seed(self.seed, "rolls", number))
        drawn = rng.choice(len(self.places), size=self.batch, p=self.chances)
        return RollBatch(
            *map(torch.stack, zip(*(self._window(int(place), rng) for place in drawn), strict=True))
        )

    def _window(self, place: int, rng: np.random.Generator) -> RollBatch:
        songs, index = self.places[place]
        song = songs[index]
        start = int(rng.integers(0, max(len(song.log_mel) - self.frames, 0) + 1))
        piece = to_scaled(torch.from_numpy(np.array(song.log_mel[start : start + self.frames], np.float32)))
        padded = functional.pad(piece, (0, 0, 0, self.frames - len(piece)), value=SILENCE)
        rolls = to_rolls(
            song.notes, start_frame=start, frames=self.frames, frames_per_second=OFFICIAL.frames_per_second
        )
        return RollBatch(padded, *rolls)


class TranscriberData(SpectrogramData):
    """Windows of the data sets of `SpectrogramData`, with piano rolls; its settings of tokens are of no account."""

    def _rolls(self, sets: list[CachedSongs], **place: int) -> RandomRolls:
        options = self.hparams
        return RandomRolls(
            sets,
            batch=options["batch_size"],
            frames=options["segment_frames"],
            temperature=options["sampling_temperature"],
            **place,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step if self.trainer else 0
        rolls = self._rolls(self.training, seed=self.hparams["seed"], first=first)
        return DataLoader(rolls, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """The same few batches each time; nothing where no data set has a validation split."""
        if not self.validation:
            return []
        rolls = self._rolls(self.validation, seed=-1)
        fixed = [rolls.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


class TranscriberTraining(AveragedTraining):
    """Trains a `MelTranscriber` on recordings, and on what a diffusion model takes noisy ones for.

    While a sampler goes its way the transcriber judges what the model expects the data to be, at first a blurred
    average. So it learns from just that: recordings with noise at random times, as the model without any notes
    estimates them. What it answers then is p(notes | estimate), with all the doubt that is in it.

    Args:
        model: The network.
        judged: Folder of the Spectrogram Diffusion model it will guide; if missing it learns from recordings alone.
        clean_share: Share of examples that are recordings.
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of noise and times.
    """

    model: MelTranscriber

    def __init__(
        self,
        model: MelTranscriber,
        judged: Path | None = None,
        clean_share: float = 0.25,
        learning_rate: float = 2e-3,
        warm_up_steps: int = 50,
        ema_decay: float = 0.99,
        seed: int = 0,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay)
        self.save_hyperparameters(ignore=["model"])
        # In a tuple, so that its weights are not among those that are trained and kept.
        loaded = None if judged is None else SpectrogramDiffusionPipeline.from_pretrained(judged)
        self._judged = (loaded,)

    def seen(self, data: Tensor, time: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the transcriber is shown of scaled log-mels, and the log SNR it is told; recordings at time 0."""
        (pipeline,) = self._judged
        if pipeline is None:
            return data, torch.full_like(time, CLEAN_LOG_SNR)
        noise = torch.randn(data.shape, generator=generator).to(data)
        estimate = estimated(pipeline, data, noise, time)
        clean = time == 0
        return (
            torch.where(clean[:, None, None], data, estimate),
            torch.where(clean, CLEAN_LOG_SNR, cosine_log_snr(time)),
        )

    def training_step(self, batch: RollBatch) -> Tensor:
        """Cross-entropy of beginnings and of what sounds, in nats a key and frame, times 100."""
        generator = torch.Generator().manual_seed(
            position_seed(self.hparams["seed"], "estimates", self.global_step)
        )
        time = stratified(len(batch.log_mel), generator)
        clean = torch.rand(len(time), generator=generator) < self.hparams["clean_share"]
        shown = self.seen(batch.log_mel, time.masked_fill(clean, 0.0).to(self.device), generator)
        loss = roll_loss(self.model(*shown), batch)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: RollBatch, number: int) -> None:
        """Loss, and F1 of the keys that sound in each frame, on recordings and on estimates at a few times."""
        model = cast(MelTranscriber, self.average.module)
        for value in VALIDATION_TIMES:
            generator = torch.Generator().manual_seed(position_seed("validation", number))
            time = torch.full((len(batch.log_mel),), value, device=self.device)
            logits = model(*self.seen(batch.log_mel, time, generator))
            size = len(time)
            self.log(f"validation/loss_{value:g}", roll_loss(logits, batch), batch_size=size)
            self.log(f"validation/f1_{value:g}", frame_f1(logits[1], batch.sounding), batch_size=size)

    def sample_image(self) -> dict[str, Tensor]:
        """What sounds in a validation window, true and heard, as pictures."""
        batch = next(iter(self.trainer.val_dataloaders or self.trainer.train_dataloader))  # pyright: ignore
        batch = self.transfer_batch_to_device(batch, self.device, 0)
        levels = torch.full((len(batch.log_mel),), CLEAN_LOG_SNR, device=self.device)
        heard = cast(MelTranscriber, self.average.module)(batch.log_mel, levels)[1].sigmoid()
        return {
            name: 14.0 * roll[0].T.cpu() - 11.5 for name, roll in (("true", batch.sounding), ("heard", heard))
        }


@torch.no_grad()
def estimated(
    pipeline: SpectrogramDiffusionPipeline, data: Tensor, noise: Tensor, time: Tensor
) -> Float[Tensor, "batch frames bands"]:
    """What a model that hears no notes takes noisy log-mels for, in the official scaling.

    Args:
        pipeline: Has the model.
        data: Officially scaled log-mels, of as many frames as the model makes.
        noise: Like the data.
        time: 0 (data) to 1 (noise), (batch,).

    Raises:
        UserError: If it is the autoregressive baseline, which takes nothing for anything.
    """
    network = pipeline.network
    if not isinstance(network, SegmentNetwork):
        raise UserError("the autoregressive baseline does not denoise; give a diffusion model")
    span = pipeline.feature_range
    own = to_scaled(from_scaled(data), feature_range=span)
    alpha, sigma = (share[:, None, None] for share in alpha_sigma(cosine_log_snr(time)))
    noisy = alpha * own + sigma * noise
    memory = network.encode([np.zeros(1, np.int64)] * len(data), None)
    deaf = memory._replace(hearers=torch.zeros(0, dtype=torch.int64, device=data.device))
    answer = network.denoise(noisy, time, deaf).float()
    prediction: Prediction = pipeline.scheduler.config.get("prediction_type", "epsilon")
    made = to_sample(noisy, answer, alpha, sigma, prediction)
    return to_scaled(from_scaled(made, feature_range=span))


def roll_loss(logits: tuple[Tensor, Tensor], batch: RollBatch) -> Tensor:
    """Mean cross-entropy of beginnings, counted `ONSET_WEIGHT` times, and of what sounds, times 100."""
    onsets, sounding = (
        functional.binary_cross_entropy_with_logits(given, wanted)
        for given, wanted in zip(logits, (batch.onsets, batch.sounding), strict=True)
    )
    return 100 * (ONSET_WEIGHT * onsets + sounding)


def frame_f1(logits: Tensor, sounding: Tensor) -> Tensor:
    """F1 of keys found likelier to sound than not, over all frames of a batch."""
    found = logits > 0
    right = (found & (sounding > 0)).sum()
    return 2 * right / (found.sum() + (sounding > 0).sum()).clamp(min=1)
