"""What a transcriber says of the notes in log-mels that are being made: the judge of classifier guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ondes.diffusion.classifier_guidance import LogLikelihood
from ondes.diffusion.log_snr import cosine_log_snr
from ondes.models.mel_transcriber import roll_log_likelihood
from ondes.notes import Notes
from ondes.representations.framed_mel import OFFICIAL, from_scaled, to_scaled
from ondes.representations.piano_rolls import to_rolls

Transcriber = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Maps officially scaled log-mels (batch, frames, 128) and log SNRs (batch,) to logits as `MelTranscriber` does."""


def judge_notes(
    transcriber: Transcriber,
    windows: Sequence[tuple[Notes, int]],
    *,
    frames: int,
    feature_range: tuple[float, float],
) -> LogLikelihood:
    """Log-likelihood of the notes of a batch, given estimates of its scaled log-mels and diffusion times.

    Args:
        transcriber: Differentiable in the log-mel.
        windows: The song of each example, and its first frame there in the official framing.
        frames: Of an example.
        feature_range: Log-mels that are -1 and 1 in the estimates.
    """
    rolls = [
        to_rolls(notes, start_frame=start, frames=frames, frames_per_second=OFFICIAL.frames_per_second)
        for notes, start in windows
    ]
    onsets, sounding = (torch.stack(kind) for kind in zip(*rolls, strict=True))

    def log_likelihood(estimate: Tensor, time: Tensor) -> Tensor:
        # Samplers clip the estimate likewise; early ones lie far outside of what a transcriber has seen.
        official = to_scaled(from_scaled(estimate.clamp(-1, 1), feature_range=feature_range))
        logits = transcriber(official, cosine_log_snr(time))
        return roll_log_likelihood(logits, (onsets.to(estimate), sounding.to(estimate)))

    return log_likelihood
