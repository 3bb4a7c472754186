"""Training of the published audio model, Msanii, in its two stages: the vocoder network, then the U-Net.

Adam, warm-up, averaging and losses are the published ones. The scale of the features is fitted to all training audio
before the first step, instead of being frozen after the first batch, and is the same in training and in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ondes.audio import Audio
from ondes.datasets.audio_files import find_audio
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.models.msanii_unet import MsaniiUNet
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.pipelines.msanii import make_msanii_scheduler
from ondes.representations.msanii_mel import (
    MSANII,
    MsaniiFeatures,
    MsaniiSpec,
    ScaleFit,
    to_log_mel,
    to_magnitude,
)
from ondes.training.averaged_training import AveragedTraining
from ondes.training.windows import own_numbers, read_rows

VALIDATION_TIMESTEPS = (100, 300, 500, 700, 900)
PICTURE_TIMESTEP = 300
LEAST_LOG = 1e-6
"""Added to magnitudes before the logarithm of the vocoder's loss, and to the norm of its target."""

LONGEST_FIT_SAMPLES = 2**21
"""Statistics are taken of so much of a file at a time."""


class SoundBatch(NamedTuple):
    """Audio (batch, channels, samples), and the number of the batch."""

    samples: Tensor
    number: Tensor


class RandomSlices(IterableDataset[SoundBatch]):
    """Endless batches of slices that are read where they lie; batch k is a function of the seed and k.

    Args:
        files: Audio of any rate; mono becomes stereo.
        spec: For the rate.
        batch: Slices in a batch.
        samples: Length of a slice; what is shorter ends in silence.
        normalise: Whether a slice is brought to full scale, in which the two published recipes disagree.
        seed: Of the cuts.
        first: Number of the first batch.
    """

    def __init__(
        self,
        files: Sequence[Path],
        spec: MsaniiSpec,
        *,
        batch: int,
        samples: int,
        normalise: bool,
        seed: int,
        first: int = 0,
    ) -> None:
        self.files, self.spec, self.batch, self.samples = list(files), spec, batch, samples
        self.normalise, self.seed, self.first = normalise, seed, first

    def __iter__(self) -> Iterator[SoundBatch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> SoundBatch:
        """Batch of a number: of every epoch each file once, in an order of its own."""
        count, slices = len(self.files), []
        for place in range(number * self.batch, (number + 1) * self.batch):
            order = np.random.default_rng(position_seed(self.seed, "files", place // count)).permutation(
                count
            )
            rng = np.random.default_rng(position_seed(self.seed, "slices", place))
            slices.append(self._slice(self.files[order[place % count]], float(rng.random())))
        return SoundBatch(torch.from_numpy(np.stack(slices)), torch.tensor(number))

    def _slice(self, file: Path, place: float) -> np.ndarray:
        import soundfile  # noqa: PLC0415

        with soundfile.SoundFile(file) as opened:
            wanted = -(-self.samples * opened.samplerate // self.spec.sample_rate_hz)
            opened.seek(int(place * (max(0, opened.frames - wanted) + 1)))
            audio = Audio(opened.read(wanted, dtype="float32", always_2d=True).T, opened.samplerate)
        samples = audio.resample(self.spec.sample_rate_hz).to_stereo().samples[:, : self.samples]
        samples = np.pad(samples, ((0, 0), (0, self.samples - samples.shape[1])))
        peak = float(np.abs(samples).max())
        return np.clip(samples / peak if self.normalise and peak > 0 else samples, -1, 1)


class RandomSounds(lightning.LightningDataModule):
    """Slices of audio files.

    Args:
        folders: Folders that 'ondes data render' wrote, or any of audio files; see `find_audio` for their splits.
        batch: Slices in a batch.
        samples: Length of a slice at the model's rate.
        normalise: As of `RandomSlices`.
        validation_batches: Of the validation split, always the same.
        seed: Of the cuts.
        workers: Processes that read beside the training.
    """

    def __init__(
        self,
        folders: list[Path],
        batch: int = 4,
        samples: int = 8191 * 1024,
        normalise: bool = False,
        validation_batches: int = 2,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["folders"])
        self.folders = folders
        self.spec = MSANII
        self.files: dict[str, list[Path]] = {}

    def setup(self, stage: str) -> None:
        """Find the files once."""
        for split in ("train", "validation"):
            if split not in self.files:
                self.files[split] = find_files(self.folders, split)

    def scale(self) -> MsaniiFeatures:
        """Features whose scale is that of all training audio."""
        fit = ScaleFit()
        for file in self.files["train"]:
            samples = Audio.read(file).resample(self.spec.sample_rate_hz).to_stereo().samples
            if self.hparams["normalise"]:
                samples = samples / max(float(np.abs(samples).max()), 1e-9)
            for piece in torch.tensor(samples).split(LONGEST_FIT_SAMPLES, -1):
                if piece.shape[-1] > self.spec.fft_size // 2:
                    fit.add(to_log_mel(piece, spec=self.spec))
        return MsaniiFeatures(self.spec, fit.scaling())

    def _slices(self, split: str, **settings: Any) -> RandomSlices:
        sizes = {name: self.hparams[name] for name in ("batch", "samples", "normalise")}
        return RandomSlices(self.files[split], self.spec, **sizes, **settings)

    def train_dataloader(self) -> DataLoader[SoundBatch]:
        """Endless batches from the trainer's step on."""
        first = self.trainer.global_step * self.trainer.accumulate_grad_batches if self.trainer else 0
        slices = self._slices("train", seed=self.hparams["seed"], first=first)
        return DataLoader(slices, batch_size=None, num_workers=self.hparams["workers"])

    def val_dataloader(self) -> DataLoader[SoundBatch]:
        """The same few batches each time."""
        slices = self._slices("validation", seed=-1)
        fixed = [slices.at(number) for number in range(self.hparams["validation_batches"])]
        return DataLoader(fixed, batch_size=None)  # pyright: ignore[reportArgumentType]


def find_files(folders: Sequence[Path], split: str) -> list[Path]:
    """Audio files of a split in folders that were rendered, or any others.

    Raises:
        UserError: If there is none, or a folder holds log-mels, which are those of another front end.
    """
    rendered = [folder for folder in map(Path, folders) if (folder / "manifest.jsonl").is_file()]
    files: list[Path] = []
    for folder, row in read_rows(rendered, split) if rendered else []:
        if "audio" not in row:
            raise UserError(f"{folder} holds log-mels and no audio; give the folder that they were made from")
        files.append(folder / row["audio"])
    for folder in map(Path, folders):
        if folder not in rendered:
            files += [found.path for found in find_audio(folder) if found.split == split]
    if not files:
        names = ", ".join(map(str, folders))
        raise UserError(f"{names}: no audio of the split {split!r}; add some, or give another folder")
    return files


class MsaniiStage(AveragedTraining):
    """What both stages share: Adam at a rate that rises once, and the scale of the features.

    Args:
        model: The network.
        learning_rate: Of Adam.
        warm_up_steps: Steps in which the rate rises to it from a third.
        ema_decay: Of the averaged weights.
        start_from: A saved pipeline or network whose weights, and scale, to begin with.
        component: Name of the network in a saved pipeline.
    """

    model: MsaniiUNet | MsaniiVocoder

    def configure_optimizers(self) -> dict[str, object]:
        """Adam with a linear warm-up, constant after it."""
        rate, steps = self.hparams["learning_rate"], self.hparams["warm_up_steps"]
        optimiser = torch.optim.Adam(self.model.parameters(), lr=rate, betas=(0.5, 0.999))
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=1 / 3, total_iters=steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Fit the scale of the features, unless the network has one already."""
        if self.takes_over():
            place = cast(Path, self.start_from)
            place = place / self.component if (place / "model_index.json").is_file() else place
            saved = type(self.model).load_config(place)
            self._scale_by(cast(dict[str, Any], saved)["features"])
        elif self.model.config["features"] is None:
            self._scale_by(cast(RandomSounds, self.trainer.datamodule).scale().to_config())  # pyright: ignore[reportAttributeAccessIssue]

    def _scale_by(self, features: dict[str, Any]) -> None:
        for network in (self.model, self.average.module):
            network.register_to_config(features=features)  # pyright: ignore[reportCallIssue]

    @property
    def features(self) -> MsaniiFeatures:
        """How audio becomes what the network sees."""
        return MsaniiFeatures.from_config(self.model.config["features"])


class MsaniiTraining(MsaniiStage):
    """Trains the U-Net: mean absolute error of the noise at a random step of the schedule.

    Args:
        model: The network.
        learning_rate: As of `MsaniiStage`.
        warm_up_steps: As of `MsaniiStage`.
        ema_decay: Of the averaged weights, which are what a run saves.
        ema_start: Step before which they are the weights themselves.
        ema_every: Steps between two averagings.
        start_from: As of `MsaniiStage`.
        seed: Of noise and steps.
    """

    model: MsaniiUNet

    def __init__(
        self,
        model: MsaniiUNet,
        learning_rate: float = 2e-4,
        warm_up_steps: int = 500,
        ema_decay: float = 0.995,
        ema_start: int = 2000,
        ema_every: int = 10,
        start_from: Path | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay, start_from=start_from, component="unet")
        self.save_hyperparameters(ignore=["model", "start_from"])
        self.noise_schedule: Any = make_msanii_scheduler()

    def check_data(self, data: RandomSounds) -> None:
        """Refuse slices that do not fit the network.

        Raises:
            UserError: If so.
        """
        frames, multiple = data.spec.frames(data.hparams["samples"]), self.model.multiple
        if frames % multiple:
            near = data.spec.fitting_samples(data.hparams["samples"], multiple=multiple)
            raise UserError(
                f"slices of {data.hparams['samples']} samples are {frames} frames, and this network needs a "
                f"multiple of {multiple}; set data.samples to {near}"
            )

    def optimizer_step(self, *args: Any, **settings: Any) -> None:
        """Move the weights, then their average, which is a copy at first."""
        lightning.LightningModule.optimizer_step(self, *args, **settings)
        done = self.global_step + 1
        if done < self.hparams["ema_start"]:
            self.average.n_averaged.zero_()
        elif done % self.hparams["ema_every"]:
            return
        self.average.update_parameters(self.model)

    def _loss(
        self, network: MsaniiUNet, data: Tensor, timestep: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Mean absolute error of the noise."""
        noise = torch.randn(data.shape, generator=generator).to(self.device)
        timestep = timestep.to(self.device)
        noisy = self.noise_schedule.add_noise(data, noise, timestep)
        return (network(noisy, timestep) - noise).abs().mean()

    def training_step(self, batch: SoundBatch) -> Tensor:
        """Loss of a batch, with noise that is a function of its number."""
        seed = position_seed(self.hparams["seed"], "step", int(batch.number))
        generator = torch.Generator().manual_seed(seed)
        steps = int(self.noise_schedule.config["num_train_timesteps"])
        timestep = torch.randint(0, steps, (len(batch.samples),), generator=generator)
        loss = self._loss(self.model, self.features.analyse(batch.samples), timestep, generator)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.samples))
        return loss

    def validation_step(self, batch: SoundBatch, number: int) -> None:
        """Losses of the averaged weights at fixed steps with fixed noise."""
        generator = torch.Generator().manual_seed(position_seed("validation", number))
        data, size = self.features.analyse(batch.samples), len(batch.samples)
        network = cast(MsaniiUNet, self.average.module)
        for step in VALIDATION_TIMESTEPS:
            loss = self._loss(network, data, torch.full((size,), step), generator)
            self.log(f"validation/loss_{step}", loss, batch_size=size)

    def sample_image(self) -> dict[str, Tensor]:
        """A slice of the validation data, and what the network takes it for at step 300, left channel."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        data = self.features.analyse(batch.samples[:1].to(self.device))
        step = torch.tensor([PICTURE_TIMESTEP], device=self.device)
        noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        noisy = self.noise_schedule.add_noise(data, noise, step)
        kept = float(self.noise_schedule.alphas_cumprod[PICTURE_TIMESTEP])
        made = (noisy - (1 - kept) ** 0.5 * self.average.module(noisy, step)) / kept**0.5
        scale = self.features.scaling
        return {
            "audio": scale.from_features(data)[0, 0].cpu(),
            "model at step 300": scale.from_features(made)[0, 0].cpu(),
        }


class MsaniiVocoderTraining(MsaniiStage):
    """Trains the vocoder network: spectral convergence of a batch, and the mean distance of log magnitudes.

    Args:
        model: The network.
        learning_rate: As of `MsaniiStage`.
        warm_up_steps: As of `MsaniiStage`.
        ema_decay: Of the averaged weights; 0, as published, saves the weights themselves.
        start_from: As of `MsaniiStage`.
    """

    model: MsaniiVocoder

    def __init__(
        self,
        model: MsaniiVocoder,
        learning_rate: float = 2e-4,
        warm_up_steps: int = 500,
        ema_decay: float = 0.0,
        start_from: Path | None = None,
    ) -> None:
        super().__init__(model, ema_decay=ema_decay, start_from=start_from, component="vocoder")
        self.save_hyperparameters(ignore=["model", "start_from"])

    def _losses(self, network: MsaniiVocoder, batch: SoundBatch) -> dict[str, Tensor]:
        features = self.features
        target = to_magnitude(batch.samples, spec=features.spec)
        return magnitude_losses(network(features.analyse(batch.samples)), target)

    def training_step(self, batch: SoundBatch) -> Tensor:
        """Loss of a batch."""
        losses = self._losses(self.model, batch)
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=1)
        return losses["convergence"] + losses["log_magnitude"]

    def validation_step(self, batch: SoundBatch, number: int) -> None:
        """Losses of the saved weights."""
        losses = self._losses(cast(MsaniiVocoder, self.average.module), batch)
        self.log_dict({f"validation/{name}": value for name, value in losses.items()}, batch_size=1)

    def sample_image(self) -> dict[str, Tensor]:
        """True and made log magnitudes of a slice of the validation data, left channel."""
        batch = next(iter(self.trainer.val_dataloaders))  # pyright: ignore[reportCallIssue, reportArgumentType]
        samples = batch.samples[:1].to(self.device)
        made = self.average.module(self.features.analyse(samples))
        truth = to_magnitude(samples, spec=self.features.spec)
        return {
            title: (magnitude[0, 0] + LEAST_LOG).log().cpu()
            for title, magnitude in (("audio", truth), ("vocoder", made))
        }


def magnitude_losses(made: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Spectral convergence over all there is (Arik et al. 2018), and mean distance of logarithms."""
    return {
        "convergence": (truth - made).norm() / (truth.norm() + LEAST_LOG),
        "log_magnitude": ((made + LEAST_LOG).log() - (truth + LEAST_LOG).log()).abs().mean(),
    }
