"""Long examples by a denoiser of short windows: windows overlap, and agree on what they share."""

from __future__ import annotations

import torch
from torch import Tensor

from ondes.diffusion.guidance import Denoiser


def window_starts(length: int, window: int, hop: int) -> list[int]:
    """Beginnings of windows that cover a length, `hop` apart; the last one ends with it.

    Raises:
        ValueError: If the length is shorter than a window, or windows leave gaps.
    """
    if length < window or not 0 < hop <= window:
        raise ValueError(f"windows of {window} every {hop} do not cover {length}")
    starts = list(range(0, length - window + 1, hop))
    return starts if starts[-1] + window == length else [*starts, length - window]


def overlapped(denoiser: Denoiser, *, window: int, hop: int, dim: int = 2, together: int = 8) -> Denoiser:
    """A denoiser of any length: the mean of what a denoiser of windows says, wherever they overlap.

    Bar-Tal et al. (2023), arXiv 2302.08113, equation 5: at each step the windows agree on one example, instead of each
    going its own way.

    Args:
        denoiser: Of windows (batch, ...).
        window: Its length along `dim`.
        hop: From one window to the next.
        dim: Of the examples, which must be as long as a window at least.
        together: Windows that the denoiser sees in one batch.
    """

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        starts = window_starts(noisy.shape[dim], window, hop)
        total = torch.zeros_like(noisy)
        shape = [1] * noisy.ndim
        shape[dim] = noisy.shape[dim]
        count = noisy.new_zeros(shape)
        for begin in range(0, len(starts), together):
            group = starts[begin : begin + together]
            pieces = torch.cat([noisy.narrow(dim, start, window) for start in group])
            answers = denoiser(pieces, level.repeat(len(group))).split(len(noisy))
            for start, answer in zip(group, answers, strict=True):
                total.narrow(dim, start, window).add_(answer)
                count.narrow(dim, start, window).add_(1)
        return total / count

    return denoise
