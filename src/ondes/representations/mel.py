"""Log-mel spectrograms: the one front end of all our own models.

The layout is that of the public BigVGAN-v2 vocoder for 44 kHz, 128 bands and 512-fold upsampling, so that vocoder can
stand in for ours.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LINEAR_HZ_PER_MEL = 200.0 / 3
"""Slope of Slaney's mel scale below 1 kHz."""

LOG_START_HZ = 1000.0
"""Where Slaney's scale turns logarithmic: 27 steps a factor of 6.4."""

LOG_STEP = 0.06875177742094912
"""ln(6.4) / 27."""


@dataclass(frozen=True)
class MelSpec:
    """The settings of a mel front end.

    Attributes:
        sample_rate_hz: Rate of the audio.
        fft_size: Samples in a frame and in its periodic Hann window.
        hop_samples: Samples from frame to frame.
        bands: Mel bands, from 0 Hz to half the sample rate.
        floor: Magnitudes are clipped here before the natural logarithm.
    """

    sample_rate_hz: int = 44_100
    fft_size: int = 2048
    hop_samples: int = 512
    bands: int = 128
    floor: float = 1e-5

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return self.sample_rate_hz / self.hop_samples

    @property
    def edge_samples(self) -> int:
        """Samples a frame reaches beyond its own hop, on either side."""
        return (self.fft_size - self.hop_samples) // 2


MEL = MelSpec()
"""44.1 kHz, FFT 2048, hop 512, 128 Slaney bands, natural log of the magnitude from 1e-5."""


def hz_to_mel(hz: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above."""
    above = LOG_START_HZ / LINEAR_HZ_PER_MEL + torch.log(hz.clamp(min=1e-9) / LOG_START_HZ) / LOG_STEP
    return torch.where(hz < LOG_START_HZ, hz / LINEAR_HZ_PER_MEL, above)


def mel_to_hz(mel: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The inverse of `hz_to_mel`."""
    start = LOG_START_HZ / LINEAR_HZ_PER_MEL
    return torch.where(
        mel < start, mel * LINEAR_HZ_PER_MEL, LOG_START_HZ * torch.exp((mel - start) * LOG_STEP)
    )


@functools.cache
@torch.inference_mode(mode=False)  # what is kept must serve training as well
def mel_filters(spec: MelSpec = MEL) -> Float[Tensor, "bands bins"]:
    """Triangles that gather FFT bins into mel bands, each of unit area in Hz.

    Equals `librosa.filters.mel(htk=False, norm="slaney")`.

    Args:
        spec: The front end.

    Returns:
        One row a band; multiply it with a magnitude spectrogram (bins, frames).
    """
    top = torch.tensor([spec.sample_rate_hz / 2], dtype=torch.float64)
    mels = torch.linspace(0, 1, spec.bands + 2, dtype=torch.float64) * hz_to_mel(top)
    edges_hz = mel_to_hz(mels)
    bins_hz = torch.linspace(0, 1, spec.fft_size // 2 + 1, dtype=torch.float64) * top
    ramps = edges_hz[:, None] - bins_hz[None]
    widths_hz = edges_hz.diff()[:, None]
    triangles = torch.minimum(-ramps[:-2] / widths_hz[:-1], ramps[2:] / widths_hz[1:]).clamp(min=0)
    return (triangles * 2 / (edges_hz[2:] - edges_hz[:-2])[:, None]).float()


@functools.cache
@torch.inference_mode(mode=False)  # what is kept must serve training as well
def mel_inverse(spec: MelSpec = MEL) -> Float[Tensor, "bins bands"]:
    """A non-negative approximate inverse of `mel_filters`: each bin interpolates between the bands that hold it.

    Rows sum to one over bands scaled by their area, so that a flat spectrum comes back flat.
    """
    filters = mel_filters(spec).double()
    share = filters / filters.sum(0, keepdim=True).clamp(min=1e-12)
    inverse = (share / filters.sum(1, keepdim=True)).T
    inverse[0], inverse[-1] = inverse[1], inverse[-2]  # no triangle holds 0 Hz or the highest bin
    return inverse.float().contiguous()


def to_magnitudes(
    samples: Float[Tensor, "*batch time"], *, spec: MelSpec = MEL
) -> Float[Tensor, "*batch bins frames"]:
    """Magnitudes of the short-time Fourier transform; frame j is centred on sample (j + 1/2) hop.

    Args:
        samples: Audio at `spec.sample_rate_hz`; whole hops are used, a rest is ignored.
        spec: The front end.

    Returns:
        time // hop frames of fft_size / 2 + 1 magnitudes.

    Raises:
        ValueError: If the audio is too short to be reflected at its edges.
    """
    frames = samples.shape[-1] // spec.hop_samples
    if samples.shape[-1] <= spec.edge_samples:
        raise ValueError(
            f"{samples.shape[-1]} samples are too few: a frame needs more than {spec.edge_samples}"
        )
    flat = samples[..., : frames * spec.hop_samples].reshape(-1, frames * spec.hop_samples)
    padded = functional.pad(flat[:, None], (spec.edge_samples, spec.edge_samples), mode="reflect")[:, 0]
    window = torch.hann_window(spec.fft_size, device=samples.device, dtype=samples.dtype)
    spectrum = torch.stft(
        padded, spec.fft_size, spec.hop_samples, window=window, center=False, return_complex=True
    )
    # The 1e-9 keeps the gradient of the root finite at silence, as in BigVGAN's own front end.
    magnitudes = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
    return magnitudes.reshape(*samples.shape[:-1], *magnitudes.shape[-2:])


def to_log_mel(
    samples: Float[Tensor, "*batch time"], *, spec: MelSpec = MEL
) -> Float[Tensor, "*batch bands frames"]:
    """Natural logarithm of the mel magnitudes of audio.

    Args:
        samples: Audio at `spec.sample_rate_hz`, full scale 1.
        spec: The front end.

    Returns:
        time // hop frames; frame j is centred on sample (j + 1/2) hop. The smallest value is ln(`spec.floor`).

    Raises:
        ValueError: If the audio is too short to be reflected at its edges.
    """
    mels = mel_filters(spec).to(samples) @ to_magnitudes(samples, spec=spec)
    return mels.clamp(min=spec.floor).log()


def to_mid_side(log_mel: Float[Tensor, "*batch 2 bands frames"]) -> Float[Tensor, "*batch 2 bands frames"]:
    """Mean and half the difference of the log-mels of left and right."""
    left, right = log_mel.unbind(-3)
    return torch.stack([(left + right) / 2, (left - right) / 2], -3)


def from_mid_side(
    features: Float[Tensor, "*batch 2 bands frames"], *, spec: MelSpec = MEL
) -> Float[Tensor, "*batch 2 bands frames"]:
    """The inverse of `to_mid_side`, clipped at the floor of the log-mel."""
    middle, side = features.unbind(-3)
    return torch.stack([middle + side, middle - side], -3).clamp(min=math.log(spec.floor))
