"""Noise as a function of seed and position: the same music in any batch, chunk, worker or length of prefix."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

BLOCK_FRAMES = 64
"""Frames drawn with one generator."""


def position_seed(*words: int | str) -> int:
    """A 63-bit seed that depends on all words; the first eight bytes of their SHA-256."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def position_noise(
    shape: tuple[int, ...], *, start_frame: int, frames: int, seed: int, item: str = ""
) -> Tensor:
    """Standard normal noise (*shape, frames) for frames of a piece.

    Any two calls agree on the frames they share. It is drawn on the CPU.

    Args:
        shape: Of one frame.
        start_frame: Position in the piece; may be negative.
        frames: How many.
        seed: The user's seed.
        item: What else tells streams of noise apart: a part's name, a purpose.
    """
    first, last = start_frame // BLOCK_FRAMES, (start_frame + frames - 1) // BLOCK_FRAMES
    blocks = [
        torch.randn(
            *shape, BLOCK_FRAMES, generator=torch.Generator().manual_seed(position_seed(seed, item, block))
        )
        for block in range(first, last + 1)
    ]
    offset = start_frame - first * BLOCK_FRAMES
    return torch.cat(blocks, -1)[..., offset : offset + frames]
