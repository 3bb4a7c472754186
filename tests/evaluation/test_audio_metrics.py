"""Metrics of audio models against closed forms and other programs."""

import math

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.audio import Audio
from ondes.evaluation import audio_gaps
from ondes.evaluation.audio_events import chroma, chroma_agreement, onset_times_s, shared_onsets
from ondes.evaluation.audio_neighbours import QUERY_HOP, TRAINING_HOP, nearest_distances, stretches
from ondes.evaluation.audio_seams import Measure, music_onsets_s, seam_points, seam_score, weighted_percentile
from ondes.evaluation.embeddings import Embedding
from ondes.evaluation.mel_statistics import SPREAD, USUAL, MelStatistics
from ondes.evaluation.spectra import log_mel

HZ = 44_100


def plucked(seconds: float, *, seed: int = 0, every_s: float = 0.5) -> Audio:
    """Decaying tones of a random pitch, stereo, at known times: every `every_s`, from 0.25 s on."""
    random = np.random.default_rng(seed)
    samples = 1e-4 * random.normal(size=(2, round(seconds * HZ))).astype(np.float32)
    for onset_s in np.arange(0.25, seconds - 0.1, every_s):
        first = round(onset_s * HZ)
        time_s = np.arange(min(HZ, samples.shape[1] - first)) / HZ
        hz = 220 * 2 ** (random.integers(24) / 12)
        tone = sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, 8)) * np.exp(-4.0 * time_s)
        samples[:, first : first + len(time_s)] += 0.1 * np.stack([tone, random.uniform(0.3, 1.0) * tone])
    return Audio(samples, HZ)


def test_onsets_are_found_where_tones_begin():
    true_s = np.arange(0.25, 5.9, 0.5)
    found_s = onset_times_s(plucked(6.0))
    assert len(found_s) == len(true_s)
    assert np.abs(found_s - true_s).max() < 0.02


def test_steady_noise_and_silence_have_no_onsets():
    noise = 0.1 * np.random.default_rng(0).normal(size=(2, 4 * HZ)).astype(np.float32)
    assert len(onset_times_s(Audio(noise, HZ))) <= 1
    assert len(onset_times_s(Audio.silence(2.0))) == 0


times = st.lists(st.floats(0, 3, width=32), max_size=25).map(lambda found: np.unique(np.array(found)))


@settings(max_examples=25, deadline=None)
@given(times, times)
def test_shared_onsets_are_those_of_mir_eval(true_s: np.ndarray, made_s: np.ndarray):
    counts = shared_onsets(true_s, made_s)
    if len(true_s) and len(made_s):
        f1 = mir_eval.onset.f_measure(true_s, made_s, window=0.05)[0]
        assert counts.f1 == pytest.approx(f1)
    elif len(true_s) or len(made_s):
        assert counts.f1 == 0
    else:
        assert math.isnan(counts.f1)


def test_a_tone_lies_in_its_pitch_class():
    time_s = np.arange(HZ) / HZ
    for pitch in (57, 69, 72, 78):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = 0.3 * np.sin(2 * np.pi * hz * time_s).astype(np.float32)
        found = chroma(Audio(np.stack([tone, tone]), HZ)).mean(axis=0)
        assert found.argmax() == pitch % 12
        assert found[pitch % 12] > 0.99 * found.sum()


def test_chroma_agreement_is_a_mean_of_cosines_where_the_first_is_heard():
    true = np.zeros((4, 12))
    true[:3, 0] = 1.0
    made = np.zeros((4, 12))
    made[0, 0], made[1, 1], made[3, 5] = 7.0, 1.0, 1.0
    assert chroma_agreement(true, made) == pytest.approx(1 / 3)
    made[2, [0, 4]] = 1.0
    assert chroma_agreement(true, made) == pytest.approx((1 + 1 / math.sqrt(2)) / 3)
    assert math.isnan(chroma_agreement(np.zeros((2, 12)), made))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(1, 3))
def test_weighted_percentiles_count_values_as_often_as_they_weigh(values: list[float], times_each: int):
    array = np.array(values)
    hazen = np.percentile(array, 95, method="hazen")
    assert weighted_percentile(array, np.full(len(array), 2.5), 95) == pytest.approx(hazen)
    heavy = weighted_percentile(np.array([1.0, 2.0]), np.array([times_each * 1e6, 1.0]), 95)
    assert heavy == pytest.approx(1.9, abs=1.0)


BORDERS_S = np.arange(1.0, 13.0, 0.43)


@pytest.fixture(scope="module")
def music() -> Audio:
    return plucked(14.0, every_s=0.37)


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["flux", "jump"])
def test_borders_in_untouched_music_score_one(measure):
    """A 95th percentile needs many borders: ten at random places of each of twelve recordings."""
    random = np.random.default_rng(0)
    found = []
    for seed in range(12):
        music = plucked(8.0, seed=seed, every_s=0.9)
        borders_s = np.arange(0.5, 7.5, 0.7) + random.uniform(0, 0.4, size=10)
        onsets_s = music_onsets_s(music, music, borders_s)
        found.append(seam_points(music, borders_s, onsets_s=onsets_s, measure=measure))
    assert sum(len(points.at) for points in found) > 60
    assert seam_score(found) == pytest.approx(1.0, abs=0.15)


def test_a_click_at_a_border_is_a_jump_and_a_burst_is_flux(music: Audio):
    clicked, burst = music.samples.copy(), music.samples.copy()
    random = np.random.default_rng(1)
    for border_s in BORDERS_S:
        at = round(border_s * HZ)
        clicked[:, at:] += 0.05 * (-1) ** at
        burst[:, at : at + 2000] += 0.01 * random.normal(size=(2, 2000)).astype(np.float32)
    kinds: tuple[tuple[Audio, Measure], ...] = ((Audio(clicked, HZ), "jump"), (Audio(burst, HZ), "flux"))
    jump, flux = (
        seam_points(audio, BORDERS_S, onsets_s=music_onsets_s(audio, music, BORDERS_S), measure=measure)
        for audio, measure in kinds
    )
    assert seam_score([jump]) > 3
    assert seam_score([flux]) > 2


def test_an_onset_of_the_original_at_a_border_is_music_and_a_new_one_is_a_seam():
    quiet = Audio(1e-3 * np.random.default_rng(2).normal(size=(2, 4 * HZ)).astype(np.float32), HZ)
    attack = quiet.samples.copy()
    attack[:, 2 * HZ :] *= 100
    loud = Audio(attack, HZ)
    own = seam_points(loud, [2.0], onsets_s=music_onsets_s(loud, loud, [2.0]))
    made = seam_points(loud, [2.0], onsets_s=music_onsets_s(loud, quiet, [2.0]))
    assert len(own.at) == 0
    assert seam_score([made]) > 2


def test_seams_without_borders_are_not_a_number(music: Audio):
    assert math.isnan(seam_score([seam_points(music, [])]))


def test_mel_statistics_are_an_embedding_that_knows_level_and_liveliness():
    embed = MelStatistics()
    assert isinstance(embed, Embedding)
    noise = 0.1 * np.random.default_rng(0).normal(size=(1, 3 * HZ)).astype(np.float32)
    loud, soft = (embed(Audio(gain * np.repeat(noise, 2, axis=0), HZ)) for gain in (1.0, 0.5))
    assert loud.shape == (3, embed.dimension)
    np.testing.assert_allclose(loud[:, :32] - soft[:, :32], math.log(2) / SPREAD, atol=1e-3)
    np.testing.assert_allclose(loud[:, 32:], soft[:, 32:], atol=1e-3)
    np.testing.assert_allclose(loud[:, 64:], 0.0, atol=1e-6)
    level = log_mel(Audio(np.repeat(noise, 2, axis=0), HZ))[:, :, :86].mean(axis=(0, 2))
    np.testing.assert_allclose(loud[0, :32], (level.reshape(32, 4).mean(axis=1) - USUAL) / SPREAD, atol=1e-5)


def test_a_copy_is_near_whatever_its_loudness_and_other_music_is_not():
    training = [log_mel(plucked(5.0, seed=seed)) for seed in (1, 2)]
    corpus = [stretches(level, hop_frames=TRAINING_HOP) for level in training]
    louder = stretches(log_mel(Audio(1.5 * plucked(5.0, seed=2).samples, HZ)), hop_frames=QUERY_HOP)
    other = stretches(log_mel(plucked(5.0, seed=3)), hop_frames=QUERY_HOP)
    copied, new = nearest_distances(louder, corpus), nearest_distances(other, corpus)
    assert copied.max() < 0.3 * new.min()
    brute = np.array([min(np.linalg.norm(row - point) for b in corpus for point in b) for row in other])
    np.testing.assert_allclose(new, brute, rtol=1e-3)
    assert np.isinf(nearest_distances(other, [])).all()


def test_a_distance_of_stretches_is_the_root_mean_square_difference():
    flat = np.zeros((2, 128, 258), np.float32)
    tilted = flat.copy()
    tilted[:, 64:] += 1.0
    one, other = (stretches(level, hop_frames=1) for level in (flat, tilted))
    assert np.linalg.norm(one - other) == pytest.approx(0.5)


def test_a_repeated_bar_is_copied_into_its_gap():
    bar = plucked(2.0, seed=5, every_s=0.25).samples
    song = Audio(np.tile(bar, 6), HZ)
    holed = audio_gaps.silence(song, 6.0, 8.0)
    filled = audio_gaps.copy_nearest(holed, 6.0, 8.0)
    fit = audio_gaps.fit_of(song, filled, 6.0, 8.0)
    assert fit.log_mel < 0.2
    assert fit.onsets.f1 > 0.85
    assert fit.chroma > 0.98
    nothing = audio_gaps.fit_of(song, holed, 6.0, 8.0)
    assert nothing.log_mel > 1.0
    assert nothing.chroma == 0.0
    assert nothing.onsets.shared == 0


@pytest.mark.parametrize("name", list(audio_gaps.BASELINES))
def test_baselines_leave_the_rest_as_it_is_and_do_not_look_inside(name: str, music: Audio):
    other = music.samples.copy()
    other[:, 5 * HZ : 7 * HZ] = np.random.default_rng(0).normal(size=(2, 2 * HZ))
    fill = audio_gaps.BASELINES[name]
    filled = fill(audio_gaps.silence(music, 5.0, 7.0), 5.0, 7.0)
    again = fill(audio_gaps.silence(Audio(other, HZ), 5.0, 7.0), 5.0, 7.0)
    assert audio_gaps.largest_change_outside(music, filled, 5.0, 7.0) == 0.0
    np.testing.assert_array_equal(filled.samples, again.samples)


def test_a_fade_goes_from_before_to_after():
    samples = np.concatenate([np.full((2, HZ), 0.5), np.zeros((2, HZ)), np.full((2, HZ), -0.5)], axis=1)
    filled = audio_gaps.linear_fade(Audio(samples.astype(np.float32), HZ), 1.0, 2.0).samples
    assert filled[0, HZ + HZ // 4] == pytest.approx(0.25, abs=1e-3)
    assert filled[1, HZ + HZ // 2] == pytest.approx(0.0, abs=1e-3)


def test_changes_outside_a_gap_are_found():
    before = plucked(3.0)
    changed = before.samples.copy()
    changed[0, 10] += 0.25
    changed[:, HZ : 2 * HZ] = 0.0
    assert audio_gaps.largest_change_outside(before, Audio(changed, HZ), 1.0, 2.0) == pytest.approx(0.25)
    assert math.isinf(audio_gaps.largest_change_outside(before, Audio.silence(2.0), 1.0, 2.0))
