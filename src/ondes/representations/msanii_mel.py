"""The features of Msanii: log-mels at 44.1 kHz with hop 1024, in which one scalar scale stands for all bands.

Maina (2023), arXiv 2301.06468. The scale is affine: a standardisation by the mean and variance of everything, then a
line from the least and greatest standardised value to -1 and 1. The published code took its statistics from the first
batch; `ScaleFit` takes them from the whole data set.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ondes.errors import UserError, nearest
from ondes.representations.framed_mel import FramedMelSpec, framed_mel_filters

EPSILON = 1e-5
"""Added to the variance under the root."""


@dataclass(frozen=True)
class MsaniiSpec:
    """The settings of the front end.

    Attributes:
        sample_rate_hz: Rate of the audio.
        fft_size: Samples of a frame, and of its periodic Hann window.
        hop_samples: Samples from frame to frame.
        bands: HTK mel bands of peak 1, from 0 Hz to half the sample rate.
        floor: Added to mel magnitudes before the natural logarithm.
    """

    sample_rate_hz: int = 44_100
    fft_size: int = 2048
    hop_samples: int = 1024
    bands: int = 128
    floor: float = 1e-5

    @property
    def bins(self) -> int:
        """Of the magnitude spectrum."""
        return self.fft_size // 2 + 1

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return self.sample_rate_hz / self.hop_samples

    def frames(self, samples: int) -> int:
        """Frames of so many samples: one more than there are whole hops, as the first is centred on sample 0."""
        return samples // self.hop_samples + 1

    def samples(self, frames: int) -> int:
        """The shortest audio of so many frames."""
        return (frames - 1) * self.hop_samples

    def fitting_samples(self, samples: int, *, multiple: int) -> int:
        """Length that the published system gives to audio, so that its frames are a multiple of what a network wants.

        The frames are rounded up; where they fit already, up to `hop_samples` - 1 samples at the end are cut off.
        """
        return self.samples(-(-self.frames(samples) // multiple) * multiple)


MSANII = MsaniiSpec()
"""44.1 kHz, FFT 2048, hop 1024, 128 HTK bands, natural log of the magnitude plus 1e-5."""


def msanii_filters(spec: MsaniiSpec = MSANII) -> Float[Tensor, "bands bins"]:
    """Triangles of peak 1 over the FFT bins, as of `torchaudio.transforms.MelScale` with `norm=None`."""
    return framed_mel_filters(
        FramedMelSpec(
            sample_rate_hz=spec.sample_rate_hz,
            fft_size=spec.fft_size,
            window_samples=spec.fft_size,
            hop_samples=spec.hop_samples,
            bands=spec.bands,
            high_hz=spec.sample_rate_hz / 2,
            linear_in="hz",
        )
    )


@functools.cache
@torch.inference_mode(mode=False)  # what is kept must serve training as well
def msanii_inverse(spec: MsaniiSpec = MSANII) -> Float[Tensor, "bins bands"]:
    """The Moore-Penrose inverse of the filters."""
    return torch.linalg.pinv(msanii_filters(spec).double()).float().contiguous()


def to_magnitude(
    samples: Float[Tensor, "*batch time"], *, spec: MsaniiSpec = MSANII
) -> Float[Tensor, "*batch bins frames"]:
    """Magnitudes of the short-time Fourier transform; frame j is centred on sample j hop, the edges are reflected.

    Raises:
        ValueError: If the audio is too short to be reflected.
    """
    if samples.shape[-1] <= spec.fft_size // 2:
        raise ValueError(
            f"{samples.shape[-1]} samples are too few: a frame needs more than {spec.fft_size // 2}"
        )
    window = torch.hann_window(spec.fft_size, device=samples.device, dtype=samples.dtype)
    flat = samples.reshape(-1, samples.shape[-1])
    spectrum = torch.stft(
        flat, spec.fft_size, spec.hop_samples, window=window, center=True, return_complex=True
    )
    return spectrum.abs().reshape(*samples.shape[:-1], *spectrum.shape[-2:])


def to_log_mel(
    samples: Float[Tensor, "*batch time"], *, spec: MsaniiSpec = MSANII
) -> Float[Tensor, "*batch bands frames"]:
    """Natural logarithm of the mel magnitudes plus `spec.floor`, of audio with full scale at 1."""
    return (msanii_filters(spec).to(samples) @ to_magnitude(samples, spec=spec) + spec.floor).log()


def from_log_mel(
    log_mel: Float[Tensor, "*batch bands frames"], *, spec: MsaniiSpec = MSANII
) -> Float[Tensor, "*batch bins frames"]:
    """Magnitudes by the pseudo-inverse, negative ones made 0; as published, the floor is not taken off again."""
    return (msanii_inverse(spec).to(log_mel) @ log_mel.exp()).clamp(min=0)


@dataclass(frozen=True)
class MelScaling:
    """The scale of the features.

    Attributes:
        mean: Of all log-mels of the training data.
        variance: Of the same.
        minimum: Least standardised log-mel of the training data, which becomes `low`.
        maximum: Greatest, which becomes `high`.
        low: End of the range of the features.
        high: The other end.
        clip: Whether features are kept in their range.

    Raises:
        UserError: If these numbers are no scale.
    """

    mean: float
    variance: float
    minimum: float
    maximum: float
    low: float = -1.0
    high: float = 1.0
    clip: bool = True

    def __post_init__(self) -> None:
        numbers = [self.mean, self.variance, self.minimum, self.maximum, self.low, self.high]
        if not all(map(math.isfinite, numbers)) or self.variance < 0:
            raise UserError(f"a scale of mean {self.mean} and variance {self.variance}: fit it to audio")
        if not (self.minimum < self.maximum and self.low < self.high):
            raise UserError(
                f"a scale from {self.minimum}..{self.maximum} to {self.low}..{self.high}: each must rise; fit it to "
                "audio that is not all the same"
            )

    @property
    def slope(self) -> float:
        """Features a standardised log-mel."""
        return (self.high - self.low) / (self.maximum - self.minimum)

    @property
    def deviation(self) -> float:
        """What log-mels are divided by."""
        return math.sqrt(self.variance + EPSILON)

    def to_features(self, log_mel: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Scaled log-mels."""
        standard = (log_mel - self.mean) / self.deviation
        scaled = (standard - self.minimum) * self.slope + self.low
        return scaled.clamp(self.low, self.high) if self.clip else scaled

    def from_features(self, features: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Log-mels; features beyond the range are clipped first."""
        if self.clip:
            features = features.clamp(self.low, self.high)
        standard = (features - self.low) / self.slope + self.minimum
        return standard * self.deviation + self.mean


class ScaleFit:
    """Fits a scale to log-mels that come in pieces; the result does not depend on how they were cut."""

    def __init__(self) -> None:
        self.count = 0
        self.total = self.square = 0.0
        self.least, self.greatest = math.inf, -math.inf

    def add(self, log_mel: Float[Tensor, "*shape"]) -> None:
        """Count a piece."""
        values = log_mel.double()
        self.count += values.numel()
        self.total += float(values.sum())
        self.square += float(values.square().sum())
        self.least = min(self.least, float(values.min()))
        self.greatest = max(self.greatest, float(values.max()))

    def scaling(self, *, low: float = -1.0, high: float = 1.0) -> MelScaling:
        """The scale of everything so far: exact mean, unbiased variance, and the ends of the range.

        Raises:
            UserError: If there was nothing, or silence alone.
        """
        if self.count < 2 or self.least == self.greatest:
            raise UserError("there is no sound to fit the scale of the features to; give other audio")
        mean = self.total / self.count
        variance = max(0.0, self.square - self.count * mean**2) / (self.count - 1)
        deviation = math.sqrt(variance + EPSILON)
        ends = ((value - mean) / deviation for value in (self.least, self.greatest))
        return MelScaling(mean, variance, *ends, low=low, high=high)


@dataclass(frozen=True)
class MsaniiFeatures:
    """Front end and scale: how audio becomes what the networks see."""

    spec: MsaniiSpec
    scaling: MelScaling

    def to_config(self) -> dict[str, Any]:
        """Everything as plain numbers, for the settings of a network."""
        return {**asdict(self.spec), **asdict(self.scaling)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> MsaniiFeatures:
        """What `to_config` gave.

        Raises:
            UserError: If a field is missing, unknown, or has no such values.
        """
        kinds = {field.name: kind for kind in (MsaniiSpec, MelScaling) for field in fields(kind)}
        for name in config:
            if name not in kinds:
                raise UserError(f"features have no field {name!r}: {nearest(name, kinds)}")
        of_spec = {name: value for name, value in config.items() if kinds[name] is MsaniiSpec}
        try:
            spec = MsaniiSpec(**of_spec)
            scaling = MelScaling(**{name: value for name, value in config.items() if name not in of_spec})
        except TypeError as error:
            raise UserError(f"features cannot be read ({error}); import or train the model again") from None
        return cls(spec, scaling)

    def analyse(self, samples: Float[Tensor, "*batch time"]) -> Float[Tensor, "*batch bands frames"]:
        """Features of audio."""
        return self.scaling.to_features(to_log_mel(samples, spec=self.spec))

    def magnitude(
        self, features: Float[Tensor, "*batch bands frames"]
    ) -> Float[Tensor, "*batch bins frames"]:
        """Magnitudes of features, without any network."""
        return from_log_mel(self.scaling.from_features(features), spec=self.spec)
