"""What an encoding of pitch costs: how often the noise that a sampler leaves changes a note."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from ondes.representations.triples import TripleStatistics, decode_pitch, encode_pitch

FIRST_BETA = 1e-4
"""Variance of the noise in the lowest level of the published schedule."""


def noise_deviation(kept: float = 1 - FIRST_BETA) -> float:
    """Standard deviation of the noise in an estimate of the data, sqrt((1 - kept) / kept).

    Args:
        kept: Share of the data's variance in an example: the cumulative alpha of its noise level.
    """
    return math.sqrt((1 - kept) / kept)


def exact_decode_rate(
    pitch: Float64[np.ndarray, " notes"], statistics: TripleStatistics, deviation: float
) -> float:
    """Share of notes that are still the nearest after normal noise, in closed form.

    A note is kept while the noise stays between the middles to its neighbours in the encoding; the lowest and the
    highest have one neighbour.

    Args:
        pitch: Note numbers.
        statistics: Encoding and scaling.
        deviation: Of the noise, on the scale that the network sees.
    """
    table = encode_pitch(np.arange(128.0), statistics.pitch_encoding) / statistics.scale[0]
    half = np.diff(table) / 2
    below, above = np.append(np.inf, half), np.append(half, np.inf)
    kept = np.array(
        [
            _normal(high / deviation) - _normal(-low / deviation)
            for low, high in zip(below, above, strict=True)
        ]
    )
    return float(kept[pitch.astype(np.int64)].mean())


def measured_decode_rate(
    pitch: Float64[np.ndarray, " notes"], statistics: TripleStatistics, deviation: float, *, seed: int = 0
) -> tuple[float, float]:
    """The same rate by drawing the noise once a note, and the mean distance in semitones."""
    noise = np.random.default_rng(seed).normal(0.0, deviation * statistics.scale[0], len(pitch))
    encoded = encode_pitch(pitch, statistics.pitch_encoding) + noise
    found = decode_pitch(encoded, statistics.pitch_encoding)
    return float((found == pitch).mean()), float(np.abs(found - pitch).mean())


def _normal(value: float) -> float:
    """The normal distribution function."""
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))
