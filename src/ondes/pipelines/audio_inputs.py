"""What audio pipelines are given: sounds from anywhere, looked at before any work."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ondes.audio import Audio
from ondes.errors import UserError

log = logging.getLogger(__name__)

Sound = str | os.PathLike[str] | Audio | tuple[Any, int]
"""A file, audio, or an array of samples (channels, time) or (time,) and its rate in Hz."""

LEAST_S = 0.05
"""Less sound than this says nothing."""

LOWEST_RATE_HZ = 1000
DULL_RATE_HZ = 32_000
CLIPPED_RUN = 4
"""So many samples in a row at full scale are no chance."""

MOST_CHANNELS = 2
MEMORY_SHARE = 0.9


def take_sound(sound: Sound) -> Audio:
    """A sound that can be edited; what is odd about it goes to the log.

    Raises:
        UserError: If it is no audio, too short, at a rate of telephones of old, or has more than two channels.
    """
    if isinstance(sound, Audio):
        audio, name = sound, "the audio"
    elif isinstance(sound, tuple):
        audio, name = _from_array(*sound), "the audio"
    else:
        audio, name = Audio.read(sound), str(Path(sound))
    if audio.channels > MOST_CHANNELS:
        raise UserError(f"{name} has {audio.channels} channels; mix it down to mono or stereo first")
    if audio.sample_rate_hz < LOWEST_RATE_HZ:
        raise UserError(
            f"{name} has a rate of {audio.sample_rate_hz} Hz; give {LOWEST_RATE_HZ} Hz or more, as 44100"
        )
    if audio.duration_s < LEAST_S:
        raise UserError(f"{name} lasts {audio.duration_s:.3g} s; give at least {LEAST_S} s of sound")
    _remark(audio, name)
    return audio


def _from_array(samples: Any, sample_rate_hz: int) -> Audio:
    array = np.asarray(samples)
    return Audio(array[None] if array.ndim == 1 else array, sample_rate_hz)


def _remark(audio: Audio, name: str) -> None:
    """Say what the model will stumble over."""
    peak = float(np.abs(audio.samples).max())
    if peak == 0:
        log.warning("%s is silent: there is nothing that new sound could follow", name)
        return
    if audio.sample_rate_hz < DULL_RATE_HZ:
        log.warning(
            "%s has %d Hz, so nothing above %d Hz: the model knows brighter sound and may be thrown off",
            name,
            audio.sample_rate_hz,
            audio.sample_rate_hz // 2,
        )
    flat = np.abs(audio.samples) >= max(0.999, 0.9999 * peak)
    runs = np.ones_like(flat[:, CLIPPED_RUN - 1 :])
    for offset in range(CLIPPED_RUN):
        runs &= flat[:, offset : flat.shape[1] - CLIPPED_RUN + 1 + offset]
    if runs.any():
        log.warning("%s is clipped, in %d places: what is made sounds like it", name, np.count_nonzero(runs))


def checked_length(duration_s: float, what: str, *, least_s: float = LEAST_S) -> float:
    """A length in seconds.

    Raises:
        UserError: If it is no number, or too short.
    """
    if not math.isfinite(duration_s) or duration_s < least_s:
        raise UserError(f"{what} of {duration_s} s; give {least_s:g} s or more")
    return float(duration_s)


def checked_strength(strength: float) -> float:
    """How much is made anew, 0 to 1.

    Raises:
        UserError: If it lies outside.
    """
    if not 0 <= strength <= 1:
        raise UserError(f"a strength of {strength}: 0 to 1 is allowed, 0.2 to 0.7 is useful")
    return float(strength)


def checked_ratios(ratios: Sequence[float]) -> list[float]:
    """Places between two sounds, 0 to 1.

    Raises:
        UserError: If one lies outside, or there is none.
    """
    if not ratios:
        raise UserError("no ratio is given; give one or more from 0, the first sound, to 1, the second")
    for ratio in ratios:
        if not 0 <= ratio <= 1:
            raise UserError(f"a ratio of {ratio}: 0, the first sound, to 1, the second, are allowed")
    return [float(ratio) for ratio in ratios]


def available_bytes() -> float:
    """Memory that is free for use; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024.0 * int(found[0]) if found else math.inf


def check_memory(seconds: float, sample_rate_hz: int, *, channels: int, copies: int, advice: str) -> None:
    """Refuse what cannot be held.

    Args:
        seconds: Length of the result.
        sample_rate_hz: Its rate.
        channels: Its channels.
        copies: How often it is held at the same time.
        advice: What to do instead.

    Raises:
        UserError: If there is not so much memory.
    """
    needed = 4.0 * copies * channels * sample_rate_hz * seconds
    free = available_bytes()
    if needed > MEMORY_SHARE * free:
        raise UserError(
            f"{seconds:g} s of audio take {needed / 2**30:.1f} GiB of memory and {free / 2**30:.1f} GiB are free; "
            f"{advice}"
        )
