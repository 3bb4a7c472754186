"""Training of the vocoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ondes.audio import Audio
from ondes.diffusion.noise import position_seed
from ondes.models.discriminator import Discriminator
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.griffin_lim import transform
from ondes.models.overlap_add import inverse_stft
from ondes.models.vocoder import BinPredictions, Vocoder, predict_phasors, to_unit
from ondes.training.callbacks import averaged
from ondes.training.schedule import warm_up_cosine
from ondes.training.windows import own_numbers, read_rows

GAIN_RANGE_DB = (-14.0, 8.0)
"""A vocoder must bear any level: its windows are made softer or louder at random."""

MIX_SHARE = 0.4
"""Windows to which a second one is added, so that it hears more voices at once."""

LARGEST_JITTER = 0.7
"""Largest standard deviation, in radians, of the noise on the phases that the network is shown as the past."""

STFT_SIZES = (512, 1024, 2048)


class RandomAudio(IterableDataset[Tensor]):
    """Endless batches of audio (batch, channels, samples); batch k is a function of the seed and k.

    Args:
        pieces: int16 arrays (channels, time).
        batch: Windows in a batch.
        samples: Length of a window.
        seed: Of the run.
        first: Number of the first batch.
    """

    def __init__(
        self, pieces: list[np.ndarray], *, batch: int, samples: int, seed: int, first: int = 0
    ) -> None:
        self.pieces = [piece for piece in pieces if piece.shape[1] >= samples]
        self.batch, self.samples, self.seed, self.first = batch, samples, seed, first

    def __iter__(self) -> Iterator[Tensor]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> Tensor:
        """Batch of a number."""
        rng = np.random.default_rng(position_seed(self.seed, "audio", number))
        return torch.from_numpy(np.stack([self._window(rng) for _ in range(self.batch)]))

    def _window(self, rng: np.random.Generator) -> np.ndarray:
        window = self._cut(rng)
        if rng.random() < MIX_SHARE:
            window = window + self._cut(rng)
        return np.ascontiguousarray(window[::-1] if rng.random() < 0.5 else window)

    def _cut(self, rng: np.random.Generator) -> np.ndarray:
        piece = self.pieces[rng.integers(len(self.pieces))]
        start = rng.integers(0, piece.shape[1] - self.samples + 1)
        gain = 10 ** (rng.uniform(*GAIN_RANGE_DB) / 20) / 32768
        return piece[:, start : start + self.samples].astype(np.float32) * np.float32(gain)


class RenderedAudio(lightning.LightningDataModule):
    """Windows of rendered audio.

    Args:
        folders: Folders that 'ondes data render' wrote.
        batch: Windows in a batch.
        samples: Length of a window.
        sample_rate_hz: Rate of the audio; what has another one is resampled once.
        channels: 2 for stereo, 1 for mono.
        validation_batches: Batches of the validation split, always the same.
        seed: Of the cuts.
        workers: Processes that cut windows beside the training.
    """

    def __init__(
        self,
        folders: list[Path],
        batch: int = 8,
        samples: int = 80 * 512,
        sample_rate_hz: int = 44_100,
        channels: Literal[1, 2] = 2,
        validation_batches: int = 4,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["folders"])
        self.folders = folders
        self.pieces: dict[str, list[np.ndarray]] = {}

    def setup(self, stage: str) -> None:
        """Read the audio once, as 16-bit integers."""
        for split in ("train", "validation"):
            if split not in self.pieces:
                rows = read_rows(self.folders, split)
                layout = {name: self.hparams[name] for name in ("sample_rate_hz", "channels")}
                self.pieces[split] = [read_int16(folder / row["audio"], **layout) for folder, row in rows]

    def _windows(self, split: str, *, seed: int, first: int = 0) -> RandomAudio:
        settings = {name: self.hparams[name] for name in ("batch", "samples")}
        return RandomAudio(self.pieces[split], seed=seed, first=first, **settings)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Endless batches from the module's step on."""
        first = cast(VocoderTraining, self.trainer.lightning_module).steps_done if self.trainer else 0
        windows = self._windows("train", seed=self.hparams["seed"], first=first)
        return DataLoader(windows, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[Tensor]:
        """The same few batches each time."""
        windows = self._windows("validation", seed=-1)
        fixed = [windows.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


def read_int16(file: Path, *, sample_rate_hz: int, channels: int) -> np.ndarray:
    """Audio of a file as int16 (channels, time)."""
    samples = Audio.read(file).resample(sample_rate_hz).to_stereo().samples
    if channels == 1:
        samples = samples.mean(0, keepdims=True)
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


class VocoderTraining(lightning.LightningModule):
    """Trains the vocoder: first every bin's magnitude and phase advance by regression, then the sound of the whole.

    In the first stage the network is shown the true phases of the frame before, with noise on them so that it learns
    to correct its own. From `free_from` on it runs freely on its own phases through the inverse transform, against
    multi-resolution STFT losses (Yamamoto et al. 2020, arXiv 1910.11480) and a discriminator with least-squares and
    feature-matching losses (Mao et al. 2017; Kumar et al. 2019).

    Args:
        model: The network.
        learning_rate: Peak of the schedule, of AdamW.
        warm_up_steps: Steps of its rise.
        free_from: Step at which the second stage begins.
        free_frames: Frames of a window that are decoded freely.
        adversarial_weight: Of the discriminator's loss; at 0 there is no discriminator.
        start_from: A saved vocoder whose weights to begin with.
        ema_decay: Of the averaged weights, which are what a run saves.
        seed: Of the noise.
    """

    def __init__(
        self,
        model: Vocoder | FramedVocoder,
        learning_rate: float = 1.5e-3,
        warm_up_steps: int = 100,
        free_from: int = 2000,
        free_frames: int = 48,
        adversarial_weight: float = 0.1,
        start_from: Path | None = None,
        ema_decay: float = 0.998,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["model", "start_from"])
        self.model, self.start_from = model, start_from
        self.average = averaged(model, decay=ema_decay)
        self.discriminator = Discriminator()
        self.automatic_optimization = False
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    @property
    def steps_done(self) -> int:
        """Batches seen."""
        return int(self.step)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """AdamW for the vocoder and for the discriminator; the schedule is applied by hand."""
        rate = self.hparams["learning_rate"]
        return [
            torch.optim.AdamW(self.model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01),
            torch.optim.AdamW(self.discriminator.parameters(), lr=3e-4, betas=(0.8, 0.98), weight_decay=0.01),
        ]

    def on_fit_start(self) -> None:
        """Begin with saved weights, if there are any."""
        if self.start_from is not None and self.steps_done == 0:
            saved = type(self.model).from_pretrained(self.start_from, low_cpu_mem_usage=False)
            self.model.load_state_dict(saved.state_dict())

    def training_step(self, batch: Tensor) -> None:
        """One step of the vocoder, and in the second stage one of the discriminator."""
        generator = torch.Generator().manual_seed(
            position_seed(self.hparams["seed"], "step", self.steps_done)
        )
        predictions, target, losses = self._regression(self.model, batch, generator)
        loss = losses["magnitude"] + 2 * losses["phase"] + 0.05 * losses["onset"] + losses.get("stereo", 0)
        if self.steps_done >= self.hparams["free_from"]:
            truth, made = self._decoded(target, predictions)
            losses["stft"] = stft_loss(made, truth)
            loss = loss + losses["stft"]
            if self.hparams["adversarial_weight"] > 0:
                loss = loss + self.hparams["adversarial_weight"] * self._adversarial(made, truth, losses)
        self._step(loss)
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})

    def _adversarial(self, made: Tensor, truth: Tensor, losses: dict[str, Tensor]) -> Tensor:
        """One step of the discriminator, and the loss that it puts on the vocoder."""
        critic_optimiser = cast(Any, self.optimizers())[1]
        critic_optimiser.zero_grad()
        losses["critic"] = critic_loss(self.discriminator(made.detach()), self.discriminator(truth))
        self.manual_backward(losses["critic"])
        # Not Lightning's own step, which would count this as another step of the training.
        critic_optimiser.optimizer.step()
        losses["fooled"], losses["features"] = generator_losses(
            self.discriminator(made), self.discriminator(truth)
        )
        return losses["fooled"] + 2 * losses["features"]

    def _step(self, loss: Tensor) -> None:
        optimiser = cast(Any, self.optimizers())[0]
        factor = warm_up_cosine(
            self.steps_done, warm_up=self.hparams["warm_up_steps"], steps=self.trainer.max_steps
        )
        for group in optimiser.param_groups:
            group["lr"] = self.hparams["learning_rate"] * factor
        optimiser.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimiser, gradient_clip_val=1.0, gradient_clip_algorithm="norm")
        optimiser.step()
        self.average.update_parameters(self.model)
        self.step += 1

    def validation_step(self, batch: Tensor, number: int) -> None:
        """Regression losses of the averaged weights, and the STFT loss of what they decode."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        model = cast(Vocoder, self.average.module)
        predictions, target, losses = self._regression(model, batch, generator)
        truth, made = self._decoded(target, predictions)
        losses["stft"] = stft_loss(made, truth)
        self.log_dict({f"validation/{name}": value for name, value in losses.items()}, batch_size=len(batch))

    def sample_image(self) -> dict[str, Tensor]:
        """Log-mel of a validation window and of what the averaged vocoder makes of it, left channel."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        model = cast(Vocoder, self.average.module)
        log_mel, target = model.analyse(batch[:1].to(self.device))
        _, made = self._decoded(target, model.predict(log_mel), frames=log_mel.shape[-1])
        heard, _ = model.analyse(made[None, : target.shape[1]])
        return {"render": log_mel[0, 0].cpu(), "vocoder": heard[0, 0].cpu()}

    def _regression(
        self, model: Vocoder | FramedVocoder, audio: Tensor, generator: torch.Generator
    ) -> tuple[BinPredictions, Tensor, dict[str, Tensor]]:
        """Predictions for audio, the audio that they describe, and how far each is from its true spectrum."""
        log_mel, target = model.analyse(audio)
        predictions = model.predict(log_mel)
        spectrum = transform(target.flatten(0, 1), model.spec).unflatten(0, target.shape[:2])
        return predictions, target, bin_losses(predictions, spectrum, model.tonal_bins, generator)

    def _decoded(
        self, audio: Tensor, predictions: BinPredictions, frames: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """True and freely decoded audio of the last frames, channels side by side (batch * channels, samples)."""
        frames = min(frames or self.hparams["free_frames"], predictions.fresh.shape[-1])
        start = predictions.fresh.shape[-1] - frames
        part = predictions.frames(slice(start, None))
        spectrum = self.model.spectrum(part, self.model.integrate(part))
        made = inverse_stft(spectrum.flatten(0, 1), spec=self.model.spec)
        return audio[..., start * self.model.spec.hop_samples :].flatten(0, 1), made


def bin_losses(
    predictions: BinPredictions, spectrum: Tensor, tonal_bins: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Distances between predicted and true bins, louder bins counting more.

    Args:
        predictions: Of the frames of the spectrum.
        spectrum: True complex spectrogram (batch, channels, bins, frames).
        tonal_bins: Bins whose phases are predicted.
        generator: Of the noise on the past that the network is shown.
    """
    magnitude = spectrum.abs()
    weight = magnitude.sqrt()
    relative = 0.1 + weight / (weight.mean((1, 2, 3), keepdim=True) + 1e-2)
    log_error = (predictions.log_magnitude - magnitude.clamp(min=1e-5).log()).abs()
    middle = spectrum[:, :, :tonal_bins].sum(1)
    true_phasors = middle / middle.abs().clamp(min=1e-7)
    spread = torch.rand(len(middle), 1, 1, generator=generator) * LARGEST_JITTER
    jitter = (torch.randn(middle.shape, generator=generator) * spread).to(magnitude.device)
    shown = true_phasors * torch.polar(torch.ones_like(jitter), jitter)
    past = functional.pad(shown, (1, 0))[..., :-1]
    predicted = predict_phasors(predictions.carry, predictions.fresh, past)
    loud = middle.abs().sqrt()
    losses = {
        "magnitude": (log_error * relative).mean(),
        "phase": weighted_distance(predicted, true_phasors, loud, slice(1, None)),
        "onset": weighted_distance(predictions.fresh, true_phasors, loud, slice(0, 1)),
    }
    if predictions.spread is not None:
        unit = to_unit(spectrum)
        together = magnitude.prod(1).pow(0.25)
        # The softest bins count a little too: few can be heard alone, but together they are the width of a sound.
        together = 0.1 + together / (together.mean((1, 2), keepdim=True) + 1e-2)
        spread = unit[:, 0] * unit[:, 1].conj()
        losses["stereo"] = weighted_distance(predictions.spread, spread, together, slice(None))
    return losses


def weighted_distance(made: Tensor, truth: Tensor, weight: Tensor, frames: slice) -> Tensor:
    """Mean squared distance of phasors in some frames."""
    error = (made - truth)[..., frames]
    weight = weight[..., frames]
    return ((error.real.square() + error.imag.square()) * weight).sum() / (weight.sum() + 1)


def stft_loss(made: Tensor, truth: Tensor) -> Tensor:
    """Spectral convergence plus distance of log magnitudes, averaged over resolutions."""
    total = made.new_zeros(())
    for size in STFT_SIZES:
        window = torch.hann_window(size, device=made.device)
        ours, theirs = (
            torch.stft(audio, size, size // 4, window=window, return_complex=True).abs()
            for audio in (made, truth)
        )
        convergence = (ours - theirs).norm() / (theirs.norm() + 1e-3)
        floor = 1e-3 * math.sqrt(size / 1024)
        logs = (ours.clamp(min=floor).log() - theirs.clamp(min=floor).log()).abs().mean()
        total = total + convergence + logs
    return total / len(STFT_SIZES)


def critic_loss(made: list[list[Tensor]], truth: list[list[Tensor]]) -> Tensor:
    """Least squares: the truth should be judged 1, what is made 0."""
    parts = [
        (1 - theirs[-1]).square().mean() + ours[-1].square().mean()
        for ours, theirs in zip(made, truth, strict=True)
    ]
    return torch.stack(parts).mean()


def generator_losses(made: list[list[Tensor]], truth: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """How far what is made is from being judged 1, and how far it is from the truth in the critics' own features."""
    fooled = torch.stack([(1 - ours[-1]).square().mean() for ours in made]).mean()
    features = [
        (ours - theirs.detach()).abs().mean() / (theirs.detach().abs().mean() + 1e-3)
        for critic_made, critic_truth in zip(made, truth, strict=True)
        for ours, theirs in zip(critic_made[:-1], critic_truth[:-1], strict=True)
    ]
    return fooled, torch.stack(features).mean()
