"""Levels that meet at a border: what is made begins as loud, band by band, as what is kept beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Float32, Float64

FRAME_S = 0.0232
"""A frame lasts so long, to the nearest power of two of samples; the next begins after a quarter of it."""

BANDS = 8
"""Of 2.8 kHz at 44.1 kHz: the mean level of fewer bins in one frame of noise says little."""

HEARD_FRAMES = 4
"""Frames next to the border of which the level is that of what is kept."""

NEAR_FRAMES = 6
"""Frames from the border on that get the level that is wanted there, 35 ms."""

FADING_FRAMES = 18
"""Frames after those in which levels that have been brought to those kept become what they were, 105 ms."""

SETTLED_FRAMES = 12
"""Frames after the near ones of which the level is that of what is made, 70 ms."""

MOST_GAIN = 1.0
"""Nepers."""

ROUNDS = 2
"""A frame that reaches over the border can be changed on one side only, so levels are looked at twice."""

FLOOR = 1e-4


def frame_samples(sample_rate_hz: int) -> int:
    """Samples of a frame: 1024 at 44.1 and 48 kHz."""
    return max(4 * BANDS, 2 ** round(np.log2(FRAME_S * sample_rate_hz)))


def reach_samples(frame: int) -> int:
    """How far from a border sound may be changed."""
    return frame // 4 * (NEAR_FRAMES + FADING_FRAMES) + frame


def heard_samples(frame: int) -> int:
    """How much of what is kept has a part in it."""
    return frame + frame // 4 * (HEARD_FRAMES - 1)


def level_region(
    blocks: Iterable[Float32[np.ndarray, "channels _"]],
    length: int,
    *,
    before: Float32[np.ndarray, "channels fore"],
    after: Float32[np.ndarray, "channels aft"],
    frame: int,
) -> Iterator[Float32[np.ndarray, "channels _"]]:
    """A region's new sound, its ends levelled to what is kept on either side; see `levelled`.

    Args:
        blocks: The new sound as it arrives, `length` samples in all.
        length: Of the region.
        before: What ends where the region begins; empty where there is nothing.
        after: What begins where it ends; the same.
        frame: See `frame_samples`.

    Yields:
        The samples of the region, in blocks of any length.
    """
    span = min(length // 2, reach_samples(frame))
    waiting = np.zeros((len(before), 0), np.float32)
    done = 0
    for block in blocks:
        waiting = np.concatenate([waiting, block], axis=1)
        if not done and waiting.shape[1] >= span:
            yield levelled(before, waiting[:, :span], onward=True, frame=frame)
            done, waiting = span, waiting[:, span:]
        ready = waiting.shape[1] - span
        if done and ready > 0:
            yield waiting[:, :ready]
            done, waiting = done + ready, waiting[:, ready:]
    middle = length - span - done if done else 0
    yield waiting[:, :middle]
    rest = waiting[:, middle:]
    yield levelled(after[:, ::-1], rest[:, ::-1], onward=False, frame=frame)[:, ::-1]


def levelled(
    kept: Float[np.ndarray, "channels before"],
    made: Float[np.ndarray, "channels time"],
    *,
    onward: bool,
    frame: int,
) -> Float32[np.ndarray, "channels time"]:
    """What is made beside a sound, its bands beginning at the level at which those of the sound end.

    Vocoders are softer than what they were given, most so in the treble, sounds that overlap without being alike lose
    power where they do, and either makes a step of level in hundreds of bins at once, which is heard as a border. The
    gains are smooth in time and frequency, the same for all channels, and gone after `reach_samples`. Sounds may
    become softer soon, as they do when they die away, and louder only slowly.

    Args:
        kept: The sound at the border; where it is too short to have a level nothing is done.
        made: What follows it.
        onward: Whether time runs from the one to the other; to level what comes before a sound, reverse both.
        frame: See `frame_samples`.
    """
    heard, count = heard_samples(frame), min(made.shape[1], reach_samples(frame))
    if kept.shape[1] < heard or count < frame:
        return made.astype(np.float32)
    sound = np.concatenate([kept[:, -heard:], made[:, :count]], axis=1).astype(np.float64)
    rise = np.clip((np.arange(count) + 0.5) / (frame // 16), 0, 1)
    goal = _goal(_band_levels(_spectra(sound, frame)), onward=onward)
    for _ in range(ROUNDS):
        sound[:, heard:] += rise * _correction(sound, goal, frame)[:, heard:]
    return np.concatenate([sound[:, heard:], made[:, count:]], axis=1).astype(np.float32)


def _goal(
    levels: Float64[np.ndarray, "frames bands"], *, onward: bool
) -> Float64[np.ndarray, "frames bands"]:
    """Levels that go from those of the sound that is kept to those of what is made, and on as they are."""
    first = min(HEARD_FRAMES + NEAR_FRAMES, len(levels) - 1)
    own = levels[first : first + SETTLED_FRAMES].mean(0)
    step = np.clip(levels[:HEARD_FRAMES].mean(0) - own, -MOST_GAIN, MOST_GAIN)
    away = np.arange(len(levels))[:, None] - HEARD_FRAMES + 1
    softer = step > 0 if onward else step < 0
    left = np.where(softer, _faded(away, NEAR_FRAMES), _faded(away - NEAR_FRAMES, FADING_FRAMES))
    near = _faded(away - NEAR_FRAMES, NEAR_FRAMES)
    return levels + near * (own - levels) + left * step


def _faded(away: np.ndarray, over: int) -> np.ndarray:
    """From 1 to 0 within so many frames."""
    return (1 + np.cos(np.pi * np.clip(away / over, 0, 1))) / 2


def _window(frame: int) -> Float64[np.ndarray, " time"]:
    return np.hanning(frame + 1)[:-1]


def _spectra(sound: np.ndarray, frame: int) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(sound, frame, axis=1)[:, :: frame // 4]
    return np.fft.rfft(frames * _window(frame))


def _correction(
    sound: Float64[np.ndarray, "channels time"], goal: Float64[np.ndarray, "frames bands"], frame: int
) -> Float64[np.ndarray, "channels time"]:
    """What is to be added to sound whose first `HEARD_FRAMES` frames are kept; windows add up to 2."""
    spectra = _spectra(sound, frame)
    gains = np.clip(goal - _band_levels(spectra), -MOST_GAIN, MOST_GAIN)
    gains[:HEARD_FRAMES] = 0
    changes = np.fft.irfft(spectra * np.expm1(_by_bin(gains, spectra.shape[-1])), frame) / 2
    out = np.zeros_like(sound)
    for index in range(changes.shape[1]):
        start = index * (frame // 4)
        out[:, start : start + frame] += changes[:, index]
    return out


def _band_levels(spectra: np.ndarray) -> Float64[np.ndarray, "frames bands"]:
    """Mean ln magnitude of the bins of each band, over all channels."""
    level = np.log(np.abs(spectra) + FLOOR).mean(0)[:, :-1]
    return level.reshape(len(level), BANDS, -1).mean(2)


def _by_bin(gains: Float64[np.ndarray, "frames bands"], bins: int) -> Float64[np.ndarray, "frames bins"]:
    """Gains of bins, linear between the middles of bands."""
    middles = (np.arange(BANDS) + 0.5) * (bins - 1) / BANDS
    return np.stack([np.interp(np.arange(bins), middles, row) for row in gains])
