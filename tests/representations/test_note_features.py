from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import grid_sequences, score_of, sequence_of

from ondes.representations.bar_table import BarTable
from ondes.representations.note_features import FEATURES, FeatureStatistics, from_features, to_features
from ondes.representations.note_sequence import DRUMS, NoteSequence, to_note_sequence

STATISTICS = FeatureStatistics(mean=(62.0, 2.3, 0.9, 70.0), deviation=(11.0, 0.8, 1.2, 20.0))
COLUMNS = ("bar", "position", "offset", "pitch", "duration_steps", "velocity", "instrument", "part_number")


def assert_same(one: NoteSequence, two: NoteSequence) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


@settings(max_examples=30)
@given(grid_sequences())
def test_notes_on_the_grid_come_back_from_their_features(sequence: NoteSequence) -> None:
    assert_same(from_features(to_features(sequence, STATISTICS), STATISTICS, sequence.bars), sequence)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 9000), st.integers(1, 900), st.integers(0, 127), st.integers(1, 127)),
        min_size=1,
        max_size=12,
    )
)
def test_unquantised_notes_come_back_too(notes: list[tuple[int, int, int, int]]) -> None:
    sequence = to_note_sequence(score_of(notes), quantise=False)
    again = from_features(to_features(sequence, STATISTICS), STATISTICS, sequence.bars, quantise=False)
    known = sequence.velocity > 0
    np.testing.assert_array_equal(again.velocity[known], sequence.velocity[known])
    np.testing.assert_allclose(again.onset_quarters, sequence.onset_quarters, atol=1e-9)
    np.testing.assert_allclose(again.duration_steps, sequence.duration_steps, atol=1e-9)
    assert again.pitch.tolist() == sequence.pitch.tolist()


def test_the_columns_are_what_they_are_called() -> None:
    rows = [(0, 3, 62, 1, 70, 5, 0), (0, 10, 73, 24, 90, DRUMS, 3)]
    features = to_features(sequence_of(rows, BarTable.constant(1)), STATISTICS)
    assert features.shape == (2, len(FEATURES))
    expected = [0, -2.3 / 0.8, (np.log(4) - 0.9) / 1.2, 0, *[-1] * 5, 1, -1, 1, -1, -1]
    np.testing.assert_allclose(features[0], expected, rtol=1e-6, atol=1e-7)
    expected = [1, (np.log(24) - 2.3) / 0.8, (np.log(8) - 0.9) / 1.2, 1, 1, *[-1] * 7, 1, 1]
    np.testing.assert_allclose(features[1], expected, rtol=1e-6)


def test_unknown_velocities_are_the_mean_and_do_not_count() -> None:
    bars = BarTable.constant(1)
    known = sequence_of([(0, 0, 60, 6, 40, 0, 0), (0, 6, 64, 12, 60, 0, 0)], bars)
    flat = sequence_of([(0, 0, 62, 24, 0, 0, 0), (0, 24, 62, 6, 0, 0, 0)], bars)
    statistics = FeatureStatistics.fit([known, flat])
    assert statistics.mean[0] == 62
    assert (statistics.mean[3], statistics.deviation[3]) == (50, 10)
    np.testing.assert_allclose(statistics.deviation[0], np.sqrt(2))
    np.testing.assert_allclose(statistics.mean[2], np.log([1, 7, 1, 25]).mean())
    assert to_features(flat, statistics)[:, 3].tolist() == [0, 0]
    features = np.concatenate([to_features(known, statistics), to_features(flat, statistics)])
    np.testing.assert_allclose(features[:, :3].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(features[:, :3].std(axis=0), 1, atol=1e-6)


def test_noise_below_half_a_digit_changes_no_instrument() -> None:
    rows = [(0, step, 60, 6, 64, instrument, step % 4) for step, instrument in enumerate([0, 40, 127, DRUMS])]
    sequence = sequence_of(rows, BarTable.constant(1))
    noise = np.random.default_rng(0).uniform(-0.99, 0.99, (4, 10)).astype(np.float32)
    features = to_features(sequence, STATISTICS)
    features[:, 4:] += noise
    assert from_features(features, STATISTICS, sequence.bars).part_number.tolist() == [0, 1, 2, 3]
    # Drums and their neighbours 129 to 255 have digits in common, but those numbers are no instruments.
    features[3, 4:12] = [1, -1, -1, -1, -1, -1, 0.2, 0.1]
    assert from_features(features, STATISTICS, sequence.bars).instrument.tolist() == [0, 40, 127, DRUMS]


def test_wild_features_are_notes_within_range() -> None:
    features = np.random.default_rng(0).normal(0, 30, (50, len(FEATURES))).astype(np.float32)
    sequence = from_features(features, STATISTICS, BarTable.constant(1))
    assert (sequence.pitch >= 0).all()
    assert (sequence.pitch <= 127).all()
    assert (sequence.duration_steps >= 1).all()
    assert (sequence.duration_steps <= 96 * 64).all()
    assert sequence.bar.max() < len(sequence.bars)


def test_features_that_are_not_finite_are_refused() -> None:
    features = np.full((1, len(FEATURES)), np.nan, np.float32)
    with pytest.raises(ValueError, match="not finite"):
        from_features(features, STATISTICS, BarTable.constant(1))


def test_statistics_survive_their_config_and_bad_ones_are_refused() -> None:
    assert FeatureStatistics.from_config(STATISTICS.to_config()) == STATISTICS
    with pytest.raises(ValueError, match="mean and deviation of pitch"):
        FeatureStatistics.from_config({"mean": [0, 0, 0, 0], "deviation": [1, 1, 1, 0]})
    with pytest.raises(ValueError, match="no notes"):
        FeatureStatistics.fit([])
