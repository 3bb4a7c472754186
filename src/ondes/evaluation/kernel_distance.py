"""Kernel distances between sets of recordings: the maximum mean discrepancy of their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps vectors (n, dimension) and (m, dimension) to similarities (n, m)."""

BANDWIDTH_VECTORS = 2000


def cubic_kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(x·y / d + 1)³: the kernel of KID, Bińkowski et al. (2018), arXiv 1801.01401, equation 4."""
    return (one @ other.T / one.shape[1] + 1) ** 3


def gaussian_kernel(bandwidth: float) -> Kernel:
    """exp(-|x - y|² / 2 bandwidth²): the kernel of KAD (Chung et al. 2025, arXiv 2502.15602)."""

    def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.exp(-squared_distances(one, other) / (2 * bandwidth**2))

    return kernel


def median_bandwidth(reference: np.ndarray) -> float:
    """Median distance between the vectors of a set, as KAD takes it of the real recordings."""
    step = max(len(reference) // BANDWIDTH_VECTORS, 1)
    chosen = reference[::step].astype(np.float64)
    pairs = squared_distances(chosen, chosen)[np.triu_indices(len(chosen), 1)]
    return float(np.sqrt(np.median(pairs))) if len(pairs) else 1.0


def squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """|x - y|² of all pairs (n, m), never negative."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    return np.maximum(squares, 0.0)


@dataclass(frozen=True, eq=False)
class Similarities:
    """Sums of a kernel over the vectors of two recordings at a time, from which the distance follows.

    Attributes:
        made: Sums between recordings of the first set (n, n).
        real: Of the second (m, m).
        across: Of one with the other (n, m).
        made_vectors: Vectors of each recording of the first set (n,).
        real_vectors: Of the second (m,).
    """

    made: Float[np.ndarray, "n n"]
    real: Float[np.ndarray, "m m"]
    across: Float[np.ndarray, "n m"]
    made_vectors: Float[np.ndarray, " n"]
    real_vectors: Float[np.ndarray, " m"]

    @classmethod
    def of(cls, made: Sequence[np.ndarray], real: Sequence[np.ndarray], kernel: Kernel) -> Similarities:
        """Sums over recordings, each given as vectors (frames, dimension)."""
        first, second = (_starts(pieces) for pieces in (made, real))
        x, y = (np.concatenate(list(pieces)).astype(np.float64) for pieces in (made, real))

        def sums(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
            return np.add.reduceat(np.add.reduceat(table, rows, axis=0), columns, axis=1)

        counts = [np.array([len(piece) for piece in pieces], np.float64) for pieces in (made, real)]
        return cls(
            sums(kernel(x, x), first, first),
            sums(kernel(y, y), second, second),
            sums(kernel(x, y), first, second),
            counts[0],
            counts[1],
        )

    def distance(self, counts: Num[np.ndarray, "draws n"] | None = None) -> Float[np.ndarray, " draws"]:
        """Unbiased squared maximum mean discrepancy: may be negative, 0 on average for sets of one kind.

        Gretton et al. (2012), JMLR 13, equation 3, over pairs of different recordings: vectors of one recording are
        alike, and so are a recording drawn twice and itself. With one vector a recording it is their estimator.

        Args:
            counts: How often each recording of the first set counts, draw by draw; each once where None.
        """
        weights = np.ones((1, len(self.made))) if counts is None else np.asarray(counts, np.float64)
        within = _different(self.made, self.made_vectors, weights)
        real = _different(self.real, self.real_vectors, np.ones((1, len(self.real))))
        vectors = weights @ self.made_vectors * self.real_vectors.sum()
        across = (weights @ self.across).sum(axis=1) / np.where(vectors > 0, vectors, np.nan)
        return within + real - 2 * across


def _starts(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Index of each piece's first vector.

    Raises:
        ValueError: If a piece has none.
    """
    if not pieces or not all(len(piece) for piece in pieces):
        raise ValueError("a set or a recording without vectors; give at least one of each")
    return np.cumsum([0, *(len(piece) for piece in pieces[:-1])])


def _different(sums: np.ndarray, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the kernel over vectors of different recordings (draws,); NaN where there is only one."""

    def pairs(table: np.ndarray) -> np.ndarray:
        return ((weights @ table) * weights).sum(1) - weights**2 @ np.diagonal(table)

    count = pairs(np.outer(vectors, vectors))
    return np.divide(pairs(sums), count, out=np.full(len(weights), np.nan), where=count > 0)
