"""Learning rate over a run."""

from __future__ import annotations

import math


def warm_up_cosine(step: int, *, warm_up: int, steps: int, least: float = 0.02) -> float:
    """Factor of the learning rate: a straight rise, then half a cosine down to `least` at the last step."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * progress))
