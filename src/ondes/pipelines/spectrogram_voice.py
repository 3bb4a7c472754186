"""From the log-mel of a song, as it is made, to its audio."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ondes.notes import Notes
from ondes.pipelines.limiter import Limiter
from ondes.representations.framed_mel import OFFICIAL

HOLD_SAMPLES = 320
"""Reach of the limiter, 20 ms."""


class Voice:
    """Log-mel of one song to audio that never clips, trimmed to the song.

    Args:
        vocoder: Log-mel to audio.
        notes: The song.
    """

    def __init__(self, vocoder: Any, notes: Notes) -> None:
        self.device = vocoder.device
        self.stream = vocoder.stream()
        self.left = max(1, round(notes.duration_s * OFFICIAL.sample_rate_hz))
        self.limiter = Limiter(hold_samples=HOLD_SAMPLES)
        self.waiting = torch.zeros(0)

    @torch.no_grad()
    def push(self, log_mel: Tensor, *, last: bool) -> Tensor:
        """The samples (samples,) that are certain after these frames."""
        samples = self.stream.push(log_mel.to(self.device), last=last).cpu().float()[: self.left]
        self.left -= len(samples)
        self.waiting = torch.cat([self.waiting, samples])
        gains = self.limiter.push(samples[None], last=last)
        ready, self.waiting = self.waiting[: len(gains)] * gains, self.waiting[len(gains) :]
        return ready
