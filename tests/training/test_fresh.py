"""Windows from pairs that are made while the training runs."""

from __future__ import annotations

import numpy as np
import torch

from ondes.score import Notes
from ondes.training.fresh import FreshWindows
from ondes.training.windows import Pair


def no_notes() -> Notes:
    times, numbers = np.zeros(0), np.zeros(0, np.int64)
    flags = np.zeros(0, np.bool_)
    return Notes(times, times, times, numbers, numbers, numbers, flags, numbers, (), 1.0)


class Counting:
    """Pairs whose log-mel is their own number; number 1 is refused."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, index: int) -> Pair | None:
        self.asked.append(index)
        return None if index == 1 else Pair(str(index), no_notes(), np.full((2, 128, 16), index, np.float16))


def windows(render: Counting) -> FreshWindows:
    return FreshWindows(render, pool=3, renew_every=2, batch=8, frames=8, seed=5)


def test_the_oldest_pair_goes_when_a_new_one_comes() -> None:
    render = Counting()
    fresh = windows(render)
    assert set(fresh.at(0).log_mel.unique().tolist()) == {0.0, 2.0}
    assert set(fresh.at(4).log_mel.unique().tolist()) <= {2.0, 3.0, 4.0}
    assert render.asked == [0, 1, 2, 3, 4]


def test_a_batch_does_not_depend_on_those_before_it() -> None:
    one, other = windows(Counting()), windows(Counting())
    for number in range(5):
        one.at(number)
    assert torch.equal(one.at(5).log_mel, other.at(5).log_mel)
