"""Ways between points of noise that stay as noisy as noise is."""

from __future__ import annotations

import torch
from torch import Tensor


def slerp(first: Tensor, second: Tensor, ratio: float) -> Tensor:
    """The point on the arc from one example to another.

    Shoemake (1985), "Animating rotation with quaternion curves", for each example of a batch as one vector. Lengths
    are interpolated too; between vectors of one direction the way is straight.

    Args:
        first: Where `ratio` is 0 (batch, ...).
        second: Where it is 1.
        ratio: How far to go.
    """
    one, other = first.flatten(1).double(), second.flatten(1).double()
    lengths = one.norm(dim=1, keepdim=True), other.norm(dim=1, keepdim=True)
    units = [side / length.clamp(min=1e-12) for side, length in zip((one, other), lengths, strict=True)]
    angle = (units[0] * units[1]).sum(1, keepdim=True).clamp(-1, 1).acos()
    wide = angle.sin().clamp(min=1e-6)
    arc = (((1 - ratio) * angle).sin() * units[0] + (ratio * angle).sin() * units[1]) / wide
    direction = torch.where(angle.sin() > 1e-6, arc, torch.lerp(units[0], units[1], ratio))
    return (direction * torch.lerp(*lengths, ratio)).to(first).view_as(first)
