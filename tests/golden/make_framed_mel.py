"""Makes framed_mel.npz: what librosa 0.11 and a plain DFT in numpy say of a fixed sound.

Run in an environment with `pip install 'librosa==0.11.*'`. The centred framing of the port is librosa's. The forward
framing is a DFT by matrix over frames cut one by one, with the weights of TensorFlow's documentation
(`linear_to_mel_weight_matrix`) computed bin by bin.
"""

from __future__ import annotations

import math
from pathlib import Path

import librosa  # pyright: ignore[reportMissingImports]
import numpy as np

RATE_HZ, FFT, WINDOW, HOP, BANDS = 16_000, 1024, 640, 320, 128


def sound() -> np.ndarray:
    """A rising sine, a click and faint noise, with a silent end: 24 hops of 16-bit samples, as float64."""
    random = np.random.RandomState(7)  # its stream is frozen for ever
    time_s = np.arange(24 * HOP) / RATE_HZ
    samples = 0.5 * np.sin(2 * np.pi * (80 + 7000 * time_s) * time_s) + 0.01 * random.standard_normal(
        24 * HOP
    )
    samples[5 * HOP + 100] += 0.4
    samples[-4 * HOP :] = 0
    return np.round(samples * 32767) / 32768


def mel(hz: float) -> float:
    return 1127.0 * math.log(1.0 + hz / 700.0)


def weight(band: int, index: int) -> float:
    """The share of FFT bin `index` in a band whose triangle is straight over mels."""
    step = mel(RATE_HZ / 2) / (BANDS + 1)
    if index == 0:
        return 0.0
    return max(0.0, 1.0 - abs(mel(index * RATE_HZ / FFT) / step - (band + 1)))


def forward(samples: np.ndarray) -> np.ndarray:
    """Frame i from sample 320 i, windowed, zeros added at its end and at the end of the sound."""
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / WINDOW) for n in range(WINDOW)])
    dft = np.exp(-2j * np.pi * np.outer(np.arange(FFT // 2 + 1), np.arange(WINDOW)) / FFT)
    weights = np.array([[weight(band, index) for index in range(FFT // 2 + 1)] for band in range(BANDS)])
    padded = np.concatenate([samples, np.zeros(WINDOW)])
    rows = []
    for frame in range(len(samples) // HOP):
        piece = padded[frame * HOP : frame * HOP + WINDOW] * hann
        rows.append(weights @ np.abs(dft @ piece))
    return np.log(np.clip(np.array(rows), 1e-5, 1e8))


def centred(samples: np.ndarray, filters: np.ndarray) -> np.ndarray:
    spectrum = librosa.stft(
        samples,
        n_fft=FFT,
        hop_length=HOP,
        win_length=WINDOW,
        center=True,
        pad_mode="reflect",
        dtype=np.complex128,
    )
    return np.log(np.clip(filters @ np.abs(spectrum), 1e-5, 1e8)).T


def main() -> None:
    """Write the golden file beside this script."""
    samples = sound()
    filters = librosa.filters.mel(
        sr=RATE_HZ, n_fft=FFT, n_mels=BANDS, fmin=0, fmax=8000, htk=True, norm=None, dtype=np.float64
    )
    np.savez_compressed(
        Path(__file__).with_name("framed_mel.npz"),
        samples=(samples * 32768).astype(np.int16),
        forward=forward(samples).astype(np.float32),
        centred=centred(samples, filters).astype(np.float32),
        filters=filters.astype(np.float32),
    )


if __name__ == "__main__":
    main()
