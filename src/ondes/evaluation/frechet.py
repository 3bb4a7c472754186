"""The Fréchet distance between Gaussians of embeddings, and how small it gets between clean recordings.

Kilgour et al. (2019), arXiv 1812.08466. One Gaussian stands for all frames of all pieces: statistics are added up
piece by piece and merged across workers, never averaged over them, so the distance does not depend on how the frames
were dealt out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

SMALLEST_EIGENVALUE = 1e-12
"""Share of the largest eigenvalue below which one counts as the rounding error of zero."""


class GaussianStatistics:
    """Count, mean and scatter of vectors that arrive in pieces.

    The sums are of differences from the running mean (Chan, Golub and LeVeque 1983), in double precision: a large
    mean beside a small spread costs no digits.

    Args:
        dimension: Length of the vectors.

    Attributes:
        count: Vectors so far.
        mean: Their mean (dimension,).
        scatter: Sum of outer products of their differences from the mean (dimension, dimension).
    """

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self.mean = np.zeros(dimension)
        self.scatter = np.zeros((dimension, dimension))

    @classmethod
    def of(cls, pieces: Sequence[ArrayLike], dimension: int) -> GaussianStatistics:
        """The statistics of all rows of several arrays (frames, dimension)."""
        statistics = cls(dimension)
        for piece in pieces:
            statistics.update(piece)
        return statistics

    def update(self, vectors: ArrayLike) -> None:
        """Take in the rows of an array (frames, dimension); there may be none.

        Raises:
            ValueError: If their length is another, or they hold NaN or infinity.
        """
        rows = np.asarray(vectors, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ValueError(f"vectors of shape {rows.shape}; give (frames, {len(self.mean)})")
        if not np.isfinite(rows).all():
            raise ValueError("vectors hold NaN or infinity; leave such frames out")
        if not len(rows):
            return
        mean = rows.mean(axis=0)
        self._join(len(rows), mean, (rows - mean).T @ (rows - mean))

    def merge(self, other: GaussianStatistics) -> None:
        """Take in what another object has seen.

        Raises:
            ValueError: If its vectors are of another length.
        """
        if len(other.mean) != len(self.mean):
            raise ValueError(
                f"statistics of {len(other.mean)} and {len(self.mean)} dimensions; give the same"
            )
        if other.count:
            self._join(other.count, other.mean, other.scatter)

    @property
    def covariance(self) -> np.ndarray:
        """Population covariance (divided by the count), (dimension, dimension).

        Raises:
            ValueError: If there are no vectors.
        """
        if not self.count:
            raise ValueError("no vectors, so no covariance; update with at least one")
        return self.scatter / self.count

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        total = self.count + count
        apart = mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(apart, apart) * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total


def frechet_distance(one: GaussianStatistics, other: GaussianStatistics) -> float:
    """Squared Fréchet (2-Wasserstein) distance between two Gaussians.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), Dowson and Landau (1982), as every published FID and FAD. The trace of
    the root is taken from the symmetric root(C1) C2 root(C1), by eigenvalues: it is real, and exists for covariances
    of too few frames, which are singular.

    Returns:
        The distance, in squared units of the embedding; at least 0.

    Raises:
        ValueError: If a side has no vectors, or the dimensions differ.
    """
    if len(one.mean) != len(other.mean):
        raise ValueError(f"statistics of {len(one.mean)} and {len(other.mean)} dimensions; give the same")
    first, second = one.covariance, other.covariance
    root = _root(first)
    roots = np.sqrt(_eigenvalues(root @ second @ root))
    apart = one.mean - other.mean
    distance = apart @ apart + np.trace(first) + np.trace(second) - 2.0 * roots.sum()
    return max(0.0, float(distance))


@dataclass(frozen=True)
class CleanFloor:
    """What the distance is between two halves of clean recordings: nobody needs to come nearer.

    Attributes:
        distance: Between the halves, NaN where there are fewer than two pieces.
        frames: Frames in each half. The estimate grows as this falls, so compare like with like.
    """

    distance: float
    frames: tuple[int, int]


def clean_floor(pieces: Sequence[ArrayLike], dimension: int) -> CleanFloor:
    """The distance of every other recording to the rest.

    Whole recordings are dealt out, not frames: frames of one recording are alike and would make the floor too low.

    Args:
        pieces: Embeddings of each clean recording (frames, dimension).
        dimension: Length of the vectors.
    """
    halves = [GaussianStatistics.of(list(pieces)[k::2], dimension) for k in (0, 1)]
    counts = (halves[0].count, halves[1].count)
    return CleanFloor(frechet_distance(*halves) if all(counts) else float("nan"), counts)


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.sqrt(_cleaned(values))) @ vectors.T


def _eigenvalues(product: np.ndarray) -> np.ndarray:
    return _cleaned(np.linalg.eigvalsh((product + product.T) / 2))


def _cleaned(values: np.ndarray) -> np.ndarray:
    """Eigenvalues without the rounding errors of those that are zero."""
    largest = max(float(values.max(initial=0.0)), 0.0)
    return np.where(values > SMALLEST_EIGENVALUE * largest, values, 0.0)
