"""Makes msanii.npz: what librosa 0.11 says of the sound of `make_mel.py` in the front end of Msanii.

Run in an environment with `pip install 'librosa==0.11.*'`. The Griffin-Lim begins with all phases 0, where librosa and
torchaudio do the same.
"""

from __future__ import annotations

from pathlib import Path

import librosa  # pyright: ignore[reportMissingImports]
import numpy as np
from make_mel import RATE_HZ, sound

FFT, HOP, BANDS = 2048, 1024, 128
ITERATIONS, MOMENTUM = 12, 0.99


def main() -> None:
    """Write the golden file beside this script."""
    samples = sound()
    framing = {"n_fft": FFT, "hop_length": HOP, "center": True, "pad_mode": "reflect"}
    mels = librosa.feature.melspectrogram(
        y=samples, sr=RATE_HZ, n_mels=BANDS, power=1.0, norm=None, htk=True, **framing
    )
    filters = librosa.filters.mel(sr=RATE_HZ, n_fft=FFT, n_mels=BANDS, htk=True, norm=None)
    magnitude = np.abs(librosa.stft(samples, **framing))
    made = librosa.griffinlim(
        magnitude, n_iter=ITERATIONS, momentum=MOMENTUM, init=None, length=len(samples), **framing
    )
    np.savez_compressed(
        Path(__file__).with_name("msanii.npz"),
        log_mel=np.log(mels + 1e-5).astype(np.float32),
        filters_sums=filters.sum(1),
        inverse=np.linalg.pinv(filters.T.astype(np.float64))[::16, ::64].astype(np.float32),
        griffin_lim=made.astype(np.float32),
    )


if __name__ == "__main__":
    main()
