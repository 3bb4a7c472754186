"""Makes vggish.npz: input patches and a small network's answers by the published formulas, written as loops in numpy.

Nothing of ondes and no signal library is used; the formulas are those of the AudioSet release: HTK mels with 1127 and
700, triangles linear in mels with the 0 Hz bin left out, periodic Hann over 400 samples, a 512-point transform,
magnitudes, ln(mel + 0.01), patches of 96 frames. The network has the published structure with few channels.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

RATE_HZ = 16000
CHANNELS = (2, 3, 2, 3, 2, 3)
HIDDEN = 5


def signal() -> np.ndarray:
    """2.3 s of a rising tone, its octave, and clicks."""
    time_s = np.arange(int(2.3 * RATE_HZ)) / RATE_HZ
    samples = 0.4 * np.sin(2 * np.pi * (200 + 700 * time_s) * time_s) + 0.1 * np.sin(
        2 * np.pi * 3000 * time_s
    )
    samples[::3777] += 0.5
    return samples


def mel(hz: float) -> float:
    return 1127.0 * math.log(1.0 + hz / 700.0)


def filters() -> np.ndarray:
    """(257, 64)."""
    low, high = mel(125.0), mel(7500.0)
    edges = [low + (high - low) * k / 65 for k in range(66)]
    table = np.zeros((257, 64))
    for bin_ in range(1, 257):
        at = mel(bin_ * 8000.0 / 256)
        for band in range(64):
            left, centre, right = edges[band : band + 3]
            table[bin_, band] = max(0.0, min((at - left) / (centre - left), (right - at) / (right - centre)))
    return table


def patches(samples: np.ndarray) -> np.ndarray:
    """(patches, 96, 64), by a Fourier sum rather than a fast transform."""
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / 400) for n in range(400)])
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)
    frames = 1 + (len(samples) - 400) // 160
    rows = [np.abs(turns @ (samples[160 * i : 160 * i + 400] * window)) for i in range(frames)]
    log_mel = np.log(np.array(rows) @ filters() + 0.01)
    return np.stack([log_mel[k : k + 96] for k in range(0, frames - 95, 96)])


def weights() -> dict[str, np.ndarray]:
    """Small networks' weights in the published layout: sines of the running index."""
    shapes: dict[str, tuple[int, ...]] = {}
    before = 1
    for layer, width in zip((0, 3, 6, 8, 11, 13), CHANNELS, strict=True):
        shapes[f"features.{layer}.weight"], shapes[f"features.{layer}.bias"] = (width, before, 3, 3), (width,)
        before = width
    sizes = (before * 24, HIDDEN, HIDDEN, 128)
    for layer, (inputs, outputs) in zip((0, 2, 4), itertools.pairwise(sizes), strict=True):
        shapes[f"embeddings.{layer}.weight"], shapes[f"embeddings.{layer}.bias"] = (
            (outputs, inputs),
            (outputs,),
        )
    return {
        name: (0.5 * np.sin(0.7 * np.arange(math.prod(shape)) + place)).reshape(shape)
        for place, (name, shape) in enumerate(shapes.items())
    }


def convolve(maps: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3 x 3, zero padded, rectified; maps (channels, frames, bands)."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(kernel), *maps.shape[1:])) + bias[:, None, None]
    for i in range(3):
        for j in range(3):
            piece = padded[:, i : i + maps.shape[1], j : j + maps.shape[2]]
            out += np.einsum("oc,cfb->ofb", kernel[:, :, i, j], piece)
    return np.maximum(out, 0.0)


def halve(maps: np.ndarray) -> np.ndarray:
    return np.maximum.reduce([maps[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])


def network(patch: np.ndarray) -> np.ndarray:
    """128 numbers of one patch (96, 64), flattened with channels last as TensorFlow does."""
    table = weights()
    maps = patch[None]
    for layer in (0, 3, 6, 8, 11, 13):
        maps = convolve(maps, table[f"features.{layer}.weight"], table[f"features.{layer}.bias"])
        if layer in (0, 3, 8, 13):
            maps = halve(maps)
    flat = np.array([maps[c, f, b] for f in range(6) for b in range(4) for c in range(len(maps))])
    for layer in (0, 2, 4):
        flat = table[f"embeddings.{layer}.weight"] @ flat + table[f"embeddings.{layer}.bias"]
        flat = np.maximum(flat, 0.0) if layer < 4 else flat
    return flat


def main() -> None:
    """Write the golden file beside this script."""
    made = patches(signal()).astype(np.float32)
    np.savez_compressed(
        Path(__file__).with_name("vggish.npz"),
        patches=made,
        embeddings=np.stack([network(patch.astype(np.float64)) for patch in made]),
    )


if __name__ == "__main__":
    main()
