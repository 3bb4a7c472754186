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
        The figure of all items and the 2.5 % and 97.5 % percentiles of the draws. The interval is NaN with
        fewer than two sources: there is nothing to draw from.
    """
    everything = np.arange(len(sources))
    if not len(everything):
        return Figure(float("nan"), float("nan"), float("nan"))
    value = float(statistic(everything))
    if len(set(sources)) < 2:
        return Figure(value, float("nan"), float("nan"))
    members = _members(sources, strata)
    random = np.random.default_rng(seed)
    draws = np.array([statistic(_draw(members, random)) for _ in range(resamples)], float)
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return Figure(value, float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value, float(low), float(high))


def mean_figure(values: ArrayLike, sources: Sequence[Hashable], **settings: object) -> Figure:
    """Bootstrap of a mean over items whose value is finite; settings as for `bootstrap`."""
    array = np.asarray(values, float)
    return bootstrap(lambda chosen: finite_mean(array[chosen]), sources, **settings)  # type: ignore[arg-type]


def ratio_figure(
    over: ArrayLike, under: ArrayLike, sources: Sequence[Hashable], **settings: object
) -> Figure:
    """Bootstrap of one mean over another, items paired; settings as for `bootstrap`."""
    pairs = np.stack([np.asarray(over, float), np.asarray(under, float)])

    def ratio(chosen: np.ndarray) -> float:
        top, bottom = pairs[:, chosen]
        whole = np.isfinite(top) & np.isfinite(bottom)
        below = finite_mean(bottom[whole])
        return finite_mean(top[whole]) / below if below > 0 else float("nan")

    return bootstrap(ratio, sources, **settings)  # type: ignore[arg-type]


def finite_mean(values: np.ndarray) -> float:
    """Mean of what is finite, NaN of nothing."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _members(sources: Sequence[Hashable], strata: Sequence[Hashable] | None) -> list[list[np.ndarray]]:
    """Indices of items by stratum and source, both in order of first appearance."""
    kinds = strata if strata is not None else [0] * len(sources)
    tree: dict[Hashable, dict[Hashable, list[int]]] = {}
    for index, (kind, source) in enumerate(zip(kinds, sources, strict=True)):
        tree.setdefault(kind, {}).setdefault(source, []).append(index)
    return [[np.array(items) for items in branch.values()] for branch in tree.values()]


def _draw(members: list[list[np.ndarray]], random: np.random.Generator) -> np.ndarray:
    """Items of as many sources as there are, drawn with replacement in each stratum."""
    return np.concatenate(
        [branch[k] for branch in members for k in random.integers(len(branch), size=len(branch))]
    )
