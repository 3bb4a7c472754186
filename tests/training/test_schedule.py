from __future__ import annotations

import pytest

from ondes.training.schedule import warm_up_cosine


def test_the_rate_rises_straight_and_falls_as_half_a_cosine() -> None:
    rates = [warm_up_cosine(step, warm_up=10, steps=110) for step in range(121)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx((1 + 0.02) / 2)
    assert rates[110] == rates[120] == pytest.approx(0.02)
    assert rates[10:111] == sorted(rates[10:111], reverse=True)


def test_a_run_that_is_all_warm_up_has_a_rate() -> None:
    assert warm_up_cosine(5, warm_up=5, steps=5) == 1.0
