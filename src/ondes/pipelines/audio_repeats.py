"""What a hole may hold by what is around it: music repeats its beats and bars, so both sides go on as they did before.

After Perraudin et al. (2018), "Inpainting of long audio segments with similarity graphs", arXiv 1607.06667, which
copies sound from where it is most alike; here spectra go on by one lag, and are only where a diffusion model begins.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_LAG = 40
"""Frames, 0.46 s: sounds that are held are like themselves at any shorter lag."""

MOST_LAG = 344
"""Frames, 4 s: two bars of most music."""

COMPARED = 86
"""Frames next to the hole, 1 s, of which each side must be like itself a lag away."""

JOIN_SHARE = 0.25
"""How much the step at the border counts beside the likeness of a second; at 1 lags are often a frame or two off."""

JOINED = 2
"""Frames of which the levels are brought together at a border of the hole."""

SETTLED = 8
"""Frames, 93 ms, after which little of that is left."""

LEAST_LOUD = -7.0
"""Softer bands (ln magnitude) count as this soft."""


def repeated(
    left: Float[Tensor, "2 bands before"], right: Float[Tensor, "2 bands after"], frames: int
) -> Float[Tensor, "2 bands {frames}"] | None:
    """Log-mel of a hole in music that repeats itself: the side before goes on, the side after comes about.

    Both sides take part with the lag that suits both best, the one fading into the other; a side that is too short to
    be compared with itself takes no part.

    Args:
        left: Log-mel before the hole.
        right: Log-mel after it.
        frames: Of the hole.

    Returns:
        Frames of the hole; None where both sides are too short.
    """
    most = min((_most_lag(side) for side in (left, right) if _most_lag(side)), default=0)
    if not most or not frames:
        return None
    away = sum(_unlike(side, most) for side in (left.flip(-1), right) if _most_lag(side))
    lag = LEAST_LAG + int(torch.as_tensor(away).argmin())
    steps = torch.arange(frames, device=left.device)
    parts = []
    if _most_lag(left):
        parts.append(left[..., left.shape[-1] - lag + steps % lag])
    if _most_lag(right):
        parts.append(right[..., lag - 1 - steps.flip(0) % lag])
    made = torch.lerp(parts[0], parts[-1], (steps + 0.5) / frames)
    return _meeting(_meeting(made, left).flip(-1), right.flip(-1)).flip(-1)


def _meeting(
    made: Float[Tensor, "2 bands frames"], before: Float[Tensor, "2 bands before"]
) -> Float[Tensor, "2 bands frames"]:
    """What is made, begun at the level of each band at which the sound before it ends."""
    if before.shape[-1] < JOINED:
        return made
    step = before[..., -JOINED:].mean(-1, keepdim=True) - made[..., :JOINED].mean(-1, keepdim=True)
    away = torch.arange(made.shape[-1], device=made.device)
    return made + step * torch.exp(-away / SETTLED)


def _most_lag(side: Tensor) -> int:
    """The largest lag at which a side can be compared with itself; 0 where there is none."""
    most = min(MOST_LAG, side.shape[-1] - COMPARED)
    return most if most >= LEAST_LAG else 0


def _unlike(side: Float[Tensor, "2 bands frames"], most: int) -> Float[Tensor, " lags"]:
    """How little frames next to the hole, which come first, are like those a lag away, and like what then joins them.

    Mean |difference| of both, in nepers: a lag that would set an attack against a held tone is none to take.
    """
    heard = side.clamp(min=LEAST_LOUD)
    first = heard[..., :COMPARED]
    return torch.stack(
        [
            (heard[..., lag : lag + COMPARED] - first).abs().mean()
            + JOIN_SHARE * (heard[..., lag - 1] - heard[..., 0]).abs().mean()
            for lag in range(LEAST_LAG, most + 1)
        ]
    )
