"""Everything that is measured of one piece of audio that plays one excerpt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ondes.audio import Audio
from ondes.evaluation.joins import Contrast, flux_contrast, jump_contrast
from ondes.evaluation.loudness import channel_coherence, loudness_lufs, true_peak_dbtp
from ondes.evaluation.onsets import onset_auc
from ondes.evaluation.spectra import log_mel
from ondes.evaluation.transcription import NoteScore, Transcript, score_notes, transcribe

if TYPE_CHECKING:
    from ondes.score import Notes

SAMPLE_RATE_HZ = 44100
SILENCE_LUFS = -70.0
"""Where BS.1770's absolute gate closes; silence counts as this loud."""


@dataclass(frozen=True, eq=False)
class Heard:
    """Figures of one piece of audio.

    Attributes:
        transcript: Notes that the transcriber hears.
        notes: How they agree with the written ones.
        onset_auc: Harmonic rise at onsets against controls.
        log_mel: Spectrogram (2, 128, frames) in half precision.
        lufs: Integrated loudness.
        peak_dbtp: True peak.
        coherence: Of left and right.
        flux, jump: At joins, where they are known.
    """

    transcript: Transcript
    notes: NoteScore
    onset_auc: float
    log_mel: np.ndarray
    lufs: float
    peak_dbtp: float
    coherence: float
    flux: Contrast | None = None
    jump: Contrast | None = None


def listen(
    audio: Audio,
    notes: Notes,
    *,
    seed: int = 0,
    joins_s: np.ndarray | None = None,
    heard_in: Audio | None = None,
) -> Heard:
    """Measure audio that should play some notes.

    Args:
        audio: Stereo at 44.1 kHz, cut to the excerpt: see `fit`.
        notes: What it should play.
        seed: Of the controls of the onset measure.
        joins_s: Where segments were joined.
        heard_in: The reference, whose spectrum says where coherence counts.
    """
    transcript = transcribe(audio)
    joins = joins_s if joins_s is not None and len(joins_s) else None
    return Heard(
        transcript=transcript,
        notes=score_notes(transcript, notes),
        onset_auc=onset_auc(audio, notes, seed=seed),
        log_mel=log_mel(audio).astype(np.float16),
        lufs=max(loudness_lufs(audio), SILENCE_LUFS),
        peak_dbtp=true_peak_dbtp(audio),
        coherence=channel_coherence(audio, heard_in=heard_in),
        flux=None if joins is None else flux_contrast(audio, joins),
        jump=None if joins is None else jump_contrast(audio, joins),
    )


def fit(audio: Audio, duration_s: float) -> Audio:
    """The audio in stereo at 44.1 kHz, cut or filled with silence to a length."""
    stereo = audio.to_stereo().resample(SAMPLE_RATE_HZ)
    wanted = round(duration_s * SAMPLE_RATE_HZ)
    samples = stereo.samples[:, :wanted]
    return Audio(np.pad(samples, ((0, 0), (0, wanted - samples.shape[1]))), SAMPLE_RATE_HZ)
