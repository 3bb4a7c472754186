"""Makes bigvgan.json: what a BigVGAN says of a fixed spectrogram, by numpy and scipy alone.

Written from the paper (arXiv 2206.04658) and the public model's layout, as plainly as possible and in double
precision: signals are doubled with `upfirdn`, transposed convolutions add up scaled copies of their kernels. It shares
no code with `ondes.models.bigvgan`. Run in an environment with scipy.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.signal import firwin, kaiser_atten, kaiser_beta, upfirdn

BANDS, FRAMES, WIDTH = 5, 7, 8
RATES, KERNELS = (4, 2), (8, 4)
BLOCK_KERNELS, DILATIONS = (3, 5), ((1, 3), (1, 2))
SHAPE = ("kaiser", kaiser_beta(kaiser_atten(6, 1.2)))
FILTER = np.asarray(firwin(12, 0.5, window=SHAPE))  # pyright: ignore[reportArgumentType]


def wave(count: int, phase: float) -> np.ndarray:
    """Numbers in -1..1 without a pattern that a mistake could preserve."""
    index = np.arange(count, dtype=np.float64)
    return np.sin(1.7 * index + phase) * np.cos(0.013 * index**2)


def spectrogram() -> np.ndarray:
    """Log-mels (bands, frames)."""
    return 3 * wave(BANDS * FRAMES, 0.3).reshape(BANDS, FRAMES) - 2


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights, as in the public files after weight normalisation is multiplied out."""
    found: dict[str, tuple[int, ...]] = {"conv_pre.weight": (WIDTH, BANDS, 7), "conv_pre.bias": (WIDTH,)}
    channels = WIDTH
    for stage, kernel in enumerate(KERNELS):
        found[f"ups.{stage}.0.weight"] = (channels, channels // 2, kernel)
        channels //= 2
        found[f"ups.{stage}.0.bias"] = (channels,)
        for block, size in enumerate(BLOCK_KERNELS):
            stem = f"resblocks.{stage * len(BLOCK_KERNELS) + block}"
            for step in range(len(DILATIONS[block])):
                for convolutions in ("convs1", "convs2"):
                    found[f"{stem}.{convolutions}.{step}.weight"] = (channels, channels, size)
                    found[f"{stem}.{convolutions}.{step}.bias"] = (channels,)
            for snake in range(2 * len(DILATIONS[block])):
                found[f"{stem}.activations.{snake}.act.alpha"] = (channels,)
                found[f"{stem}.activations.{snake}.act.beta"] = (channels,)
    found["activation_post.act.alpha"] = found["activation_post.act.beta"] = (channels,)
    return found | {"conv_post.weight": (1, channels, 7), "conv_post.bias": (1,)}


def weights() -> dict[str, np.ndarray]:
    """All weights by a formula; convolutions keep the signal's size."""
    made = {}
    for index, (name, shape) in enumerate(shapes().items()):
        scale = 1.2 / np.sqrt(np.prod(shape[1:])) if name.endswith(".weight") else 0.3
        made[name] = scale * wave(int(np.prod(shape)), 0.9 * index).reshape(shape)
    return made


def snake(signal: np.ndarray, state: dict[str, np.ndarray], stem: str) -> np.ndarray:
    """Each channel doubled, bent, and halved."""
    alphas, betas = np.exp(state[f"{stem}.act.alpha"]), np.exp(state[f"{stem}.act.beta"])
    out = []
    for row, alpha, beta in zip(signal, alphas, betas, strict=True):
        doubled = 2 * np.asarray(upfirdn(FILTER, np.pad(row, 5, mode="edge"), up=2))[15 : 15 + 2 * len(row)]
        bent = doubled + np.sin(alpha * doubled) ** 2 / (beta + 1e-9)
        out.append(np.convolve(np.pad(bent, (5, 6), mode="edge"), FILTER, mode="valid")[::2])
    return np.array(out)


def convolve(signal: np.ndarray, state: dict[str, np.ndarray], stem: str, dilation: int = 1) -> np.ndarray:
    """A convolution that keeps the length, zeros around."""
    weight = state[f"{stem}.weight"]
    reach = dilation * (weight.shape[2] // 2)
    padded = np.pad(signal, ((0, 0), (reach, reach)))
    taps = range(weight.shape[2])
    out = sum(weight[:, :, t] @ padded[:, t * dilation :][:, : signal.shape[1]] for t in taps)
    return out + state[f"{stem}.bias"][:, None]


def transpose_convolve(signal: np.ndarray, state: dict[str, np.ndarray], stem: str, rate: int) -> np.ndarray:
    """Copies of the kernels, one a sample, laid `rate` apart and added; what sticks out on both sides is cut off."""
    weight = state[f"{stem}.weight"]
    size = weight.shape[2]
    out = np.zeros((weight.shape[1], (signal.shape[1] - 1) * rate + size))
    for place, column in enumerate(signal.T):
        out[:, place * rate : place * rate + size] += np.einsum("i,iok->ok", column, weight)
    cut = (size - rate) // 2
    return out[:, cut : out.shape[1] - cut] + state[f"{stem}.bias"][:, None]


def generate(log_mel: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Audio before it is bounded."""
    signal = convolve(log_mel, state, "conv_pre")
    for stage, rate in enumerate(RATES):
        signal = transpose_convolve(signal, state, f"ups.{stage}.0", rate)
        blocks = []
        for block, dilations in enumerate(DILATIONS):
            stem = f"resblocks.{stage * len(DILATIONS) + block}"
            inner = signal
            for step, dilation in enumerate(dilations):
                bent = snake(inner, state, f"{stem}.activations.{2 * step}")
                bent = convolve(bent, state, f"{stem}.convs1.{step}", dilation)
                bent = snake(bent, state, f"{stem}.activations.{2 * step + 1}")
                inner = inner + convolve(bent, state, f"{stem}.convs2.{step}")
            blocks.append(inner)
        signal = np.mean(blocks, axis=0)
    return convolve(snake(signal, state, "activation_post"), state, "conv_post")[0]


def main() -> None:
    """Write the golden file beside this script."""
    state = weights()
    audio = generate(spectrogram(), state)
    golden = {
        "made_by": "numpy and scipy, tests/golden/make_bigvgan.py",
        "filter": [round(float(tap), 9) for tap in FILTER],
        "unbounded": [round(float(value), 7) for value in audio],
    }
    Path(__file__).with_name("bigvgan.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
