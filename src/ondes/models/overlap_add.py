"""The inverse transform in the framing of `ondes.representations.mel`, of whole spectrograms and of pieces."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from ondes.representations.mel import MEL, MelSpec

LEAST_ENERGY = 1e-3
"""Window energy below which the inverse transform does not amplify."""


def overlap_add(spectrum: Complex[Tensor, "batch bins frames"], *, spec: MelSpec) -> tuple[Tensor, Tensor]:
    """Windowed frames added up (batch, samples), and the window's energy there (samples,)."""
    window = torch.hann_window(spec.fft_size, device=spectrum.device)
    pieces = torch.fft.irfft(spectrum, n=spec.fft_size, dim=1) * window[:, None]
    frames = spectrum.shape[-1]
    length = (frames - 1) * spec.hop_samples + spec.fft_size
    sizes = {"output_size": (1, length), "kernel_size": (1, spec.fft_size), "stride": (1, spec.hop_samples)}
    audio = functional.fold(pieces, **sizes)[:, 0, 0]
    energy = functional.fold(window.square()[None, :, None].expand(1, -1, frames), **sizes)[0, 0, 0]
    return audio, energy


def inverse_stft(
    spectrum: Complex[Tensor, "batch bins frames"], *, spec: MelSpec = MEL
) -> Float[Tensor, "batch samples"]:
    """Audio of which `spectrum` is the transform in the framing of `ondes.representations.mel`.

    Least squares over overlapping frames (Griffin and Lim 1984, equation 6); samples at the edges, of which only a part
    of the frames is kept, are divided by the window energy that is there.

    Args:
        spectrum: Complex spectrogram with fft_size / 2 + 1 bins.
        spec: The framing.

    Returns:
        frames * hop samples.
    """
    audio, energy = overlap_add(spectrum, spec=spec)
    kept = slice(spec.edge_samples, audio.shape[-1] - spec.edge_samples)
    return audio[:, kept] / energy[kept].clamp(min=LEAST_ENERGY)


class OverlapAdd:
    """`inverse_stft` of frames that arrive in pieces, to the very last sample of the whole.

    Args:
        spec: The framing.
        device: Where the frames are.
        channels: Of the audio.
    """

    def __init__(self, spec: MelSpec, device: torch.device, *, channels: int = 2) -> None:
        self.spec = spec
        self.audio = torch.zeros(channels, spec.fft_size - spec.hop_samples, device=device)
        self.energy = torch.zeros(spec.fft_size - spec.hop_samples, device=device)
        self.skip = spec.edge_samples

    def push(self, spectrum: Complex[Tensor, "channels bins frames"]) -> Float[Tensor, "channels samples"]:
        """Samples that no later frame reaches."""
        samples, energy = overlap_add(spectrum, spec=self.spec)
        samples[:, : self.audio.shape[-1]] += self.audio
        energy[: len(self.energy)] += self.energy
        ready = spectrum.shape[-1] * self.spec.hop_samples
        self.audio, self.energy = samples[:, ready:], energy[ready:]
        whole = samples[:, :ready] / energy[:ready].clamp(min=LEAST_ENERGY)
        begin, self.skip = min(self.skip, ready), max(0, self.skip - ready)
        return whole[:, begin:]

    def finish(self) -> Float[Tensor, "channels samples"]:
        """The rest, once all frames are there."""
        rest = self.audio / self.energy.clamp(min=LEAST_ENERGY)
        return rest[:, self.skip : rest.shape[-1] - self.spec.edge_samples]
