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


def guide_pairs(pairs: Denoiser, *, scale: float, rescale: float = 0.0) -> Denoiser:
    """Classifier-free guidance in one call of the network; see `guide`.

    Args:
        pairs: Answers for a doubled batch: all examples with their condition, then all without.
        scale: As of `guide`.
        rescale: As the `share` of `rescaled`.
    """

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        answers = pairs(torch.cat([noisy, noisy]), torch.cat([level, level]))
        conditional, unconditional = answers.chunk(2)
        return rescaled(torch.lerp(unconditional, conditional, scale), conditional, share=rescale)

    return denoise


def rescaled(guided: Tensor, conditional: Tensor, *, share: float) -> Tensor:
    """Guided answers with the spread of unguided ones, against overexposure.

    Lin et al. (2023), arXiv 2305.08891, equations 15 and 16; the spread is that over all of an example.

    Args:
        guided: Answers after guidance (batch, ...).
        conditional: Answers before it.
        share: Their phi: 0 changes nothing, 1 gives the whole spread back.
    """
    if share == 0:
        return guided
    axes = tuple(range(1, guided.ndim))
    ratio = conditional.std(axes, keepdim=True) / guided.std(axes, keepdim=True).clamp(min=1e-12)
    return torch.lerp(guided, guided * ratio, share)


def within(guided: Denoiser, plain: Denoiser, *, interval: tuple[float, float]) -> Denoiser:
    """Guidance in an interval of noise levels only, both ends included; outside, the plain denoiser at its price.

    Kynkäänniemi et al. (2024), arXiv 2404.07724. All examples of a batch have one level.
    """
    low, high = interval

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        return (guided if low <= float(level[0]) <= high else plain)(noisy, level)

    return denoise
