"""Percentile bootstrap over the sources of excerpts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval; NaN where it cannot be computed."""

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    sources: Sequence[Hashable],
    *,
    strata: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """A statistic of all items, and the interval it falls in when their sources are drawn anew.

    Items from one source (excerpts of one work) are not independent, so whole sources are drawn, with
    replacement (the cluster bootstrap: Davison and Hinkley 1997, section 3.8); within strata, where the
    design fixes how many of each kind there are.

    Args:
        statistic: Maps indices of items, repeats allowed, to a figure; NaN where undefined.
        sources: What each item was taken from.
        strata: The kind of each item; one kind where missing.
        seed: Of the draws.
        resamples: How many draws.

    Returns:
        The figure of all items and the 2.5 % and 97.5 % percentiles of the draws. The interval is NaN
        where no stratum has two sources: there is nothing to draw from.
    """
    if not len(sources):
        return Figure(float("nan"), float("nan"), float("nan"))
    everything = np.arange(len(sources))
    draws = [statistic(np.repeat(everything, row)) for row in _draws(sources, strata, seed, resamples)]
    return _figure(float(statistic(everything)), np.array(draws))


def counted_bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    sources: Sequence[Hashable],
    *,
    strata: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """As `bootstrap`, for a statistic that takes all draws at once.

    Args:
        statistic: Maps how often each item counts (draws, items) to a figure for each draw (draws,).
        sources: What each item was taken from.
        strata: The kind of each item; one kind where missing.
        seed: Of the draws.
        resamples: How many draws.
    """
    counts = np.concatenate([np.ones((1, len(sources)), int), _draws(sources, strata, seed, resamples)])
    values = statistic(counts)
    return _figure(float(values[0]), values[1:])


def mean_figure(
    values: ArrayLike,
    sources: Sequence[Hashable],
    *,
    strata: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """Bootstrap of a mean over the items whose value is finite; the rest as for `bootstrap`."""
    array = np.asarray(values, float)
    return ratio_figure(array, np.ones_like(array), sources, strata=strata, seed=seed, resamples=resamples)


def ratio_figure(
    over: ArrayLike,
    under: ArrayLike,
    sources: Sequence[Hashable],
    *,
    strata: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """Bootstrap of one mean over another, of the items where both are finite; the rest as for `bootstrap`.

    NaN where the lower mean is not above 0.
    """
    pairs = np.stack([np.asarray(over, float), np.asarray(under, float)], axis=1).reshape(-1, 2)
    pairs = np.where(np.isfinite(pairs).all(axis=1, keepdims=True), pairs, 0.0)
    if not len(pairs):
        return Figure(float("nan"), float("nan"), float("nan"))
    counts = np.concatenate([np.ones((1, len(pairs)), int), _draws(sources, strata, seed, resamples)])
    top, bottom = (counts @ pairs).T
    ratios = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return _figure(float(ratios[0]), ratios[1:])


def _figure(value: float, draws: np.ndarray) -> Figure:
    """The percentiles of the draws that are finite, around a value."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return Figure(value, float("nan"), float("nan"))
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value, float(low), float(high))


def _draws(
    sources: Sequence[Hashable], strata: Sequence[Hashable] | None, seed: int, resamples: int
) -> np.ndarray:
    """How often each item is drawn (resamples, items); no rows where no stratum has two sources."""
    members = _members(sources, strata)
    if all(len(branch) < 2 for branch in members):
        return np.zeros((0, len(sources)), int)
    random = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(sources)), int)
    for branch in members:
        drawn = random.integers(len(branch), size=(resamples, len(branch)))
        place = drawn + len(branch) * np.arange(resamples)[:, None]
        times = np.bincount(place.ravel(), minlength=place.size).reshape(place.shape)
        counts[:, np.concatenate(branch)] = np.repeat(times, [len(items) for items in branch], axis=1)
    return counts


def _members(sources: Sequence[Hashable], strata: Sequence[Hashable] | None) -> list[list[np.ndarray]]:
    """Indices of items by stratum and source, both in order of first appearance."""
    kinds = strata if strata is not None else [0] * len(sources)
    tree: dict[Hashable, dict[Hashable, list[int]]] = {}
    for index, (kind, source) in enumerate(zip(kinds, sources, strict=True)):
        tree.setdefault(kind, {}).setdefault(source, []).append(index)
    return [[np.array(items) for items in branch.values()] for branch in tree.values()]
