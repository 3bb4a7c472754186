"""Guidance and editing: functions from denoiser to denoiser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""Maps a noisy batch (batch, ...) and its noise levels (batch,) to the network's prediction."""


def guide(conditional: Denoiser, unconditional: Denoiser, *, scale: float) -> Denoiser:
    """Classifier-free guidance: 0 ignores the condition, 1 obeys it, more exaggerates it.

    Ho and Salimans (2022), arXiv 2207.12598, with `scale` = 1 + their w.
    """
    if scale == 1:
        return conditional

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        return torch.lerp(unconditional(noisy, level), conditional(noisy, level), scale)

    return denoise


def hold(denoiser: Denoiser, values: Tensor, known: Tensor) -> Denoiser:
    """A denoiser to which the known parts always look clean.

    For networks that learned with some parts given and a mask that says which.

    Args:
        denoiser: Of such a network.
        values: What is given, of the noisy batch's shape.
        known: True where it is given; broadcasts to the batch.
    """

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        return denoiser(torch.where(known, values, noisy), level)

    return denoise
