"""Intervals cover what they should, and respect sources and strata."""

import math

import numpy as np
import pytest

from ondes.evaluation.bootstrap import bootstrap, mean_figure, ratio_figure


def test_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    figure = mean_figure(values, range(400), resamples=4000)
    half = 1.96 * values.std() / math.sqrt(400)
    assert figure.value == pytest.approx(values.mean())
    assert figure.low == pytest.approx(values.mean() - half, abs=0.03)
    assert figure.high == pytest.approx(values.mean() + half, abs=0.03)


def test_items_of_one_source_are_drawn_together():
    values = np.repeat([0.0, 1.0, 0.0, 1.0], 25)
    sources = np.repeat(np.arange(4), 25)
    together = mean_figure(values, list(sources), resamples=2000)
    apart = mean_figure(values, range(100), resamples=2000)
    assert together.high - together.low > 3 * (apart.high - apart.low)
    assert {together.low, together.high} <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_strata_keep_their_sizes():
    kinds = ["a"] * 10 + ["b"] * 30
    values = [0.0] * 10 + [1.0] * 30
    figure = mean_figure(values, range(40), strata=kinds)
    assert (figure.value, figure.low, figure.high) == (0.75, 0.75, 0.75)


def test_means_are_those_of_any_statistic():
    values = np.random.default_rng(4).normal(size=30)
    settings = {"strata": ["a"] * 12 + ["b"] * 18, "seed": 5, "resamples": 300}
    by_statistic = bootstrap(
        lambda chosen: float(values[chosen].mean()), [k % 7 for k in range(30)], **settings
    )
    by_counts = mean_figure(values, [k % 7 for k in range(30)], **settings)
    assert by_counts.value == pytest.approx(by_statistic.value)
    assert (by_counts.low, by_counts.high) == pytest.approx((by_statistic.low, by_statistic.high))


def test_ratio_is_of_means_and_paired():
    under = np.random.default_rng(1).uniform(0.2, 1.0, 50)
    figure = ratio_figure(0.8 * under, under, range(50))
    assert figure.value == pytest.approx(0.8)
    assert figure.high - figure.low < 1e-12


def test_equal_seeds_give_equal_intervals():
    values = np.random.default_rng(2).normal(size=30)
    assert mean_figure(values, range(30), seed=1) == mean_figure(values, range(30), seed=1)
    assert mean_figure(values, range(30), seed=1) != mean_figure(values, range(30), seed=2)


def test_what_cannot_be_known_is_nan():
    assert math.isnan(bootstrap(len, []).value)
    one = mean_figure([0.4, 0.6], ["same", "same"])
    assert one.value == 0.5
    assert math.isnan(one.low)
    alone = mean_figure([0.4, 0.6], ["a", "b"], strata=["x", "y"])
    assert math.isnan(alone.low)
    assert math.isnan(ratio_figure([1.0, 1.0], [0.0, 0.0], range(2)).value)


def test_items_without_a_value_are_left_out():
    assert mean_figure([1.0, float("nan"), 3.0], range(3)).value == 2.0
