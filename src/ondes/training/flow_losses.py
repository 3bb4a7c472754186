"""Losses and masks of networks that learn stereo log-mels by flow matching, with some frames given."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ondes.diffusion.flow import velocity

SIDE_WEIGHT = 0.3
"""Weight of half the difference of left and right against their mean, in every loss."""

VALIDATION_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


def weights_of_channels(data: Tensor) -> Tensor:
    """Weights of mean and half difference that average to one (1, 2, 1, 1)."""
    return data.new_tensor([1.0, SIDE_WEIGHT])[None, :, None, None] * (2 / (1 + SIDE_WEIGHT))


def flow_error(
    made: Float[Tensor, "batch 2 bands frames"],
    data: Float[Tensor, "batch 2 bands frames"],
    noise: Float[Tensor, "batch 2 bands frames"],
    level: Float[Tensor, " batch"],
    known: Bool[Tensor, "batch frames"],
    *,
    spread: Float[Tensor, "#batch 2 bands 1"] | None = None,
    least_level: float = 0.0,
) -> Float[Tensor, " batch"]:
    """Squared error of a velocity over its variance, a window, over the frames that are not known.

    The variance, that of the velocity of normal data, makes all levels and bands count alike, as in Karras et al.
    (2022), equation 8.

    Args:
        made: The network's answer.
        data: Standardised features.
        noise: What they were mixed with.
        level: How much of it.
        known: Frames that were given.
        spread: Standard deviation of the data around what is expected of them; 1 if missing.
        least_level: At lower levels it is the error of the data that counts, as much as at this one: there that of the
            velocity grows without bound in whatever the network cannot copy.
    """
    wide = known[:, None, None]
    share = level[:, None, None, None]
    square = torch.ones_like(share) if spread is None else spread.square()
    variance = (1 - share).square() * square + share.square()
    error = made - velocity(data, noise)
    held = (share / share.clamp(min=least_level)).square() if least_level else 1.0
    weighed = weights_of_channels(data) * error.square() * variance / square * held
    return (weighed * ~wide).sum((1, 2, 3)) / (~wide).expand_as(weighed).sum((1, 2, 3)).clamp(min=1)


def random_context(windows: int, frames: int, generator: torch.Generator) -> Tensor:
    """Which frames are given (windows, frames): nothing, a prefix, a suffix, both, or all but a hole."""
    masks = torch.zeros(windows, frames, dtype=torch.bool)
    kinds = torch.randint(0, 5, (windows,), generator=generator).tolist()
    lengths = (torch.rand(windows, 2, generator=generator) * frames / 2).long().tolist()
    for mask, kind, ends in zip(masks, kinds, lengths, strict=True):
        # Whole patches: a multiple of four frames on either side.
        before, after = (end // 4 * 4 for end in ends)
        if kind in (1, 3, 4):
            mask[:before] = True
        if kind in (2, 3):
            mask[frames - after :] = True
        if kind == 4:
            mask[min(frames, before + math.ceil(frames / 4 / 4) * 4) :] = True
    return masks
