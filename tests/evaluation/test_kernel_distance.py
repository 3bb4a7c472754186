"""Kernel distances against torchmetrics and closed forms."""

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from ondes.evaluation.kernel_distance import (
    Similarities,
    cubic_kernel,
    gaussian_kernel,
    median_bandwidth,
)

RANDOM = np.random.default_rng(0)
MADE, REAL = RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(40, 8)) + 0.5


def alone(vectors: np.ndarray) -> list[np.ndarray]:
    return [row[None] for row in vectors]


def test_with_one_vector_a_recording_it_is_kid():
    found = Similarities.of(alone(MADE), alone(REAL[:30]), cubic_kernel).distance()[0]
    theirs = poly_mmd(torch.from_numpy(MADE), torch.from_numpy(REAL[:30]), degree=3, gamma=None, coef=1.0)
    assert found == pytest.approx(float(theirs))


def test_the_gaussian_distance_of_two_normals_is_its_closed_form():
    random = np.random.default_rng(1)
    shift, bandwidth, dimension, count = 1.0, 1.5, 2, 600
    made = random.normal(size=(count, dimension))
    real = random.normal(size=(count, dimension)) + np.array([shift, 0.0])
    found = Similarities.of(alone(made), alone(real), gaussian_kernel(bandwidth)).distance()[0]
    # E k(x, y) of N(0, 1) and N(m, 1): (s² / (s² + 2))^(d / 2) exp(-|m|² / 2 (s² + 2)).
    scale = bandwidth**2 + 2
    expected = 2 * (bandwidth**2 / scale) ** (dimension / 2) * (1 - np.exp(-(shift**2) / (2 * scale)))
    assert found == pytest.approx(expected, abs=0.02)


def test_sets_of_one_kind_are_no_apart_on_average():
    random = np.random.default_rng(2)
    found = [
        Similarities.of(alone(x[:20]), alone(x[20:]), cubic_kernel).distance()[0]
        for x in random.normal(size=(60, 50, 4))
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_counts_stand_for_recordings_drawn_again():
    pieces = [MADE[:3], MADE[3:10], MADE[10:12], MADE[12:]]
    real = [REAL[:20], REAL[20:]]
    sums = Similarities.of(pieces, real, cubic_kernel)
    left_out = Similarities.of([pieces[0], pieces[3]], real, cubic_kernel)
    assert sums.distance(np.array([[1, 0, 0, 1]]))[0] == pytest.approx(left_out.distance()[0])
    assert sums.distance(np.array([[3, 0, 0, 3]]))[0] == pytest.approx(left_out.distance()[0])
    assert np.isnan(sums.distance(np.array([[0, 2, 0, 0]]))[0])


def test_the_bandwidth_is_the_median_distance():
    assert median_bandwidth(np.array([[0.0], [1.0], [3.0]])) == pytest.approx(2.0)


def test_recordings_without_vectors_are_refused():
    with pytest.raises(ValueError, match="without vectors"):
        Similarities.of([np.zeros((0, 3))], [np.zeros((2, 3))], cubic_kernel)
