"""aiSFX: what a classifier of sound effects hears in two seconds of sound, as 512 numbers.

Ma and Lerch (2022), "Representation Learning for the Automatic Indexing of Sound Effects Libraries", ISMIR. It listens
to the whole range of 44.1 kHz, where the others end at 8 kHz.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE_HZ = 44_100
FFT_SIZE, HOP_SAMPLES, BANDS = 2048, 1024, 96
LARGEST_FEATURE = 9.457798957824707
"""Of the package's training data; features are divided by it."""

PATCH_FRAMES, PATCH_HOP_FRAMES = 100, 50
DIMENSION = 512
WIDTHS = (64, 128, 256, 512)


@functools.cache
def aisfx_filters() -> Float[np.ndarray, "bands bins"]:
    """Triangles linear in HTK mels from 0 Hz to half the rate, whose weights sum to 1 in each band."""
    hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SIZE // 2 + 1)
    mels = np.log1p(hz / 700.0)
    edges = np.linspace(0.0, mels[-1], BANDS + 2)[:, None]
    rising = (mels - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return triangles / triangles.sum(axis=1, keepdims=True)


def to_aisfx_patches(samples: Float[np.ndarray, " time"]) -> Float[np.ndarray, "patches 100 96"]:
    """Patches of log10(1 + 10 000 x power) as the package makes them with Essentia, over their largest value.

    Frame i is centred on sample 1024 i, under a symmetric Hann window; frames go on while they begin before the end.

    Args:
        samples: Mono at 44.1 kHz, full scale 1.

    Returns:
        Patches of 100 frames, half overlapping; a rest is left out, a single short patch is filled with zeros.
    """
    count = -(-len(samples) // HOP_SAMPLES) + 1
    padded = np.zeros((count + 1) * HOP_SAMPLES)
    padded[HOP_SAMPLES : HOP_SAMPLES + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP_SAMPLES]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT_SIZE))) ** 2
    features = np.log10(1.0 + 1e4 * (power @ aisfx_filters().T)) / LARGEST_FEATURE
    features = np.pad(features, ((0, max(0, PATCH_FRAMES - count)), (0, 0)))
    starts = range(0, len(features) - PATCH_FRAMES + 1, PATCH_HOP_FRAMES)
    return np.stack([features[start : start + PATCH_FRAMES] for start in starts]).astype(np.float32)


class PairOfConvolutions(nn.Module):
    """Two convolutions of 3 x 3 without biases, each normalised over the batch and rectified."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same size."""
        return functional.relu(self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(maps))))))


class AiSFX(nn.Module):
    """Patches to embeddings; the state dict has the names of the package's `embedding_net`.

    Args:
        widths: Channels of the four pairs of convolutions.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.conv_block1 = PairOfConvolutions(1, first)
        self.conv_block2 = PairOfConvolutions(first, second)
        self.conv_block3 = PairOfConvolutions(second, third)
        self.conv_block4 = PairOfConvolutions(third, fourth)

    def forward(self, patches: Float[Tensor, "batch frames bands"]) -> Float[Tensor, "batch width"]:
        """Embeddings of patches: mean over the bands, largest over time."""
        maps = patches[:, None]
        for block in (self.conv_block1, self.conv_block2, self.conv_block3):
            maps = functional.max_pool2d(block(maps), 2)
        return self.conv_block4(maps).mean(3).amax(2)
