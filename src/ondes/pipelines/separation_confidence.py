"""What a network's probability of a label is worth: the share of such labels that are right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64

Worth = tuple[float, float]
"""Shift and slope of log-odds: those of a label that was given probability p are shift + slope * ln(p / (1 - p))."""

UNCHANGED: Worth = (0.0, 1.0)
ROUNDS = 100
"""Of Newton's method at most, which needs about ten."""
LEAST = 1e-6
"""Probabilities nearer to 0 or 1 count as this far from it where a worth is fitted."""


def restated(probability: Float64[np.ndarray, "*shape"], worth: Worth) -> Float64[np.ndarray, "*shape"]:
    """The confidence in labels that were given some probabilities (Platt 1999); 0 stays 0, and 1 stays 1.

    A temperature alone cannot say that all labels are likelier right than they seem, as they are where parts of one
    instrument may stand for each other.
    """
    shift, slope = worth
    for_it, against = np.exp(shift) * probability**slope, (1 - probability) ** slope
    return for_it / (for_it + against)


def fit_worth(
    songs: Sequence[tuple[Float64[np.ndarray, " notes"], Bool[np.ndarray, " notes"], float]],
) -> Worth:
    """The shift and the slope at which what was right is likeliest, by Newton's method.

    Args:
        songs: Of each, the probabilities of the labels that were chosen, whether they are right, and what a note
            counts.

    Raises:
        ValueError: If there are no notes.
    """
    if not sum(len(stated) for stated, _, _ in songs):
        raise ValueError("a worth cannot be fitted to no notes")
    stated = np.clip(np.concatenate([own for own, _, _ in songs]), LEAST, 1 - LEAST)
    right = np.concatenate([own for _, own, _ in songs]).astype(np.float64)
    weight = np.concatenate([np.full(len(own), counts) for own, _, counts in songs])
    terms = np.stack([np.ones_like(stated), np.log(stated / (1 - stated))], 1)
    found = np.array(UNCHANGED)

    def loss(worth: Float64[np.ndarray, "2"]) -> float:
        odds = terms @ worth
        return float(weight @ (np.logaddexp(0.0, odds) - right * odds))

    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-terms @ found))
        slope = terms.T @ (weight * (chance - right))
        bend = (terms * (weight * chance * (1 - chance))[:, None]).T @ terms
        step = np.linalg.solve(bend, slope)
        # A whole step may go far too far where most labels are next to certain.
        while loss(found - step) > loss(found) and np.abs(step).max() >= 1e-12:
            step /= 2
        found = found - step
        if np.abs(step).max() < 1e-12:
            break
    return float(found[0]), float(found[1])
