"""Sounds made longer by Msanii in windows of which half are known, the sound itself unchanged."""

from __future__ import annotations

import numpy as np
import torch

from ondes.audio import Audio
from ondes.pipelines.msanii_job import MsaniiJob
from ondes.pipelines.msanii_sounds import Fitting, reflectable, window_of
from ondes.pipelines.splicing import splice
from ondes.representations.msanii_mel import MsaniiSpec
from ondes.representations.regions import Region

SPARE_FRAMES = 3
"""Made beyond what is asked for: the last frames hear the end."""


def half_window(fitting: Fitting, audio: Audio, *, most: int) -> int:
    """Frames that are given, and made, at a time: about half of the sound's own."""
    spec, multiple = fitting.features.spec, fitting.multiple
    own = spec.frames(round(audio.duration_s * spec.sample_rate_hz))
    window = min(most, -(-own // multiple) * multiple)
    return max(1, window // (2 * multiple)) * multiple


def spans(length_s: float, half: int, spec: MsaniiSpec) -> int:
    """How many halves so many seconds take."""
    frames = round(length_s * spec.sample_rate_hz) // spec.hop_samples + SPARE_FRAMES
    return -(-frames // half) if length_s else 0


def longer(
    job: MsaniiJob, fitting: Fitting, audio: Audio, half: int, *, before_s: float, after_s: float
) -> Audio:
    """A sound with new sound around it.

    Args:
        job: What makes it.
        fitting: Of the sound.
        audio: The sound.
        half: As of `half_window`.
        before_s: Length of what comes before.
        after_s: Length of what follows.
    """
    spec, rate = fitting.features.spec, audio.sample_rate_hz
    given = fitting.prepared(audio)
    features = fitting.features.analyse(reflectable(given, spec.fft_size))
    # The frames at the ends see what lies beyond them.
    edge = -(-spec.fft_size // 2 // spec.hop_samples)
    inner = features[..., edge : max(edge + 1, given.shape[-1] // spec.hop_samples + 1 - edge)]
    pieces, first = inner.to(fitting.device), edge
    for _ in range(spans(after_s, half, spec)):
        pieces = torch.cat([pieces, job.next_half(pieces[..., -half:], half)], -1)
    for _ in range(spans(before_s, half, spec)):
        new = job.next_half(pieces[..., :half], half, forward=False)
        pieces, first = torch.cat([new, pieces], -1), first - half
    made = fitting.like(job.finish(pieces, spec.samples(pieces.shape[-1])), audio, exact=False)
    added = [round(length_s * rate) for length_s in (before_s, after_s)]
    # Sample 0 of what was made lies so far from sample 0 of the sound.
    origin = round(first * spec.hop_samples * rate / spec.sample_rate_hz)
    whole = added[0] + audio.samples.shape[1] + added[1]
    new = window_of(made.samples, -origin - added[0], whole)
    regions = [Region(0, added[0])] if added[0] else []
    regions += [Region(whole - added[1], whole)] if added[1] else []
    parts = [new[:, region.start : region.stop] for region in regions]
    return Audio(splice(np.pad(audio.samples, ((0, 0), tuple(added))), parts, regions), rate)
