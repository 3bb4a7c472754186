"""Notes of one keyboard track as triples of pitch, duration and delta: what Diffusion-Music-Composer learns from.

A triple is (MIDI pitch, duration, delta): both times in quarter notes, the delta counted from the onset before (of the
first note: from the beginning of the track). A network sees them scaled, the pitch in one of three encodings:

* "hz": the frequency, of equal temperament at A4 = 440 Hz, as published;
* "log_hz": the logarithm of that frequency to base 10;
* "midi": the note number, which is the same up to scale and offset.

Velocity, pedal, tempo and metre are lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from ondes.errors import UserError, nearest

if TYPE_CHECKING:
    import symusic.core

FEATURES = ("pitch", "duration", "delta")
NOTES = 128
"""Notes in a segment."""

PITCH_ENCODINGS = ("hz", "log_hz", "midi")
SCALINGS = ("minmax", "zscore")

KEYBOARDS = frozenset(range(8)) | frozenset(range(16, 24))
"""General MIDI programs, from 0, that count as piano: pianos and organs."""

PUBLISHED_LONGEST_QUARTERS = 2048 / 960
"""The published limit of durations and deltas: 2048 ticks, with 960 taken for a quarter note in every file."""

TICKS_PER_QUARTER = 960
VELOCITY = 100
LEAST_SPREAD = 1e-6
"""Of a feature that never changes, so that nothing is divided by zero."""


@dataclass(frozen=True)
class TripleLimits:
    """What a track must be to be learnt from.

    Args:
        longest_duration_quarters: A track with a longer note is refused.
        longest_delta_quarters: A track with a longer time between onsets is refused.
        notes: Of a segment; a track with fewer is refused.
    """

    longest_duration_quarters: float = PUBLISHED_LONGEST_QUARTERS
    longest_delta_quarters: float = PUBLISHED_LONGEST_QUARTERS
    notes: int = NOTES

    def refusal(self, triples: Float64[np.ndarray, "notes 3"]) -> str | None:
        """Why a track is not learnt from, or None where it is."""
        if len(triples) < self.notes:
            return f"fewer than {self.notes} notes in the piano track"
        if triples[:, 1].max() > self.longest_duration_quarters:
            return f"a note longer than {self.longest_duration_quarters:.4g} quarter notes"
        if triples[:, 2].max() > self.longest_delta_quarters:
            return f"more than {self.longest_delta_quarters:.4g} quarter notes between onsets"
        return None


def choose_track(score: symusic.core.ScoreTick) -> int | None:
    """Index of the track that stands for a score: of pianos and organs the one with most messages.

    A track is what one program plays on one channel of a track of the file. Notes count twice, for their beginning and
    end; controllers and pitch bends count once; of equals the first is chosen. Drums are never a piano, whatever
    their program; a track without a program plays program 0, which is one.
    """
    messages = [
        2 * len(track.notes) + len(track.controls) + len(track.pitch_bends)
        if track.program in KEYBOARDS and not track.is_drum and len(track.notes)
        else 0
        for track in score.tracks
    ]
    best = int(np.argmax(messages)) if messages else 0
    return best if messages and messages[best] else None


def to_triples(score: symusic.core.ScoreTick, track: int) -> Float64[np.ndarray, "notes 3"]:
    """The notes of a track, by onset and pitch; a note that begins while its pitch sounds is left out.

    Args:
        score: A score in ticks; its own ticks a quarter note count.
        track: Index of the track.
    """
    notes = score.tracks[track].notes.numpy()
    order = np.lexsort((notes["duration"], notes["pitch"], notes["time"]))
    onset, duration, pitch = (notes[name][order].astype(np.int64) for name in ("time", "duration", "pitch"))
    kept = _not_restruck(onset, onset + duration, pitch)
    onset, duration, pitch = onset[kept], duration[kept], pitch[kept]
    quarters = score.ticks_per_quarter
    return np.stack([pitch, duration / quarters, np.diff(onset, prepend=0) / quarters], axis=1)


def _not_restruck(
    onset: Int64[np.ndarray, " notes"], end: Int64[np.ndarray, " notes"], pitch: Int64[np.ndarray, " notes"]
) -> Bool[np.ndarray, " notes"]:
    """Which notes do not begin before the end of the last kept one of their pitch."""
    order = np.argsort(pitch, kind="stable")
    same = pitch[order][1:] == pitch[order][:-1]
    kept = np.ones(len(onset), np.bool_)
    if not (same & (onset[order][1:] < end[order][:-1])).any():
        return kept  # by far the most frequent case
    free = np.zeros(128, np.int64)
    for index in range(len(onset)):
        kept[index] = onset[index] >= free[pitch[index]]
        if kept[index]:
            free[pitch[index]] = end[index]
    return kept


def from_triples(
    triples: Float64[np.ndarray, "notes 3"], *, quarters_per_minute: float = 60.0
) -> symusic.core.ScoreTick:
    """A score with one piano track, at 960 ticks a quarter note; times are rounded to ticks.

    Args:
        triples: MIDI pitch, duration and delta; a note is at least one tick long.
        quarters_per_minute: The tempo, 60 as published.
    """
    from symusic.core import NoteTickList, ScoreTick, TempoTick, TrackTick  # noqa: PLC0415

    score = ScoreTick(TICKS_PER_QUARTER)
    score.tempos.append(TempoTick(0, qpm=quarters_per_minute))
    onset = np.round(np.cumsum(np.maximum(triples[:, 2], 0)) * TICKS_PER_QUARTER).astype(np.int32)
    duration = np.maximum(np.round(triples[:, 1] * TICKS_PER_QUARTER), 1).astype(np.int32)
    pitch = np.clip(np.round(triples[:, 0]), 0, 127).astype(np.int8)
    track = TrackTick("Piano", 0, False)
    track.notes = NoteTickList.from_numpy(onset, duration, pitch, np.full(len(pitch), VELOCITY, np.int8))
    score.tracks.append(track)
    return score


def to_segments(
    triples: Float64[np.ndarray, "notes 3"], *, notes: int = NOTES
) -> Float64[np.ndarray, "segments {notes} 3"]:
    """Segments one after the other, without overlap; what is left at the end is dropped."""
    count = len(triples) // notes
    return triples[: count * notes].reshape(count, notes, 3)


def encode_pitch(pitch: Float64[np.ndarray, "*shape"], encoding: str) -> Float64[np.ndarray, "*shape"]:
    """Note numbers in an encoding; see `PITCH_ENCODINGS`."""
    check_encoding(encoding)
    if encoding == "midi":
        return pitch
    hertz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    return hertz if encoding == "hz" else np.log10(hertz)


def decode_pitch(values: Float64[np.ndarray, "*shape"], encoding: str) -> Float64[np.ndarray, "*shape"]:
    """The note numbers, 0 to 127, that are nearest to values in an encoding: in hertz, nearest in hertz."""
    table = encode_pitch(np.arange(128.0), encoding)
    return np.searchsorted((table[1:] + table[:-1]) / 2, values, side="right").astype(np.float64)


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that there is not.

    Raises:
        UserError: If it is none of `PITCH_ENCODINGS`.
    """
    if encoding not in PITCH_ENCODINGS:
        raise UserError(f"there is no pitch encoding {encoding!r}: {nearest(encoding, PITCH_ENCODINGS)}")


Three = tuple[float, float, float]


@dataclass(frozen=True)
class TripleStatistics:
    """How triples are scaled for a network; it is saved in the network's settings.

    Args:
        pitch_encoding: "hz", "log_hz" or "midi".
        scaling: "minmax" puts the range of each feature on 0 to 1, as published; "zscore" gives each mean 0 and
            variance 1.
        low: Least value of each feature in the data, the pitch as encoded.
        high: Largest value of each.
        mean: Of each; not used by "minmax".
        deviation: Standard deviation of each; not used by "minmax".

    Raises:
        UserError: If a word is not known or a range is empty.
    """

    pitch_encoding: str
    scaling: str
    low: Three
    high: Three
    mean: Three = (0.0, 0.0, 0.0)
    deviation: Three = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        check_encoding(self.pitch_encoding)
        if self.scaling not in SCALINGS:
            raise UserError(f"there is no scaling {self.scaling!r}: {nearest(self.scaling, SCALINGS)}")
        numbers = np.array([self.low, self.high, self.mean, self.deviation], np.float64)
        if not np.isfinite(numbers).all():
            raise UserError("the statistics of triples hold NaN or infinity; give finite numbers")
        for name, low, high, deviation in zip(FEATURES, self.low, self.high, self.deviation, strict=True):
            if low >= high or deviation <= 0:
                raise UserError(
                    f"the statistics of {name} say {low:g} to {high:g} with deviation {deviation:g}; "
                    "give a least value below the largest, and a deviation above 0"
                )

    @classmethod
    def fit(
        cls, triples: Float64[np.ndarray, "*shape 3"], *, pitch_encoding: str, scaling: str
    ) -> TripleStatistics:
        """The statistics of triples as `to_triples` gives them, in any number of segments.

        Raises:
            UserError: If there are none.
        """
        values = _encoded(triples, pitch_encoding).reshape(-1, 3)
        if not len(values):
            raise UserError("there are no notes to take statistics of; give other data or wider limits")
        low, deviation = values.min(0), np.maximum(values.std(0), LEAST_SPREAD)
        high = np.maximum(values.max(0), low + LEAST_SPREAD)
        return cls(
            pitch_encoding, scaling, _three(low), _three(high), _three(values.mean(0)), _three(deviation)
        )

    @property
    def offset(self) -> Float64[np.ndarray, " 3"]:
        """What becomes 0."""
        return np.array(self.low if self.scaling == "minmax" else self.mean)

    @property
    def scale(self) -> Float64[np.ndarray, " 3"]:
        """What becomes 1, counted from the offset."""
        if self.scaling == "minmax":
            return np.array(self.high) - np.array(self.low)
        return np.array(self.deviation)

    def to_config(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TripleStatistics:
        """The inverse of `to_config`.

        Raises:
            UserError: If a field is missing, unknown, or no list of three numbers.
        """
        fields = tuple(cls.__dataclass_fields__)
        for name in config:
            if name not in fields:
                raise UserError(f"statistics of triples have no field {name!r}: {nearest(name, fields)}")
        try:
            rows = {name: _three(config[name]) for name in fields[2:] if name in config}
            return cls(str(config["pitch_encoding"]), str(config["scaling"]), **rows)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the statistics of triples are incomplete ({type(error).__name__}: {error}); they need "
                "pitch_encoding, scaling, and three numbers each as low and high"
            ) from None


def _three(values: Any) -> Three:
    pitch, duration, delta = (float(value) for value in values)
    return pitch, duration, delta


def _encoded(triples: Float64[np.ndarray, "*shape 3"], encoding: str) -> Float64[np.ndarray, "*shape 3"]:
    """Triples whose pitch is encoded."""
    return np.concatenate([encode_pitch(triples[..., :1], encoding), triples[..., 1:]], axis=-1)


def to_scaled(
    triples: Float64[np.ndarray, "*shape 3"], statistics: TripleStatistics
) -> Float64[np.ndarray, "*shape 3"]:
    """Triples as a network sees them."""
    return (_encoded(triples, statistics.pitch_encoding) - statistics.offset) / statistics.scale


def from_scaled(
    scaled: Float[np.ndarray, "*shape 3"], statistics: TripleStatistics
) -> Float64[np.ndarray, "*shape 3"]:
    """The triples that a network means: each feature within the range of the data, the pitch a whole note number."""
    values = scaled.astype(np.float64) * statistics.scale + statistics.offset
    values = np.clip(values, statistics.low, statistics.high)
    pitch = decode_pitch(values[..., :1], statistics.pitch_encoding)
    return np.concatenate([pitch, np.maximum(values[..., 1:], 0.0)], axis=-1)
