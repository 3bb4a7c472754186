"""The closed form of what noise does to notes, against the draw and the figures of the published encodings."""

from __future__ import annotations

import numpy as np
import pytest

from ondes.evaluation.pitch_decoding import exact_decode_rate, measured_decode_rate, noise_deviation
from ondes.representations.triples import TripleStatistics, encode_pitch


def whole_range(encoding: str) -> TripleStatistics:
    low, high = encode_pitch(np.array([0.0, 127.0]), encoding)
    return TripleStatistics(encoding, "minmax", (float(low), 0.0, 0.0), (float(high), 1.0, 1.0))


def test_the_lowest_noise_of_the_linear_schedule_is_a_hundredth() -> None:
    assert noise_deviation() == pytest.approx(0.010, abs=1e-6)
    assert noise_deviation(0.5) == 1


@pytest.mark.parametrize("encoding", ["log_hz", "midi"])
def test_note_numbers_from_0_to_1_keep_three_notes_in_ten(encoding: str) -> None:
    # 2 Phi(1 / 254 / 0.010) - 1, whatever the notes.
    pitch = np.random.default_rng(0).integers(21, 109, 1000).astype(np.float64)
    rate = exact_decode_rate(pitch, whole_range(encoding), noise_deviation())
    assert rate == pytest.approx(0.306, abs=5e-4)


def test_frequencies_from_0_to_1_lose_middle_c_and_keep_the_highest() -> None:
    statistics, deviation = whole_range("hz"), noise_deviation()
    # A semitone at middle C is 0.00124, an eighth of the noise.
    assert exact_decode_rate(np.array([60.0]), statistics, deviation) == pytest.approx(0.048, abs=1e-3)
    assert exact_decode_rate(np.array([127.0]), statistics, deviation) > 0.99
    _, far = measured_decode_rate(np.full(20_000, 60.0), statistics, deviation)
    assert far == pytest.approx(8.5, abs=1.5)  # 8.1 semitones a standard deviation


def test_note_numbers_of_unit_variance_are_never_lost() -> None:
    pitch = np.random.default_rng(1).normal(66, 12, 5000).round()
    triples = np.stack([pitch, np.ones(5000), np.arange(5000.0)], 1)
    statistics = TripleStatistics.fit(triples, pitch_encoding="midi", scaling="zscore")
    assert exact_decode_rate(pitch, statistics, noise_deviation()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("encoding", ["hz", "log_hz", "midi"])
@pytest.mark.parametrize("scaling", ["minmax", "zscore"])
def test_the_closed_form_is_what_is_measured(encoding: str, scaling: str) -> None:
    pitch = np.concatenate([np.random.default_rng(2).integers(28, 97, 40_000), [0, 127]]).astype(np.float64)
    triples = np.stack([pitch, np.ones(len(pitch)), np.arange(float(len(pitch)))], 1)
    statistics = TripleStatistics.fit(triples, pitch_encoding=encoding, scaling=scaling)
    for deviation in (0.003, 0.02):
        expected = exact_decode_rate(pitch, statistics, deviation)
        found, _ = measured_decode_rate(pitch, statistics, deviation)
        assert found == pytest.approx(
            expected, abs=4 * np.sqrt(expected * (1 - expected) / len(pitch)) + 1e-4
        )
