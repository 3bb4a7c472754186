"""Log-mels of the published Spectrogram Diffusion models: 16 kHz, 50 frames a second, time before bands.

Hawthorne et al. (2022), arXiv 2206.05408. The official code frames forward: frame i covers the samples from 320 i to
320 i + 640. Its PyTorch port centres: frame j is centred on sample 320 j and equals the official frame j - 1 (but for
the filters, see `FramedMelSpec.linear_in`). The vocoders of these models expect the official framing.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LOG_CEILING = 1e8
"""Mel magnitudes are clipped here, and at `FramedMelSpec.floor`, before the natural logarithm."""


@dataclass(frozen=True)
class FramedMelSpec:
    """The settings of the front end.

    Attributes:
        sample_rate_hz: Rate of the audio, mono.
        fft_size: Samples of a frame after zeros are added.
        window_samples: Samples of a frame, and of its periodic Hann window.
        hop_samples: Samples from frame to frame.
        bands: Mel bands.
        low_hz: Where the first triangle begins.
        high_hz: Where the last one ends.
        floor: Magnitudes are clipped here before the natural logarithm.
        linear_in: Whether the sides of the triangles are straight over mels, as in TensorFlow and the official
            code, or over Hz, as in torchaudio, librosa and the port. Log-mels differ by 0.001 on average.
    """

    sample_rate_hz: int = 16_000
    fft_size: int = 1024
    window_samples: int = 640
    hop_samples: int = 320
    bands: int = 128
    low_hz: float = 0.0
    high_hz: float = 8000.0
    floor: float = 1e-5
    linear_in: Literal["mel", "hz"] = "mel"

    @property
    def frames_per_second(self) -> float:
        """Frames a second."""
        return self.sample_rate_hz / self.hop_samples


OFFICIAL = FramedMelSpec()
"""What the published checkpoints and their vocoder were trained on."""

PORT = FramedMelSpec(linear_in="hz")
"""The filters of the PyTorch port."""

FEATURE_RANGE = (math.log(1e-5), 4.0)
"""Log-mels that become -1 and 1. A full-scale sine reaches 5.5, so the loudest peaks are clipped."""


def htk_mel(hz: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """O'Shaughnessy's mel scale as HTK uses it: 2595 log10(1 + f / 700)."""
    return 2595 * torch.log10(1 + hz / 700)


def htk_hz(mel: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The inverse of `htk_mel`."""
    return 700 * (10 ** (mel / 2595) - 1)


@functools.cache
@torch.inference_mode(mode=False)  # what is kept must serve training as well
def framed_mel_filters(spec: FramedMelSpec = OFFICIAL) -> Float[Tensor, "bands bins"]:
    """Triangles with peak 1 that gather FFT bins into bands evenly spaced in mels.

    Equals `tf.signal.linear_to_mel_weight_matrix` with `linear_in="mel"`, and
    `librosa.filters.mel(htk=True, norm=None)` with `linear_in="hz"`. Bin 0 belongs to no band.

    Args:
        spec: The front end.

    Returns:
        One row a band; multiply it with a magnitude spectrogram (bins, frames).

    Raises:
        ValueError: If the frequencies are out of order or beyond half the sample rate.
    """
    if not 0 <= spec.low_hz < spec.high_hz <= spec.sample_rate_hz / 2:
        raise ValueError(
            f"bands from {spec.low_hz} Hz to {spec.high_hz} Hz; give 0 <= low_hz < high_hz <= "
            f"{spec.sample_rate_hz / 2}"
        )
    low, high = htk_mel(torch.tensor([spec.low_hz, spec.high_hz], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, spec.bands + 2, dtype=torch.float64)
    bins_hz = torch.linspace(0, spec.sample_rate_hz / 2, spec.fft_size // 2 + 1, dtype=torch.float64)
    if spec.linear_in == "mel":
        positions = htk_mel(bins_hz)
    else:
        edges, positions = htk_hz(edges), bins_hz
    ramps = positions[None] - edges[:, None]
    widths = edges.diff()[:, None]
    triangles = torch.minimum(ramps[:-2] / widths[:-1], -ramps[2:] / widths[1:]).clamp(min=0)
    triangles[:, 0] = 0
    return triangles.float()


@functools.cache
@torch.inference_mode(mode=False)  # what is kept must serve training as well
def framed_mel_inverse(spec: FramedMelSpec = OFFICIAL) -> Float[Tensor, "bins bands"]:
    """A non-negative approximate inverse of `framed_mel_filters`: bins interpolate between the bands that hold them.

    A flat spectrum comes back flat. Bins that no triangle holds copy their nearest neighbour that one does.
    """
    filters = framed_mel_filters(spec).double()
    held = torch.nonzero(filters.sum(0) > 0)[:, 0]
    share = filters / filters.sum(0, keepdim=True).clamp(min=1e-12)
    inverse = (share / filters.sum(1, keepdim=True)).T
    bins = torch.arange(len(inverse))
    nearest = held[(bins[:, None] - held[None]).abs().argmin(1)]
    return inverse[nearest].float().contiguous()


def _log_mel_of_frames(
    frames: Float[Tensor, "*batch frames window"], spec: FramedMelSpec
) -> Float[Tensor, "*batch frames bands"]:
    """Logarithm of the mel magnitudes of frames of samples."""
    window = torch.hann_window(spec.window_samples, device=frames.device, dtype=frames.dtype)
    magnitudes = torch.fft.rfft(frames * window, n=spec.fft_size).abs()
    mels = magnitudes @ framed_mel_filters(spec).to(magnitudes).T
    return mels.clamp(spec.floor, LOG_CEILING).log()


def to_framed_log_mel(
    samples: Float[Tensor, "*batch time"], spec: FramedMelSpec = OFFICIAL
) -> Float[Tensor, "*batch frames bands"]:
    """Log-mels with the official framing: frame i covers the samples from hop i to hop i + window.

    Frames that reach beyond the end see zeros there, which a vocoder turns into a pop where the sound goes on. So give
    samples beyond the last frame wanted (the official code gives 16 frames of them; one window is enough) and drop
    their frames.

    Args:
        samples: Audio at `spec.sample_rate_hz`, full scale 1.
        spec: The front end.

    Returns:
        time // hop frames, natural logarithm.
    """
    frames = samples.shape[-1] // spec.hop_samples
    if not frames:
        return samples.new_zeros(*samples.shape[:-1], 0, spec.bands)
    wanted = (frames - 1) * spec.hop_samples + spec.window_samples
    padded = functional.pad(samples, (0, wanted - samples.shape[-1]))
    return _log_mel_of_frames(padded.unfold(-1, spec.window_samples, spec.hop_samples), spec)


def to_port_log_mel(
    samples: Float[Tensor, "*batch time"], spec: FramedMelSpec = PORT
) -> Float[Tensor, "*batch frames bands"]:
    """Log-mels with the framing of the PyTorch port: frame j is centred on sample hop j, edges are reflected.

    Equals torchaudio's `MelSpectrogram(center=True, pad_mode="reflect", power=1, mel_scale="htk")`, clipped and in
    logarithm.

    Args:
        samples: Audio at `spec.sample_rate_hz`, full scale 1.
        spec: The front end.

    Returns:
        time // hop + 1 frames, natural logarithm.

    Raises:
        ValueError: If the audio is too short to be reflected.
    """
    half = spec.window_samples // 2
    if samples.shape[-1] <= half:
        raise ValueError(f"{samples.shape[-1]} samples are too few: reflection needs more than {half}")
    flat = samples.reshape(-1, 1, samples.shape[-1])
    padded = functional.pad(flat, (half, half), mode="reflect")
    framed = padded.reshape(*samples.shape[:-1], -1).unfold(-1, spec.window_samples, spec.hop_samples)
    return _log_mel_of_frames(framed, spec)


def to_scaled(
    log_mel: Float[Tensor, "*shape"], *, feature_range: tuple[float, float] = FEATURE_RANGE
) -> Float[Tensor, "*shape"]:
    """Log-mels from -1 to 1, clipped, as the diffusion models see them.

    Args:
        log_mel: Natural logarithms of mel magnitudes.
        feature_range: What becomes -1 and 1; checkpoints of the port bring their own.
    """
    low, high = feature_range
    return ((log_mel.clamp(low, high) - low) * (2 / (high - low)) - 1).clamp(-1, 1)


def from_scaled(
    scaled: Float[Tensor, "*shape"], *, feature_range: tuple[float, float] = FEATURE_RANGE
) -> Float[Tensor, "*shape"]:
    """The inverse of `to_scaled`, but for what was clipped."""
    low, high = feature_range
    return (scaled + 1) * ((high - low) / 2) + low
