"""A true-peak limiter for audio that arrives in blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

OVERSAMPLING = 4
TAPS = 12
"""Interpolation of ITU-R BS.1770-4, annex 2: four phases of twelve taps."""


def interpolation_filters() -> Float[Tensor, "phases 1 taps"]:
    """Windowed sincs that give the signal at 0, 1/4, 1/2 and 3/4 of a sample after each sample."""
    place = torch.arange(TAPS, dtype=torch.float64) - (TAPS // 2 - 1)
    rows = []
    for phase in range(OVERSAMPLING):
        distance = place - phase / OVERSAMPLING
        window = torch.cos(math.pi * distance / (TAPS + 1)).square()
        row = torch.sinc(distance) * window
        rows.append(row / row.sum())
    return torch.stack(rows)[:, None].float()


def true_peaks(samples: Float[Tensor, "channels samples"]) -> Float[Tensor, " samples"]:
    """Largest magnitude of any channel at each sample and up to the next one."""
    padded = functional.pad(samples, (TAPS // 2 - 1, TAPS // 2))
    between = functional.conv1d(padded[:, None], interpolation_filters().to(samples))
    return torch.maximum(between.abs().amax((0, 1)), samples.abs().amax(0))


class Limiter:
    """Turns peaks down before they come, and leaves everything else as it is, bit for bit.

    The gain a sample needs is held over `hold` samples on either side and smoothed over as many, so it never moves
    faster than that and is down when the peak arrives. What is given out does not depend on the blocks.

    Args:
        ceiling_db: No true peak of the result exceeds it, in dBTP.
        hold_samples: Reach of a peak, about 20 ms.
    """

    def __init__(self, *, ceiling_db: float = -1.0, hold_samples: int = 880) -> None:
        # A tenth of a decibel in hand, as twelve taps underestimate a peak by up to that.
        self.ceiling = 10 ** ((ceiling_db - 0.1) / 20)
        self.hold = hold_samples
        self.margin = 2 * hold_samples + TAPS
        self.pending: Tensor | None = None
        self.given = 0

    def push(
        self, samples: Float[Tensor, "channels samples"], *, last: bool = False
    ) -> Float[Tensor, " gains"]:
        """Gains of the next samples that are certain; multiply them with what was pushed, in order.

        Args:
            samples: The next block.
            last: No more will come; all gains are given out.
        """
        waiting = samples if self.pending is None else torch.cat([self.pending, samples], -1)
        ready = waiting.shape[-1] if last else max(self.given, waiting.shape[-1] - self.margin)
        gains = self._gains(waiting)[self.given : ready]
        kept = max(0, ready - self.margin)
        self.pending, self.given = waiting[:, kept:], ready - kept
        return gains

    def _gains(self, samples: Tensor) -> Tensor:
        if not samples.shape[-1]:
            return samples.new_ones(0)
        needed = (self.ceiling / true_peaks(samples).clamp(min=self.ceiling))[None, None]
        reach = self.hold
        held = -functional.max_pool1d(functional.pad(-needed, (reach, reach), value=-1.0), 2 * reach + 1, 1)
        if bool((held == 1).all()):
            return held[0, 0]
        half = reach // 2
        window = torch.hann_window(2 * half + 1, periodic=False, dtype=torch.float64).to(samples)
        # The gain at an edge goes on beyond it, so that a piece may begin with its loudest sample.
        around = functional.pad(held, (half, half), mode="replicate")
        smooth = functional.conv1d(around, (window / window.sum())[None, None])
        return torch.where(held == 1, torch.where(smooth > 1 - 1e-6, 1.0, smooth), smooth)[0, 0].clamp(max=1)


def limited(
    blocks: Iterable[Float[Tensor, "channels _"]], *, ceiling_db: float = -1.0
) -> Iterator[Float[Tensor, "channels _"]]:
    """A sound in blocks whose peaks a `Limiter` has turned down; the blocks come out in other lengths."""
    limiter = Limiter(ceiling_db=ceiling_db)
    waiting: Tensor | None = None
    for block in blocks:
        waiting = block if waiting is None else torch.cat([waiting, block], -1)
        gains = limiter.push(block)
        if len(gains):
            yield waiting[:, : len(gains)] * gains
            waiting = waiting[:, len(gains) :]
    if waiting is not None and waiting.shape[1]:
        yield waiting * limiter.push(waiting[:, :0], last=True)
