"""Sounds as Msanii's network needs them, and results as people gave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ondes.audio import Audio
from ondes.pipelines.splicing import splice
from ondes.representations.msanii_mel import MsaniiFeatures
from ondes.representations.regions import Region


@dataclass(frozen=True)
class Fitting:
    """How sounds are fitted to a network.

    Attributes:
        features: Of the network.
        multiple: Of its frames.
        device: Where it is.
        compat: Whether lengths, holes and results are the original's.
    """

    features: MsaniiFeatures
    multiple: int
    device: torch.device
    compat: bool

    def frames(self, samples: int) -> int:
        """Frames in which so many samples are made: all of them, or as published up to a hop less."""
        spec, multiple = self.features.spec, self.multiple
        covering = -(-samples // spec.hop_samples) * spec.hop_samples
        return spec.frames(spec.fitting_samples(samples if self.compat else covering, multiple=multiple))

    def length(self, samples: int, frames: int) -> int:
        """Samples of a result: what was asked for, or as published what fits the network."""
        return self.features.spec.samples(frames) if self.compat else samples

    def prepared(self, audio: Audio) -> Float[Tensor, "channels time"]:
        """Samples at the model's rate; mono becomes stereo, which the network knows, unless published."""
        resampled = audio.resample(self.features.spec.sample_rate_hz)
        resampled = resampled if self.compat else resampled.to_stereo()
        return torch.tensor(resampled.samples)

    def analyse(self, audio: Audio) -> tuple[Float[Tensor, "channels bands frames"], int]:
        """Features of a sound in a length that fits the network, and the samples of a result."""
        samples = self.prepared(audio)
        frames = self.frames(samples.shape[-1])
        length = self.length(samples.shape[-1], frames)
        fitted = torch.nn.functional.pad(samples, (0, self.features.spec.samples(frames) - samples.shape[-1]))
        return self.features.analyse(fitted).to(self.device), length

    def known(
        self, holes: Sequence[Region], rate_hz: int, length: int, frames: int
    ) -> Bool[Tensor, " frames"]:
        """Frames that are kept: those that no hole touches, or as published those whose nearest sample is in none."""
        spec = self.features.spec
        factor = spec.sample_rate_hz / rate_hz
        if self.compat:
            places = torch.arange(frames, dtype=torch.float64) * length / frames
            before, after = 1.0, 0.0
            places = places.floor()
        else:
            places = torch.arange(frames, dtype=torch.float64) * spec.hop_samples
            before = after = spec.fft_size / 2
        known = torch.ones(frames, dtype=torch.bool)
        for hole in holes:
            known &= (places <= hole.start * factor - before) | (places >= hole.stop * factor + after)
        return known.to(self.device)

    def like(self, made: Audio, audio: Audio, *, exact: bool = True) -> Audio:
        """A result with rate, channels and length of what it was made from; as it is where published."""
        if self.compat:
            return made
        samples = made.resample(audio.sample_rate_hz).samples
        if audio.channels == 1:
            samples = samples.mean(0, keepdims=True)
        return Audio(
            window_of(samples, 0, audio.samples.shape[1]) if exact else samples, audio.sample_rate_hz
        )


def window_of(samples: np.ndarray, start: int, count: int) -> np.ndarray:
    """Samples from a place on, zeros where there are none."""
    padded = np.pad(samples, ((0, 0), (max(0, -start), max(0, start + count - samples.shape[1]))))
    begin = max(0, start)
    return padded[:, begin : begin + count]


def as_long_as(audio: Audio, other: Audio) -> Audio:
    """Audio with rate, channels and length of another."""
    resampled = audio.resample(other.sample_rate_hz)
    samples = (
        resampled.to_stereo().samples if other.channels == 2 else resampled.samples.mean(0, keepdims=True)
    )
    return Audio(window_of(samples, 0, other.samples.shape[1]), other.sample_rate_hz)


def reflectable(samples: Tensor, fft_size: int) -> Tensor:
    """Samples long enough for the front end, with silence at the end."""
    return torch.nn.functional.pad(samples, (0, max(0, fft_size - samples.shape[-1])))


def spliced(audio: Audio, new: Audio, holes: Sequence[Region]) -> Audio:
    """A sound with new regions, joined where they touch."""
    joined: list[Region] = []
    for hole in holes:
        if joined and joined[-1].stop == hole.start:
            joined[-1] = Region(joined[-1].start, hole.stop)
        else:
            joined.append(hole)
    parts = [new.samples[:, hole.start : hole.stop] for hole in joined]
    return Audio(splice(audio.samples, parts, joined), audio.sample_rate_hz)
