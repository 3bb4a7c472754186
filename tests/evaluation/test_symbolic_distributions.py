"""Overlaps have their closed forms; music matches music, and what is no music does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as extra
from symbolic_notes import SCALE, folk, tune, windows_of

from ondes.evaluation.symbolic_controls import CONTROLS, noise, random_pitch, shuffled
from ondes.evaluation.symbolic_distributions import (
    LENGTHS_STEPS,
    distributions,
    duration_shares,
    inter_onset_shares,
    length_class,
    mean_difference,
    overlap,
    overlap_share,
)
from ondes.evaluation.symbolic_embedding import NAME, Encoder, describe, distance
from ondes.evaluation.symbolic_windows import NoteWindows, cut_windows, to_note_windows
from ondes.representations.note_sequence import BarTable, NoteSequence


@pytest.fixture(scope="module")
def held_out() -> NoteWindows:
    return folk(60, 1)


@pytest.fixture(scope="module")
def train() -> NoteWindows:
    return folk(80, 2)


histograms = extra.arrays(float, 6, elements=st.floats(0, 10)).filter(lambda counts: counts.sum() > 1e-3)


@settings(max_examples=40)
@given(histograms, histograms)
def test_the_overlap_is_one_less_half_the_distance_of_the_shares(one: np.ndarray, other: np.ndarray) -> None:
    total_variation = np.abs(one / one.sum() - other / other.sum()).sum() / 2
    assert overlap(one, other) == pytest.approx(1 - total_variation, abs=1e-12)
    assert overlap(one, 3 * one) == pytest.approx(1.0)


def test_an_empty_histogram_overlaps_with_nothing() -> None:
    assert np.isnan(overlap(np.zeros(3), np.ones(3)))


def test_each_length_is_its_own_class_and_others_go_to_the_nearest_by_ratio() -> None:
    assert length_class(np.array(LENGTHS_STEPS, float)).tolist() == list(range(len(LENGTHS_STEPS)))
    # Between 12 and 16 the border is their geometric mean, 13.86.
    twelve, sixteen = LENGTHS_STEPS.index(12), LENGTHS_STEPS.index(16)
    assert length_class(np.array([13.8, 13.9])).tolist() == [twelve, sixteen]
    assert length_class(np.array([0.05, 5000.0])).tolist() == [0, len(LENGTHS_STEPS) - 1]


def test_lengths_and_distances_by_hand() -> None:
    # A chord, then an eighth later a note, then a quarter later another; a second part far behind.
    rows = [[0, 0, 0, 24, 60], [0, 0, 0, 24, 64], [0, 0, 12, 24, 60], [0, 0, 36, 48, 60], [0, 9, 20, 6, 80]]
    windows = windows_of(rows)
    eighth, quarter, half = (LENGTHS_STEPS.index(steps) for steps in (12, 24, 48))
    distances = inter_onset_shares(windows)[0]
    assert distances[[eighth, quarter]].tolist() == [0.5, 0.5]
    durations = duration_shares(windows)[0]
    np.testing.assert_allclose(durations[[LENGTHS_STEPS.index(6), quarter, half]], [0.2, 0.6, 0.2])


def test_as_many_training_windows_have_a_share_of_one(held_out: NoteWindows, train: NoteWindows) -> None:
    for distribution in distributions(held_out, train):
        share = overlap_share(distribution, train, held_out=held_out, train=train, resamples=10)
        assert share.value == pytest.approx(1.0), distribution.name


def test_other_music_of_the_kind_passes_and_noise_fails_everywhere(
    held_out: NoteWindows, train: NoteWindows
) -> None:
    other, nothing = folk(40, 3), noise(held_out)
    for distribution in distributions(held_out, train):
        shares = [
            overlap_share(distribution, windows, held_out=held_out, train=train, resamples=100)
            for windows in (other, nothing)
        ]
        if distribution.name == "grid share":
            # Every onset is on the grid: one class.
            assert (shares[0].value, shares[1].value) == (1.0, 0.0)
            continue
        assert shares[0].value > 0.8, distribution.name
        assert shares[0].low <= shares[0].value <= shares[0].high + 0.1
        assert shares[1].value < 0.6, distribution.name


def test_the_difference_of_means_has_the_interval_of_its_sources(held_out: NoteWindows) -> None:
    values = np.arange(len(held_out), dtype=float)
    same = mean_difference(values, held_out, values, held_out, resamples=200)
    assert same.value == 0.0
    shifted = mean_difference(values + 5, held_out, np.where(values > 0, values, np.nan), held_out)
    assert shifted.value == pytest.approx(4.5)
    # Sources of two windows: the spread of a mean of 30 of them, twice.
    spread = np.sqrt(2 * np.var(values.reshape(-1, 2).mean(axis=1)) / 30)
    assert shifted.high == pytest.approx(4.5 + 1.96 * spread, rel=0.15)


def test_controls_keep_what_they_say(held_out: NoteWindows) -> None:
    redrawn = random_pitch(held_out, seed=4)
    assert (redrawn.onset_steps == held_out.onset_steps).all()
    assert (redrawn.pitch != held_out.pitch).mean() > 0.9
    mixed = shuffled(held_out)
    assert sorted(mixed.pitch) == sorted(held_out.pitch)
    assert sorted(mixed.duration_steps) == sorted(held_out.duration_steps)
    firsts = [np.flatnonzero(windows.window == 7)[0] for windows in (held_out, mixed)]
    assert mixed.onset_steps[firsts[1]] == held_out.onset_steps[firsts[0]] == 0
    for control in CONTROLS.values():
        assert control(held_out).counts().tolist() == held_out.counts().tolist()
        again = [control(held_out, seed=seed).pitch.tolist() for seed in (1, 1, 2)]
        assert again[0] == again[1] != again[2]


def test_shuffling_keeps_the_distances_of_notes(held_out: NoteWindows) -> None:
    def distances(windows: NoteWindows) -> np.ndarray:
        within = np.diff(windows.window) == 0
        return np.sort(np.diff(windows.onset_steps)[within])

    np.testing.assert_allclose(distances(shuffled(held_out)), distances(held_out), atol=1e-6)


def test_the_description_is_of_the_stated_length_and_the_same_in_every_key(held_out: NoteWindows) -> None:
    numbers = describe(held_out)
    assert NAME.startswith(f"{numbers.shape[1]} formulas")
    rows = tune(0, SCALE.tolist()) + tune(1, (SCALE + 5).tolist())
    low, high = describe(windows_of(rows))
    apart = np.flatnonzero(~np.isclose(low, high))
    # All but the mean pitch.
    assert len(apart) == 1
    assert high[apart[0]] - low[apart[0]] == pytest.approx(5.0)


def test_a_window_is_described_the_same_alone_and_among_others(held_out: NoteWindows) -> None:
    np.testing.assert_allclose(describe(held_out.select([9]))[0], describe(held_out)[9], atol=1e-9)


def test_the_distance_ranks_music_before_what_is_none(held_out: NoteWindows, train: NoteWindows) -> None:
    encode = Encoder(train)
    target = encode(held_out)
    music = distance(encode(folk(60, 3)), target)
    others = {name: distance(encode(control(held_out)), target) for name, control in CONTROLS.items()}
    assert distance(target, target) < 1e-4 * music  # roots of rounding errors, as the covariance is singular
    assert music < 0.1 * min(others.values())
    assert others["noise"] > others["shuffled"]
    assert np.isnan(distance(target[:0], target))


def piece(bars: int, notes_in_bar: int) -> NoteSequence:
    count = bars * notes_in_bar
    zeros = np.zeros(count, np.int64)
    bar = np.repeat(np.arange(bars), notes_in_bar)
    return NoteSequence(
        bar=bar,
        position=np.tile(np.arange(notes_in_bar) * 6, bars),
        offset=zeros,
        pitch=60 + bar,
        duration_steps=zeros + 6,
        velocity=zeros,
        instrument=zeros,
        part_number=zeros,
        track=zeros,
        index=np.arange(count),
        bars=BarTable.constant(bars),
    )


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 4), st.integers(0, 5))
def test_windows_begin_with_bars_and_share_no_note(bars: int, each: int, most: int, seed: int) -> None:
    whole = piece(bars, each)
    cut = cut_windows(whole, random=np.random.default_rng(seed), most=most, notes=10)
    assert len(cut) <= most
    assert (len(cut) > 0) == (bars * each >= 10)
    assert all(len(window) == 10 and window.index[0] % each == 0 for window in cut)
    taken = np.concatenate([window.index for window in cut]) if cut else np.zeros(0)
    assert len(set(taken.tolist())) == len(taken)


def test_a_window_counts_time_from_its_own_first_bar_to_the_end_of_its_last_note() -> None:
    whole = piece(6, 4)
    windows = to_note_windows([whole.select(np.arange(8, 20))], ["a"])
    assert windows.onset_steps[[0, 4]].tolist() == [0.0, 96.0]
    assert windows.bar_start_steps.tolist() == [0.0, 96.0, 192.0]
    with pytest.raises(ValueError, match="1 pieces and 2 sources"):
        to_note_windows([whole], ["a", "b"])
    with pytest.raises(ValueError, match="piece 0 has no notes"):
        to_note_windows([whole.select(np.zeros(24, bool))], ["a"])
