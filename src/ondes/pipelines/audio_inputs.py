"""What audio pipelines are given: sounds from anywhere, looked at before any work."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.sound_files import BLOCK_SAMPLES, AudioReader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SoundSource:
    """A sound that is read from its beginning in blocks, as often as wanted; a file is never in memory as a whole.

    Attributes:
        name: What people call it.
        sample_rate_hz: Its rate.
        channels: One or two.
        samples: In each channel.
        blocks: Reads it: all of its samples, in order.
    """

    name: str
    sample_rate_hz: int
    channels: int
    samples: int
    blocks: Callable[[], Iterator[Float32[np.ndarray, "channels _"]]]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate_hz

    def audio(self) -> Audio:
        """All of it at once."""
        return Audio(np.concatenate(list(self.blocks()), axis=1), self.sample_rate_hz)


Sound = str | os.PathLike[str] | Audio | tuple[Any, int] | SoundSource
"""A file, audio, an array of samples (channels, time) or (time,) and its rate in Hz, or a sound that was opened."""

LEAST_S = 0.05
"""Less sound than this says nothing."""

LOWEST_RATE_HZ = 1000
DULL_RATE_HZ = 32_000
CLIPPED_RUN = 4
"""So many samples in a row at full scale are no chance."""

MOST_CHANNELS = 2
MEMORY_SHARE = 0.9


def open_sound(sound: Sound) -> SoundSource:
    """A sound that can be edited, of which all has been looked at once; what is odd about it goes to the log.

    Raises:
        UserError: If it is no audio, too short, at a rate of telephones of old, has more than two channels, or NaN.
    """
    if isinstance(sound, SoundSource):
        return sound
    if isinstance(sound, Audio | tuple):
        audio = sound if isinstance(sound, Audio) else _from_array(*sound)
        rows, rate_hz = audio.samples, audio.sample_rate_hz
        source = SoundSource("the audio", rate_hz, len(rows), rows.shape[1], lambda: blocks_of(rows))
    else:
        file = AudioReader(sound)
        source = SoundSource(str(file.path), file.sample_rate_hz, file.channels, file.samples, file.blocks)
    _check_kind(source)
    survey = Survey()
    for block in source.blocks():
        survey.add(block)
    # A header may promise more than the file holds.
    source = replace(source, samples=survey.samples)
    if source.duration_s < LEAST_S:
        raise UserError(f"{source.name} lasts {source.duration_s:.3g} s; give at least {LEAST_S} s of sound")
    _remark(source, survey)
    return source


def _check_kind(source: SoundSource) -> None:
    if source.channels > MOST_CHANNELS:
        raise UserError(f"{source.name} has {source.channels} channels; mix it down to mono or stereo first")
    if source.sample_rate_hz < LOWEST_RATE_HZ:
        raise UserError(
            f"{source.name} has a rate of {source.sample_rate_hz} Hz; give {LOWEST_RATE_HZ} Hz or more, as 44100"
        )


def take_sound(sound: Sound) -> Audio:
    """A sound that can be edited, in memory; see `open_sound`."""
    source = open_sound(sound)
    return sound if isinstance(sound, Audio) else source.audio()


def blocks_of(samples: Float32[np.ndarray, "channels time"]) -> Iterator[Float32[np.ndarray, "channels _"]]:
    """A sound in blocks."""
    for start in range(0, samples.shape[1], BLOCK_SAMPLES):
        yield samples[:, start : start + BLOCK_SAMPLES]


def _from_array(samples: Any, sample_rate_hz: int) -> Audio:
    array = np.asarray(samples)
    return Audio(array[None] if array.ndim == 1 else array, sample_rate_hz)


class Survey:
    """What is learnt of a sound by reading it once.

    Attributes:
        samples: In each channel.
        peak: Largest magnitude.
        clipped: Places at which it stays at full scale, or at its own peak above that.
    """

    def __init__(self) -> None:
        self.samples, self.peak, self.clipped = 0, 0.0, 0
        self._before: np.ndarray | None = None

    def add(self, block: Float32[np.ndarray, "channels _"]) -> None:
        """The next samples."""
        self.samples += block.shape[1]
        loud = np.abs(block)
        peak = float(loud.max(initial=0.0))
        if 0.9999 * peak > max(self.peak, 0.999):
            # What stood at the peak so far does not stand at this one.
            self.clipped = 0
        self.peak = max(self.peak, peak)
        if self._before is not None:
            loud = np.concatenate([self._before, loud], axis=1)
        flat = loud >= max(0.999, 0.9999 * self.peak)
        if flat.any() and flat.shape[1] >= CLIPPED_RUN:
            runs = np.lib.stride_tricks.sliding_window_view(flat, CLIPPED_RUN, axis=1).all(axis=2)
            self.clipped += int(np.count_nonzero(runs))
        self._before = loud[:, -(CLIPPED_RUN - 1) :]


def _remark(source: SoundSource, survey: Survey) -> None:
    """Say what the model will stumble over."""
    if survey.peak == 0:
        log.warning("%s is silent: there is nothing that new sound could follow", source.name)
        return
    if source.sample_rate_hz < DULL_RATE_HZ:
        log.warning(
            "%s has %d Hz, so nothing above %d Hz: the model knows brighter sound and may be thrown off",
            source.name,
            source.sample_rate_hz,
            source.sample_rate_hz // 2,
        )
    if survey.clipped:
        log.warning("%s is clipped, in %d places: what is made sounds like it", source.name, survey.clipped)


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
    return [checked_ratio(ratio) for ratio in ratios]


def checked_ratio(ratio: float) -> float:
    """A place between two sounds, 0 to 1.

    Raises:
        UserError: If it lies outside.
    """
    if not 0 <= ratio <= 1:
        raise UserError(f"a ratio of {ratio}: 0, the first sound, to 1, the second, are allowed")
    return float(ratio)


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
