"""VGGish: what a network trained on millions of videos hears in 0.96 s of sound, as 128 numbers.

Hershey et al. (2017), arXiv 1609.09430, in the form released with AudioSet. The state dict has the names and shapes
of the public PyTorch conversion (`features.N`, `embeddings.N`).
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES, HOP_SAMPLES, FFT_SIZE = 400, 160, 512
"""25 ms, 10 ms, and the next power of two."""

BANDS, LOW_HZ, HIGH_HZ = 64, 125.0, 7500.0
LOG_OFFSET = 0.01
PATCH_FRAMES = 96
DIMENSION = 128

CHANNELS = (64, 128, 256, 256, 512, 512)
"""Of the convolutions; a halving of both axes follows the first, second, fourth and sixth."""

HIDDEN = 4096


@functools.cache
def vggish_filters() -> Float[np.ndarray, "bands bins"]:
    """Triangles of height 1, linear in HTK mels 1127 ln(1 + f / 700), that leave 0 Hz out."""
    mels = _mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SIZE // 2 + 1))
    low, high = _mel(np.array([LOW_HZ, HIGH_HZ]))
    edges = np.linspace(low, high, BANDS + 2)[:, None]
    rising = (mels - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    triangles[:, 0] = 0.0
    return triangles


def _mel(hz: np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(hz / 700.0)


def to_vggish_patches(samples: Float[np.ndarray, " time"]) -> Float[np.ndarray, "patches 96 64"]:
    """Log-mel patches as the reference implementation makes them: no overlap, a rest is left out.

    Frame i is the samples [160 i, 160 i + 400) under a periodic Hann window; mel of the magnitudes; ln(mel + 0.01).
    Audio is not padded here, so 1 s gives 98 frames and one patch: see `pad_to_seconds`.

    Args:
        samples: Mono at 16 kHz, full scale 1.

    Returns:
        One patch of 96 frames for each 0.96 s, none where fewer frames fit; 32-bit floats.
    """
    if len(samples) < WINDOW_SAMPLES:
        return np.zeros((0, PATCH_FRAMES, BANDS), np.float32)
    whole = np.asarray(samples, np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(whole, WINDOW_SAMPLES)[::HOP_SAMPLES]
    patches = len(frames) // PATCH_FRAMES
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    magnitudes = np.abs(np.fft.rfft(frames[: patches * PATCH_FRAMES] * window, FFT_SIZE))
    log_mel = np.log(magnitudes @ vggish_filters().T + LOG_OFFSET)
    return log_mel.reshape(patches, PATCH_FRAMES, BANDS).astype(np.float32)


def pad_to_seconds(samples: Float[np.ndarray, " time"]) -> Float[np.ndarray, " padded"]:
    """Audio with as much silence before as after it (the odd sample after), whole seconds long, at least one."""
    wanted = max(1, -(-len(samples) // SAMPLE_RATE_HZ)) * SAMPLE_RATE_HZ
    missing = wanted - len(samples)
    return np.pad(samples, (missing // 2, missing - missing // 2))


class VGGish(nn.Module):
    """Patches of log-mel to embeddings before PCA and quantisation.

    Args:
        channels: Of the six convolutions.
        hidden: Width of the two hidden linear layers.
        rectified: Whether negative numbers of the embedding become 0, as the first release and its conversions had
            it; the later releases (TF-Hub's among them) end in the linear layer.
    """

    def __init__(
        self, channels: tuple[int, ...] = CHANNELS, hidden: int = HIDDEN, *, rectified: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for index, width in enumerate(channels):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            if index in (0, 1, 3, 5):
                layers.append(nn.MaxPool2d(2))
            before = width
        self.features = nn.Sequential(*layers)
        flat = before * (PATCH_FRAMES // 16) * (BANDS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, DIMENSION),
        )
        self.rectified = rectified

    def forward(self, patches: Float[Tensor, "batch 96 64"]) -> Float[Tensor, "batch 128"]:
        """Embeddings of patches."""
        maps = self.features(patches[:, None])
        # The published weights expect channels last: (batch, 6 frames, 4 bands, channels).
        embedding = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return torch.relu(embedding) if self.rectified else embedding
