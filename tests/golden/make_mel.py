"""Makes mel.npz: what librosa 0.11 says of a fixed sound.

Run in an environment with `pip install 'librosa==0.11.*'`.
"""

from __future__ import annotations

from pathlib import Path

import librosa  # pyright: ignore[reportMissingImports]
import numpy as np

RATE_HZ, FFT, HOP, BANDS = 44_100, 2048, 512, 128


def sound() -> np.ndarray:
    """A rising sine, a click and faint noise, with a silent end: 24 hops of 16-bit samples, as float32."""
    random = np.random.RandomState(5)  # its stream is frozen for ever
    time_s = np.arange(24 * HOP) / RATE_HZ
    samples = 0.4 * np.sin(2 * np.pi * (200 + 20_000 * time_s) * time_s) + 0.01 * random.standard_normal(
        24 * HOP
    )
    samples[5 * HOP + 256] += 0.5
    samples[-9 * HOP :] = 0
    return (np.round(samples * 32767) / 32768).astype(np.float32)


def main() -> None:
    """Write the golden file beside this script."""
    samples = sound()
    edge = (FFT - HOP) // 2
    mels = librosa.feature.melspectrogram(
        y=np.pad(samples, edge, mode="reflect"),
        sr=RATE_HZ,
        n_fft=FFT,
        hop_length=HOP,
        n_mels=BANDS,
        center=False,
        power=1.0,
        norm="slaney",
        htk=False,
    )
    np.savez_compressed(
        Path(__file__).with_name("mel.npz"),
        samples=(samples * 32768).astype(np.int16),
        log_mel=np.log(np.maximum(mels, 1e-5)).astype(np.float32),
        filters=librosa.filters.mel(sr=RATE_HZ, n_fft=FFT, n_mels=BANDS, htk=False, norm="slaney"),
    )


if __name__ == "__main__":
    main()
