"""Discriminator of the vocoder's training: complex spectrograms at several resolutions."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class SpectrogramCritic(nn.Module):
    """Convolutions over one complex spectrogram, down in frequency, that judge every place of it.

    The multi-scale STFT discriminator of EnCodec (Défossez et al. 2022, arXiv 2210.13438), smaller.

    Args:
        fft_size: Of the spectrogram; the hop is a quarter.
        width: Channels.
    """

    def __init__(self, fft_size: int, width: int) -> None:
        super().__init__()
        self.fft_size = fft_size
        sizes = [2, width, width, width, width]
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv2d(before, after, (9, 3), stride=(2, 1) if index else 1, padding=(4, 1))
            )
            for index, (before, after) in enumerate(itertools.pairwise(sizes))
        )
        self.judge = nn.utils.parametrizations.weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, samples: Float[Tensor, "batch samples"]) -> list[Tensor]:
        """What each layer sees, the judgement last."""
        window = torch.hann_window(self.fft_size, device=samples.device)
        spectrum = torch.stft(
            samples, self.fft_size, self.fft_size // 4, window=window, return_complex=True, normalized=True
        )
        # Compressed magnitudes, so that quiet partials count too.
        level = spectrum.abs().clamp(min=1e-5)
        seen = torch.stack([spectrum.real, spectrum.imag], 1) * level.pow(-0.6)[:, None]
        found = []
        for layer in self.layers:
            seen = functional.leaky_relu(layer(seen), 0.1)
            found.append(seen)
        return [*found, self.judge(seen)]


class Discriminator(nn.Module):
    """Several `SpectrogramCritic`s.

    Args:
        fft_sizes: One critic each.
        width: Channels of each.
    """

    def __init__(self, fft_sizes: tuple[int, ...] = (512, 1024, 2048), width: int = 16) -> None:
        super().__init__()
        self.critics = nn.ModuleList(SpectrogramCritic(size, width) for size in fft_sizes)

    def forward(self, samples: Float[Tensor, "batch samples"]) -> list[list[Tensor]]:
        """What each critic's layers see, its judgement last."""
        return [critic(samples) for critic in self.critics]
