"""Flow matching: the straight path from data to noise, and what a network learns on it.

Lipman et al. (2022), arXiv 2210.02747, and Liu et al. (2022), arXiv 2209.03003. A point on the path at level t is
(1 - t) data + t noise; its velocity is noise - data. This is the convention of diffusers' flow-matching schedulers, in
which the level is called sigma.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def mix(
    data: Float[Tensor, "batch ..."], noise: Float[Tensor, "batch ..."], level: Float[Tensor, " batch"]
) -> Tensor:
    """The point of the path at `level`."""
    return torch.lerp(data, noise, _wide(level, data))


def velocity(data: Tensor, noise: Tensor) -> Tensor:
    """What the network should answer anywhere on the path from `data` to `noise`."""
    return noise - data


def to_data(noisy: Tensor, velocity: Tensor, level: Float[Tensor, " batch"]) -> Tensor:
    """The data a predicted velocity points at."""
    return noisy - _wide(level, noisy) * velocity


def to_level(uniform: Float[Tensor, " batch"], *, shift: float = 1.0) -> Float[Tensor, " batch"]:
    """Noise levels for training from uniform numbers; a shift above 1 puts more of them near noise.

    Esser et al. (2024), arXiv 2403.03206, equation 23.
    """
    return shift * uniform / (1 + (shift - 1) * uniform)


def stratified(count: int, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Uniform numbers in 0..1, one in each of `count` equal parts, in random order: steadier than independent ones."""
    offsets = torch.rand(count, generator=generator)
    return (torch.randperm(count, generator=generator) + offsets) / count


def _wide(level: Tensor, like: Tensor) -> Tensor:
    return level.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
