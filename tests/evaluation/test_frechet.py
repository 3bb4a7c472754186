"""The Fréchet distance has its closed forms, and does not depend on how the frames were dealt out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ondes.evaluation.frechet import GaussianStatistics, clean_floor, frechet_distance


def exactly(mean: np.ndarray, covariance: np.ndarray) -> GaussianStatistics:
    """Statistics with a given mean and covariance."""
    statistics = GaussianStatistics(len(mean))
    statistics.count, statistics.mean, statistics.scatter = 10, mean, covariance * 10
    return statistics


def test_one_dimension_has_a_closed_form() -> None:
    one, other = exactly(np.array([1.0]), np.array([[4.0]])), exactly(np.array([-2.0]), np.array([[0.25]]))
    assert frechet_distance(one, other) == pytest.approx(9 + (2.0 - 0.5) ** 2, rel=1e-14)


def test_commuting_covariances_have_a_closed_form() -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))
    first, second = np.arange(1.0, 7.0), np.array([5.0, 0.1, 2.0, 9.0, 1.0, 0.0])
    mean = np.linspace(0, 1, 6)
    one = exactly(mean, rotation @ np.diag(first) @ rotation.T)
    other = exactly(np.zeros(6), rotation @ np.diag(second) @ rotation.T)
    expected = mean @ mean + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-12)


def test_two_by_two_matrices_that_do_not_commute_have_a_closed_form() -> None:
    first, second = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    product = first @ second  # the trace of a 2 x 2 root is sqrt(trace + 2 sqrt(determinant))
    trace = math.sqrt(np.trace(product) + 2 * math.sqrt(np.linalg.det(product)))
    expected = np.trace(first) + np.trace(second) - 2 * trace
    assert frechet_distance(exactly(np.zeros(2), first), exactly(np.zeros(2), second)) == pytest.approx(
        expected, rel=1e-12
    )


def test_mean_and_covariance_are_those_of_the_population() -> None:
    rows = np.random.default_rng(1).normal(size=(40, 5)) * [1, 2, 3, 4, 5] + 1e4
    statistics = GaussianStatistics.of([rows], 5)
    np.testing.assert_allclose(statistics.mean, rows.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(statistics.covariance, np.cov(rows.T, bias=True), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cuts", [[], [1], [0, 17, 17, 30], list(range(1, 40))])
def test_any_pieces_give_the_statistics_of_the_whole(cuts: list[int]) -> None:
    rows = np.random.default_rng(2).normal(size=(40, 3)) + 100.0
    whole = GaussianStatistics.of([rows], 3)
    pieces = GaussianStatistics.of(np.split(rows, cuts), 3)
    assert pieces.count == whole.count
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(pieces.covariance, whole.covariance, rtol=1e-9, atol=1e-11)


def test_merged_workers_have_seen_what_one_alone_would_have() -> None:
    rows = np.random.default_rng(3).normal(size=(60, 4))
    workers = [GaussianStatistics.of([rows[k::3]], 4) for k in range(3)] + [GaussianStatistics(4)]
    merged = GaussianStatistics(4)
    for worker in workers:
        merged.merge(worker)
    whole = GaussianStatistics.of([rows], 4)
    assert merged.count == 60
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-11, atol=1e-13)
    assert frechet_distance(merged, whole) < 1e-10


def test_the_mean_over_workers_would_be_another_distance() -> None:
    random = np.random.default_rng(4)
    target, made = random.normal(size=(2, 40, 4))
    whole = frechet_distance(GaussianStatistics.of([target], 4), GaussianStatistics.of([made], 4))
    halves = [
        frechet_distance(GaussianStatistics.of([target[k::2]], 4), GaussianStatistics.of([made[k::2]], 4))
        for k in (0, 1)
    ]
    assert np.mean(halves) > 1.2 * whole


@pytest.mark.parametrize("frames", [1, 3, 200])
def test_the_same_frames_have_no_distance_even_where_the_covariance_is_singular(frames: int) -> None:
    rows = np.random.default_rng(5).normal(size=(frames, 16)).repeat(2, axis=1)
    statistics = GaussianStatistics.of([rows], 32)
    assert frechet_distance(statistics, statistics) < 1e-6


def test_singular_covariances_keep_their_closed_form() -> None:
    one = exactly(np.zeros(4), np.diag([4.0, 0.0, 9.0, 0.0]))
    other = exactly(np.zeros(4), np.diag([1.0, 2.0, 0.0, 0.0]))
    assert frechet_distance(one, other) == pytest.approx(1 + 2 + 9, rel=1e-12)


def test_the_floor_is_the_distance_of_two_halves_of_the_recordings() -> None:
    random = np.random.default_rng(6)
    pieces = [random.normal(size=(30, 3)) + centre for centre in (0, 1, 0, 1)]
    floor = clean_floor(pieces, 3)
    halves = [GaussianStatistics.of([pieces[k], pieces[k + 2]], 3) for k in (0, 1)]
    assert floor.frames == (60, 60)
    assert floor.distance == frechet_distance(*halves) > 2.0
    assert math.isnan(clean_floor(pieces[:1], 3).distance)


def test_unusable_vectors_are_refused() -> None:
    statistics = GaussianStatistics(3)
    with pytest.raises(ValueError, match="no vectors"):
        _ = statistics.covariance
    with pytest.raises(ValueError, match=r"shape \(2, 4\); give \(frames, 3\)"):
        statistics.update(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        statistics.update(np.array([[0.0, np.nan, 1.0]]))
    with pytest.raises(ValueError, match="4 and 3 dimensions"):
        statistics.merge(GaussianStatistics(4))
