"""Musicnn: what a music tagger hears in three seconds of sound, as 200 numbers.

Pons and Serra (2019), arXiv 1909.06654; the network of their package's `MSD_musicnn`, up to its penultimate layer.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.representations.mel import MelSpec, mel_filters

SPEC = MelSpec(sample_rate_hz=16_000, fft_size=512, hop_samples=256, bands=96)
PATCH_FRAMES = 187
"""2.99 s."""

PATCH_HOP_FRAMES = 93
"""Patches overlap by half, so that a segment of five seconds has two."""

DIMENSION = 200
NORM_EPSILON = 1e-3

TIMBRES = ((204, 7, 38), (204, 7, 67))
TEMPI = ((51, 128), (51, 64), (51, 32))
"""Filters, their frames, and their bands where they do not look at each band alone."""

FRONT_FRAMES = (*(frames for _, frames, _ in TIMBRES), *(frames for _, frames in TEMPI))

MIDDLE = 64
MIDDLE_FRAMES = 7


def to_musicnn_patches(samples: Float[np.ndarray, " time"]) -> Float[np.ndarray, "patches 187 96"]:
    """Log-mel patches: log10(1 + 10 000 x power), 96 Slaney bands, frame i centred on sample 256 i.

    The package rounds the powers to half precision, which overflows where music is loud; they are kept whole here.

    Args:
        samples: Mono at 16 kHz, full scale 1.

    Returns:
        Patches of 187 frames, half overlapping; a rest is left out. Audio of less than a patch is padded with
        silence, the same before and after, to one.
    """
    least = (PATCH_FRAMES - 1) * SPEC.hop_samples
    missing = max(0, least - len(samples))
    before = missing // 2 + SPEC.fft_size // 2
    padded = np.pad(samples.astype(np.float64), (before, missing - missing // 2 + SPEC.fft_size // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, SPEC.fft_size)[:: SPEC.hop_samples]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SPEC.fft_size) / SPEC.fft_size)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    log_mel = np.log10(1.0 + 1e4 * (power @ mel_filters(SPEC).numpy().T.astype(np.float64)))
    starts = range(0, len(log_mel) - PATCH_FRAMES + 1, PATCH_HOP_FRAMES)
    return np.stack([log_mel[start : start + PATCH_FRAMES] for start in starts]).astype(np.float32)


class Musicnn(nn.Module):
    """Patches of log-mel to the penultimate layer of the tagger.

    Filters as tall as an instrument's timbre and filters as long as a rhythm look at the spectrogram, each keeps its
    largest answer over the bands; three convolutions over time follow, each added to the one before; all of it is
    pooled over time by maximum and mean.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, NORM_EPSILON)
        shapes = [*TIMBRES, *((width, frames, 1) for width, frames in TEMPI)]
        self.fronts = nn.ModuleList(nn.Conv2d(1, width, (frames, bands)) for width, frames, bands in shapes)
        self.front_norms = nn.ModuleList(nn.BatchNorm2d(shape[0], NORM_EPSILON) for shape in shapes)
        width = sum(shape[0] for shape in shapes)
        inputs = (width, MIDDLE, MIDDLE)
        self.middles = nn.ModuleList(nn.Conv1d(n, MIDDLE, MIDDLE_FRAMES, padding="same") for n in inputs)
        self.middle_norms = nn.ModuleList(nn.BatchNorm1d(MIDDLE, NORM_EPSILON) for _ in inputs)
        pooled = 2 * (width + MIDDLE * len(inputs))
        self.pooled_norm = nn.BatchNorm1d(pooled, NORM_EPSILON)
        self.dense = nn.Linear(pooled, DIMENSION)
        self.dense_norm = nn.BatchNorm1d(DIMENSION, NORM_EPSILON)

    def forward(self, patches: Float[Tensor, "batch 187 96"]) -> Float[Tensor, "batch 200"]:
        """Embeddings of patches."""
        image = self.norm(patches[:, None])
        found = []
        for frames, front, norm in zip(FRONT_FRAMES, self.fronts, self.front_norms, strict=True):
            beyond = frames - 1  # TensorFlow's "same": the odd frame of padding comes after
            padded = functional.pad(image, (0, 0, beyond // 2, beyond - beyond // 2))
            found.append(norm(functional.relu(front(padded))).amax(3))
        maps = [torch.cat(found, 1)]
        for index, (middle, norm) in enumerate(zip(self.middles, self.middle_norms, strict=True)):
            new = norm(functional.relu(middle(maps[-1])))
            maps.append(new + maps[-1] if index else new)
        everything = torch.cat(maps, 1)
        pooled = torch.stack([everything.amax(2), everything.mean(2)], 2).flatten(1)
        return self.dense_norm(functional.relu(self.dense(self.pooled_norm(pooled))))
