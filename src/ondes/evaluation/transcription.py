"""A fixed public transcriber, and how many of the notes it hears again.

The transcriber is Basic Pitch (Bittner et al., ICASSP 2022, arXiv 2203.09893): its network as shipped, run
with onnxruntime. Framing and note creation follow the behaviour of the package's version 0.4.0 with its
defaults (onset threshold 0.5, frame threshold 0.3, notes over 11 frames, inferred onsets, melodia trick)
and give its numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import soxr
from numpy.typing import ArrayLike

from ondes.evaluation.extras import require

if TYPE_CHECKING:
    from ondes.audio import Audio
    from ondes.score import Notes

RATE_HZ = 22050
HOP_SAMPLES = 256
WINDOW_SAMPLES = 2 * RATE_HZ - HOP_SAMPLES
WINDOW_FRAMES = 172
OVERLAP_FRAMES = 30
FRAMES_PER_S = RATE_HZ // HOP_SAMPLES
LOWEST_PITCH = 21
PITCHES = 88

ONSET_THRESHOLD = 0.5
FRAME_THRESHOLD = 0.3
LONGEST_SKIPPED_FRAMES = 11
GAP_FRAMES = 11
"""A note ends where its band stays below the frame threshold for this long."""

ONSET_TOLERANCE_S = 0.05
UNISON_S = 0.001
"""Notes of one pitch this close together are one note to a transcriber that knows no instruments."""


@dataclass(frozen=True, eq=False)
class Transcript:
    """Notes heard in audio: four arrays of one length, in the order in which they were found."""

    onset_s: np.ndarray
    release_s: np.ndarray
    pitch: np.ndarray
    amplitude: np.ndarray

    def __len__(self) -> int:
        return len(self.pitch)


@dataclass(frozen=True)
class NoteScore:
    """How two lists of notes agree: each in 0..1."""

    precision: float
    recall: float
    f1: float


def note_f1(audio: Audio, notes: Notes) -> float:
    """F1 of the notes heard in audio against the notes it should play, onsets within 50 ms.

    Args:
        audio: Any rate, any number of channels.
        notes: Drums are left out.

    Returns:
        A figure in 0..1; 0 where either side has no notes.
    """
    return score_notes(transcribe(audio), notes).f1


def transcribe(audio: Audio) -> Transcript:
    """The notes Basic Pitch hears in audio."""
    mono = audio.samples.mean(axis=0, dtype=np.float32)
    frames, onsets = activations(soxr.resample(mono, audio.sample_rate_hz, RATE_HZ, quality="HQ"))
    return to_transcript(frames, onsets)


def score_notes(heard: Transcript, notes: Notes) -> NoteScore:
    """Precision, recall and F1 by `mir_eval.transcription`: pitch within 50 cents, onset within 50 ms.

    Releases are not judged (`offset_ratio=None`). Unisons of several parts count once.
    """
    onset_s, release_s, pitch = pitched_notes(notes)
    if not len(heard) or not len(pitch):
        return NoteScore(0.0, 0.0, 0.0)
    precision, recall, f1, _ = require("mir_eval.transcription").precision_recall_f1_overlap(
        np.stack([onset_s, release_s], axis=1),
        pitch_hz(pitch),
        np.stack([heard.onset_s, heard.release_s], axis=1),
        pitch_hz(heard.pitch),
        onset_tolerance=ONSET_TOLERANCE_S,
        offset_ratio=None,
    )
    return NoteScore(float(precision), float(recall), float(f1))


def pitched_notes(notes: Notes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Onsets and releases in seconds and pitches of the notes that are not drums, unisons counted once."""
    keep = np.flatnonzero(~notes.is_drum)
    keep = keep[np.lexsort((notes.onset_s[keep], notes.pitch[keep]))]
    onset_s, release_s, pitch = notes.onset_s[keep], notes.release_s[keep], notes.pitch[keep]
    repeated = np.zeros(len(keep), bool)
    repeated[1:] = (np.diff(pitch) == 0) & (np.diff(onset_s) < UNISON_S)
    return onset_s[~repeated], release_s[~repeated], pitch[~repeated]


def pitch_hz(pitch: ArrayLike) -> np.ndarray:
    """Equal temperament, A4 (69) at 440 Hz."""
    return 440.0 * 2.0 ** ((np.asarray(pitch, np.float64) - 69.0) / 12.0)


def activations(mono: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network says of each frame and piano key.

    Args:
        mono: Samples at 22 050 Hz (time,).

    Returns:
        Two arrays (frames, 88) in 0..1: a note sounds; a note begins. 86 frames to each second.
    """
    hop = WINDOW_SAMPLES - OVERLAP_FRAMES * HOP_SAMPLES
    margin = OVERLAP_FRAMES // 2
    padded = np.concatenate([np.zeros(margin * HOP_SAMPLES, np.float32), mono.astype(np.float32)])
    windows = -(-len(padded) // hop)
    padded = np.pad(padded, (0, (windows - 1) * hop + WINDOW_SAMPLES - len(padded)))
    stacked = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::hop]
    outputs = [_network()(window[None, :, None]) for window in stacked]
    kept_frames = int(len(mono) * (FRAMES_PER_S / RATE_HZ))
    frames, onsets = (
        np.concatenate([output[k][0, margin:-margin] for output in outputs])[:kept_frames] for k in (0, 1)
    )
    return frames, onsets


@functools.cache
def _network() -> Callable[[np.ndarray], list[np.ndarray]]:
    """The session, made once: windows (batch, samples, 1) to [sounding, beginning] (batch, 172, 88)."""
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leaves the cores to others
    model = resources.files("ondes.evaluation").joinpath("assets/basic_pitch.onnx").read_bytes()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"]
    return lambda windows: session.run(names, {"serving_default_input_2:0": np.ascontiguousarray(windows)})


def frame_times_s(frames: int) -> np.ndarray:
    """When each frame begins; corrected, as windows advance by part of a frame less than they hold."""
    index = np.arange(frames)
    drift_s = (
        HOP_SAMPLES / RATE_HZ * (WINDOW_FRAMES - WINDOW_SAMPLES / HOP_SAMPLES) + 0.0018
    )  # the package's constant
    return index * HOP_SAMPLES / RATE_HZ - drift_s * (index // WINDOW_FRAMES)


def to_transcript(frames: np.ndarray, onsets: np.ndarray) -> Transcript:
    """Notes out of activations, as the package's `output_to_notes_polyphonic` makes them.

    Args:
        frames: A note sounds, (frames, 88).
        onsets: A note begins, (frames, 88).

    Returns:
        First the notes that begin at a peak of the onsets, latest first; then those grown from what is left.
    """
    if len(frames) < 3:
        return Transcript(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0))
    frames = frames.astype(np.float64)
    energy = np.pad(frames, ((0, 0), (1, 1)))  # a silent neighbour below and above
    spans = _notes_at_onsets(energy, infer_onsets(onsets.astype(np.float64), frames))
    spans += _notes_from_energy(energy)
    begin, end, band = np.array(spans, np.int64).reshape(-1, 3).T
    times_s = frame_times_s(len(frames))
    amplitude = np.array([frames[b:e, p].mean() for b, e, p in spans])
    return Transcript(times_s[begin], times_s[end], band + LOWEST_PITCH, amplitude)


def infer_onsets(onsets: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Onsets, raised where a band jumps above both of its last two frames (scaled to the same maximum)."""
    rise = np.zeros_like(frames)
    rise[2:] = np.maximum(0.0, np.minimum(frames[2:] - frames[1:-1], frames[2:] - frames[:-2]))
    if rise.max() == 0.0:
        return onsets
    return np.maximum(onsets, onsets.max() * rise / rise.max())


def _notes_at_onsets(energy: np.ndarray, onsets: np.ndarray) -> list[tuple[int, int, int]]:
    """Notes (begin, end, band) from onset peaks, latest first; takes their energy away."""
    peak = np.zeros(onsets.shape, bool)
    peak[1:-1] = (
        (onsets[1:-1] > onsets[:-2]) & (onsets[1:-1] > onsets[2:]) & (onsets[1:-1] >= ONSET_THRESHOLD)
    )
    spans = []
    for begin, band in np.argwhere(peak)[::-1].tolist():
        visited, gap = _until_silent(energy[begin + 1 : -1, band + 1])
        end = begin + 1 + visited - gap
        if end - begin > LONGEST_SKIPPED_FRAMES:
            energy[begin:end, band : band + 3] = 0.0
            spans.append((begin, end, band))
    return spans


def _notes_from_energy(energy: np.ndarray) -> list[tuple[int, int, int]]:
    """Notes (begin, end, band) grown from the loudest cells left ("melodia trick"); takes their energy."""
    inner = energy[:, 1:-1]
    cells = np.argwhere(inner > FRAME_THRESHOLD)
    loudest_first = np.argsort(-inner[inner > FRAME_THRESHOLD], kind="stable")
    spans = []
    for middle, band in cells[loudest_first].tolist():
        column = energy[:, band + 1]
        if column[middle] <= FRAME_THRESHOLD:
            continue
        after, after_gap = _until_silent(column[middle + 1 : -1])
        before, before_gap = _until_silent(column[1:middle][::-1])
        energy[middle - before : middle, band : band + 3] = 0.0
        energy[middle + 1 : middle + 1 + after, band : band + 3] = 0.0
        column[middle] = 0.0
        begin, end = middle - before + before_gap, middle + after - after_gap
        if end - begin > LONGEST_SKIPPED_FRAMES:
            spans.append((begin, end, band))
    return spans


def _until_silent(energy: np.ndarray) -> tuple[int, int]:
    """How many frames pass until the band was quiet for a whole gap, and how many quiet ones end them."""
    quiet = (energy < FRAME_THRESHOLD).tobytes()
    found = quiet.find(b"\x01" * GAP_FRAMES)
    if found >= 0:
        return found + GAP_FRAMES, GAP_FRAMES
    return len(quiet), len(quiet) - 1 - quiet.rfind(b"\x00")
