"""Makes transcription.json: what the package basic-pitch 0.4.0 itself says of fixed inputs.

Run in an environment with `pip install onnxruntime scipy pretty_midi mir_eval` and then
`pip install --no-deps basic-pitch`. librosa and resampy, which the package imports, are not needed: the two
functions of librosa used here are given below.
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np

RATE_HZ = 22050
NOTES = [(0.31, 0.8, 60), (0.5, 1.2, 64), (1.4, 1.0, 67), (2.6, 1.5, 48), (2.63, 0.9, 72), (4.4, 0.5, 55)]
"""Onset and length in seconds, pitch."""


def signal() -> np.ndarray:
    """Six plucked notes of eight decaying harmonics in 5.3 s at 22 050 Hz."""
    samples = np.zeros(int(5.3 * RATE_HZ))
    for onset_s, length_s, pitch in NOTES:
        time_s = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
        base_hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * k * base_hz * time_s) * np.exp(-k * time_s) / k for k in range(1, 9))
        fade = np.minimum(1.0, np.minimum(time_s / 0.005, (length_s - time_s) / 0.02))
        start = int(onset_s * RATE_HZ)
        samples[start : start + len(time_s)] += 0.15 * tone * fade
    return samples.astype(np.float32)


def random_activations() -> tuple[np.ndarray, np.ndarray]:
    """Smooth noise in 0..1 that reaches every branch of note creation: (frames, onsets), each (400, 88)."""
    random = np.random.RandomState(3)  # its stream is frozen for ever
    kernel = np.hanning(23)[:, None] / np.hanning(23).sum()
    noise = random.uniform(size=(422, 88))
    smooth = sum(kernel[k] * noise[k : k + 400] for k in range(23))
    frames = np.clip(0.33 + 3.0 * (smooth - 0.5), 0.0, 1.0)
    onsets = random.uniform(size=(400, 88)) ** 8
    return frames.astype(np.float32), onsets.astype(np.float32)


def _stand_ins() -> None:
    librosa, resampy = types.ModuleType("librosa"), types.ModuleType("resampy")
    librosa.load = lambda *_, **__: (signal(), RATE_HZ)  # type: ignore[attr-defined]
    librosa.core = types.SimpleNamespace(  # type: ignore[attr-defined]
        frames_to_time=lambda frames, sr, hop_length: np.asarray(frames) * hop_length / sr
    )
    sys.modules.update(librosa=librosa, resampy=resampy)


def main() -> None:
    """Write the golden file beside this script."""
    _stand_ins()
    from basic_pitch import ICASSP_2022_MODEL_PATH, inference, note_creation  # type: ignore  # noqa: PLC0415

    model_path = Path(ICASSP_2022_MODEL_PATH).parent / "nmp.onnx"
    output = inference.run_inference("signal", inference.Model(model_path))
    settings = {"onset_thresh": 0.5, "frame_thresh": 0.3, "min_note_len": 11, "infer_onsets": True}
    settings |= {"max_freq": None, "min_freq": None, "melodia_trick": True}
    heard = note_creation.output_to_notes_polyphonic(output["note"], output["onset"], **settings)
    created = note_creation.output_to_notes_polyphonic(*random_activations(), **settings)
    plain = (
        [[int(b), int(e), int(p), float(a)] for b, e, p, a in heard],
        [[int(v) for v in n[:3]] for n in created],
    )
    golden = {
        "made_by": "basic-pitch 0.4.0, tests/golden/make_transcription.py",
        "shape": list(output["note"].shape),
        "note_sum_per_pitch": [round(float(v), 5) for v in output["note"].sum(axis=0)],
        "onset_sum_per_pitch": [round(float(v), 5) for v in output["onset"].sum(axis=0)],
        "notes_of_signal": plain[0],
        "notes_of_random_activations": plain[1],
        "frame_times_s": [float(t) for t in note_creation.model_frames_to_time(700)[::50]],
    }
    Path(__file__).with_name("transcription.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
