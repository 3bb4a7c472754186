"""Is generated music copied from the training set? Distances of short stretches to the nearest ones there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Float32

from ondes.evaluation.kernel_distance import squared_distances

STRETCH_FRAMES = 258
"""Three seconds."""
TRAINING_HOP = 3
"""Frames (35 ms) from one stretch of the training set to the next."""
QUERY_HOP = 129
JOINED_FRAMES = 6
JOINED_BANDS = 4
QUIETEST = -9.0
BATCH = 4096


def stretches(
    log_mel: np.ndarray, *, hop_frames: int, first_frame: int = 0
) -> Float32[np.ndarray, "stretches features"]:
    """Three-second stretches of a recording as points whose distance is that of their sounds.

    The mean of left and right in 32 bands and steps of 70 ms, less its own mean, so that loudness does not hide a copy;
    divided by the root of its size, so that a distance is the root mean square difference in nepers (8.7 dB).

    Args:
        log_mel: (channels, 128, frames) in the package's own front end.
        hop_frames: From the beginning of one stretch to that of the next.
        first_frame: Where the first begins.

    Returns:
        One row a stretch; none where the recording is shorter.
    """
    level = np.maximum(log_mel[..., first_frame:].astype(np.float32).mean(axis=0), QUIETEST)
    bands = level.reshape(-1, JOINED_BANDS, level.shape[-1]).mean(axis=1)
    steps = STRETCH_FRAMES // JOINED_FRAMES
    starts = np.arange(0, bands.shape[-1] - STRETCH_FRAMES + 1, hop_frames)
    if not len(starts):
        return np.zeros((0, len(bands) * steps), np.float32)
    joined = np.lib.stride_tricks.sliding_window_view(bands, JOINED_FRAMES, axis=1).mean(axis=2)
    rows = joined[:, starts[:, None] + JOINED_FRAMES * np.arange(steps)]  # (bands, stretches, steps)
    rows = rows.transpose(1, 0, 2).reshape(len(starts), -1)
    return (rows - rows.mean(axis=1, keepdims=True)) / np.float32(rows.shape[1] ** 0.5)


def nearest_distances(
    query: Float[np.ndarray, "queries features"], corpus: Iterable[np.ndarray]
) -> Float[np.ndarray, " queries"]:
    """Distance of each point to the nearest of many, which come in blocks (points, features); infinite if none come."""
    nearest = np.full(len(query), np.inf)
    for block in _joined(corpus):
        nearest = np.minimum(nearest, squared_distances(query, block).min(axis=1, initial=np.inf))
    return np.sqrt(nearest)


def _joined(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Small blocks gathered to larger ones."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= BATCH:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
