"""Makes musicnn.npz: librosa's spectrogram of a signal, and the network's answers written out in numpy.

Run in an environment with `pip install librosa` (0.11). The weights are those that come with ondes; nothing of its
code is used. The network follows the definition in the package musicnn 0.1.0, in its own layout (time, bands,
channels), without its rounding of the spectrogram to half precision.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).parents[2] / "src/ondes/evaluation/assets/musicnn.safetensors"
RATE_HZ = 16000


def signal() -> np.ndarray:
    """5.2 s of a chord whose harmonics decay twice a second, and a rising tone."""
    time_s = np.arange(int(5.2 * RATE_HZ)) / RATE_HZ
    since_s = (2 * time_s) % 1
    tones = [
        np.sin(2 * np.pi * hz * k * time_s) * np.exp(-k * since_s)
        for hz in (220, 277, 330)
        for k in range(1, 9)
    ]
    return 0.05 * np.sum(tones, axis=0) + 0.1 * np.sin(2 * np.pi * (300 + 400 * time_s) * time_s)


def weights() -> dict[str, np.ndarray]:
    """Safetensors: the length of a header in 8 bytes, the header in JSON, 32-bit floats."""
    data = WEIGHTS.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[8 + size :][slice(*entry["data_offsets"])], "<f4")
        .reshape(entry["shape"])
        .astype(float)
        for name, entry in header.items()
    }


def network(patch: np.ndarray) -> np.ndarray:
    """200 numbers of a patch (187, 96)."""
    table = weights()

    def norm(values: np.ndarray, name: str) -> np.ndarray:  # channels last
        spread = np.sqrt(table[f"{name}.running_var"] + 1e-3)
        centred = (values - table[f"{name}.running_mean"]) / spread
        return centred * table[f"{name}.weight"] + table[f"{name}.bias"]

    def windows(values: np.ndarray, frames: int) -> np.ndarray:
        before = (frames - 1) // 2
        padded = np.pad(values, ((before, frames - 1 - before), (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, frames, axis=0)  # (time, bands, frames)

    image = norm(patch[..., None], "norm")[..., 0]
    found = []
    for index in range(5):
        kernel = table[f"fronts.{index}.weight"][:, 0]  # (outputs, frames, bands)
        outputs, frames, bands = kernel.shape
        around = windows(image, frames)
        best = np.full((len(patch), outputs), -np.inf)
        for low in range(96 - bands + 1):
            answer = np.einsum("tbf,ofb->to", around[:, low : low + bands], kernel, optimize=True)
            answer = np.maximum(answer + table[f"fronts.{index}.bias"], 0.0)
            best = np.maximum(best, norm(answer, f"front_norms.{index}"))
        found.append(best)
    maps = [np.concatenate(found, axis=1)]
    for index in range(3):
        kernel = table[f"middles.{index}.weight"]
        answer = np.einsum("tcf,ocf->to", windows(maps[-1], 7), kernel, optimize=True)
        answer = norm(np.maximum(answer + table[f"middles.{index}.bias"], 0.0), f"middle_norms.{index}")
        maps.append(answer + maps[-1] if index else answer)
    everything = np.concatenate(maps, axis=1)
    pooled = np.stack([everything.max(axis=0), everything.mean(axis=0)], axis=1).reshape(-1)
    hidden = table["dense.weight"] @ norm(pooled, "pooled_norm") + table["dense.bias"]
    return norm(np.maximum(hidden, 0.0), "dense_norm")


def main() -> None:
    """Write the golden file beside this script."""
    import librosa  # type: ignore  # noqa: PLC0415

    power = librosa.feature.melspectrogram(y=signal(), sr=RATE_HZ, hop_length=256, n_fft=512, n_mels=96).T
    log_mel = np.log10(10000.0 * power + 1.0)
    patches = np.stack([log_mel[start : start + 187] for start in (0, 93)])
    np.savez_compressed(
        Path(__file__).with_name("musicnn.npz"),
        some_frames=patches[:, ::17].astype(np.float32),
        embeddings=np.stack([network(patch) for patch in patches]).astype(np.float32),
    )


if __name__ == "__main__":
    main()
