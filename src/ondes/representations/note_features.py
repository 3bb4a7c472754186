"""Notes as continuous features, for diffusion with Gaussian noise: the alternative to `note_tokens`.

Pitch, logarithm of length, logarithm of the step from note to note and velocity, scaled to mean 0 and deviation 1, and
instrument and part number in binary digits of -1 and 1, the analog bits of Chen et al. (2023), arXiv 2208.04202.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ondes.representations.bar_table import STEPS_PER_QUARTER, BarTable
from ondes.representations.note_sequence import (
    DRUMS,
    FINE_PER_STEP,
    PARTS,
    PLAIN_VELOCITY,
    NoteSequence,
    placed,
    quantised,
)

SCALED = ("pitch", "log_duration", "log_delta", "velocity")
"""The features that are scaled; the digits follow."""
INSTRUMENT_BITS, PART_BITS = 8, 2
FEATURES = (
    *SCALED,
    *(f"instrument_{bit}" for bit in range(INSTRUMENT_BITS)),
    *(f"part_{bit}" for bit in range(PART_BITS)),
)
"""Columns of the features; digits from the highest."""

LEAST_DELTA_STEPS = -1 + 1 / FINE_PER_STEP
"""Between unquantised notes of one position."""
LONGEST_STEPS = 96 * 64
"""Nothing is decoded to be longer or further apart than 64 bars of 4/4."""


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and deviation of the features that are scaled, in the order of `SCALED`; saved with a model."""

    mean: tuple[float, ...] = (0.0,) * len(SCALED)
    deviation: tuple[float, ...] = (1.0,) * len(SCALED)

    @classmethod
    def fit(cls, sequences: Iterable[NoteSequence]) -> FeatureStatistics:
        """Of all notes together; of velocities only those that are known.

        Deviations of features that do not vary are 1.

        Raises:
            ValueError: If there are no notes.
        """
        count, total, squares = np.zeros((3, len(SCALED)))
        for sequence in sequences:
            values = _plain(sequence)
            known = np.ones(values.shape, bool)
            known[:, SCALED.index("velocity")] = sequence.velocity > 0
            count += known.sum(axis=0)
            total += (values * known).sum(axis=0)
            squares += (values**2 * known).sum(axis=0)
        if not count[0]:
            raise ValueError("features of no notes have no mean; give sequences with notes")
        count = np.maximum(count, 1)
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        return cls(tuple(mean.tolist()), tuple(np.where(deviation > 1e-6, deviation, 1.0).tolist()))

    def to_config(self) -> dict[str, Any]:
        """The numbers as JSON keeps them."""
        return {"mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FeatureStatistics:
        """The inverse of `to_config`.

        Raises:
            ValueError: If there are too few numbers, they are not finite, or a deviation is not positive.
        """
        mean, deviation = (
            tuple(float(value) for value in config.get(name, ())) for name in ("mean", "deviation")
        )
        sizes = {len(mean), len(deviation)}
        if sizes != {len(SCALED)} or not np.isfinite([*mean, *deviation]).all() or min(deviation) <= 0:
            raise ValueError(f"statistics {dict(config)}; give mean and deviation of {', '.join(SCALED)}")
        return cls(mean, deviation)


def to_features(sequence: NoteSequence, statistics: FeatureStatistics) -> Float32[np.ndarray, "notes 14"]:
    """The features of sorted notes; the first is counted from the first bar, unknown velocities are the mean."""
    values = (_plain(sequence) - statistics.mean) / statistics.deviation
    values[:, SCALED.index("velocity")] *= sequence.velocity > 0
    columns = [
        values,
        _digits(sequence.instrument, INSTRUMENT_BITS),
        _digits(sequence.part_number, PART_BITS),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def from_features(
    features: Float32[np.ndarray, "notes 14"],
    statistics: FeatureStatistics,
    bars: BarTable,
    *,
    first_bar: int = 0,
    quantise: bool = True,
) -> NoteSequence:
    """The notes nearest to features, sorted.

    The inverse of `to_features` where bars begin on the grid and velocities are known.

    Args:
        features: Finite numbers.
        statistics: Those of `to_features`.
        bars: The bars of the piece; the last is repeated where they are too few.
        first_bar: From whose beginning the first note counts.
        quantise: Round steps from note to note and lengths to the grid; otherwise to twentieths of it.

    Raises:
        ValueError: If a feature is not finite.
    """
    if not np.isfinite(features).all():
        raise ValueError("features that are not finite are no notes; draw them again")
    count = len(features)
    plain = features[:, : len(SCALED)].astype(np.float64) * statistics.deviation + statistics.mean
    pitch, log_duration, log_delta, velocity = plain.T
    grain = 1 if quantise else FINE_PER_STEP
    limit = np.log(LONGEST_STEPS)
    delta = np.round(np.expm1(np.minimum(log_delta, limit)) * grain) / grain
    delta = np.maximum(delta, 0 if quantise else LEAST_DELTA_STEPS)
    bars = bars.extended(first_bar + 1)
    onset = bars.start_quarters[first_bar] + np.cumsum(delta) / STEPS_PER_QUARTER
    onset = np.maximum(onset, 0)
    bars = bars.reaching(float(onset.max(initial=0)))
    bar, position, offset = placed(bars, onset)
    none = np.full(count, -1, np.int64)
    sequence = NoteSequence(
        bar=bar,
        position=position,
        offset=offset,
        pitch=_within(pitch, 0, 127),
        duration_steps=np.maximum(np.round(np.exp(np.minimum(log_duration, limit)) * grain), 1) / grain,
        velocity=_within(velocity, 1, 127),
        instrument=_from_digits(features[:, len(SCALED) :][:, :INSTRUMENT_BITS], DRUMS + 1),
        part_number=_from_digits(features[:, -PART_BITS:], PARTS),
        track=none,
        index=none,
        bars=bars,
    ).sorted()
    return quantised(sequence) if quantise else sequence


def _plain(sequence: NoteSequence) -> Float64[np.ndarray, "notes 4"]:
    """Pitch, log length, log of 1 + steps since the note before, and velocity, before scaling."""
    start = sequence.bars.start_quarters[0] if len(sequence.bars) else 0.0
    delta = np.diff(sequence.onset_quarters * STEPS_PER_QUARTER, prepend=start * STEPS_PER_QUARTER)
    velocity = np.where(sequence.velocity > 0, sequence.velocity, PLAIN_VELOCITY)
    log_delta = np.log1p(np.maximum(delta, LEAST_DELTA_STEPS))
    return np.stack([sequence.pitch, np.log(sequence.duration_steps), log_delta, velocity], axis=1)


def _within(values: Float64[np.ndarray, " notes"], low: int, high: int) -> Int64[np.ndarray, " notes"]:
    return np.clip(np.round(values), low, high).astype(np.int64)


def _digits(values: Int64[np.ndarray, " notes"], bits: int) -> Float64[np.ndarray, "notes {bits}"]:
    """Binary digits from the highest, -1 for 0."""
    return 2.0 * (values[:, None] >> np.arange(bits)[::-1] & 1) - 1


def _from_digits(digits: Float32[np.ndarray, "notes bits"], count: int) -> Int64[np.ndarray, " notes"]:
    """The number from 0 to count - 1 whose digits are nearest."""
    numbers = _digits(np.arange(count), digits.shape[1])
    return np.argmax(digits @ numbers.T.astype(np.float32), axis=1)
