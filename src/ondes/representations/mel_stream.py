"""Log-mel spectrograms of audio of any length, block by block, equal to those of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float32

from ondes.representations.mel import MEL, MelSpec, to_log_mel

PIECE_FRAMES = 2048
"""Frames made at a time, so that memory does not grow with the length."""


def stream_log_mel(
    blocks: Iterable[Float32[np.ndarray, "channels _"]],
    *,
    spec: MelSpec = MEL,
    piece_frames: int = PIECE_FRAMES,
) -> Iterator[Float32[np.ndarray, "channels bands _"]]:
    """The log-mel of audio that arrives in blocks: pieces that follow one another.

    Their concatenation equals `to_log_mel` of the concatenated blocks; at most `piece_frames`, one block and a margin
    are held at a time.

    Args:
        blocks: Samples at `spec.sample_rate_hz`, of any lengths.
        spec: The front end.
        piece_frames: Frames of every piece but the last.

    Raises:
        ValueError: If all of it is too short to be reflected at its edges.
    """
    margin = -(-spec.edge_samples // spec.hop_samples)
    held, before = None, 0
    """Samples from a frame's beginning on, and how many of their frames were given already."""
    for block in blocks:
        held = block if held is None else np.concatenate([held, block], axis=1)
        while held.shape[1] >= (before + piece_frames + margin) * spec.hop_samples:
            stop = before + piece_frames
            yield _log_mel(held[:, : (stop + margin) * spec.hop_samples], spec)[..., before:stop]
            # Twice the margin stays, so that a short rest is still long enough to be reflected.
            first = max(stop - 2 * margin, 0)
            held, before = held[:, first * spec.hop_samples :], stop - first
    if held is not None and held.shape[1] >= (before + 1) * spec.hop_samples:
        yield _log_mel(held, spec)[..., before:]


def _log_mel(samples: np.ndarray, spec: MelSpec) -> np.ndarray:
    with torch.inference_mode():
        return to_log_mel(torch.from_numpy(np.ascontiguousarray(samples)), spec=spec).numpy()
