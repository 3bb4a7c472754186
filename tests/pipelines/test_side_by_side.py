from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import pytest
import torch
from composer_network import small_composer

from ondes.pipelines.side_by_side import OnShare, side_by_side

WORD: ContextVar[str] = ContextVar("WORD", default="none")
PATIENCE_S = 20.0


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == request.param, "the caller's threads are its own again"


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def ignore(_: float) -> None:
    """Progress that nobody wants."""


def squares(number: int) -> Callable[[OnShare], tuple[int, int, str]]:
    def work(tell: OnShare) -> tuple[int, int, str]:
        for step in range(1, 5):
            tell(step / 4)
        return number**2, torch.get_num_threads(), WORD.get()

    return work


def test_results_are_in_order_each_made_on_one_thread_in_the_callers_context(threads: int) -> None:
    token = WORD.set("said")
    made = side_by_side([squares(number) for number in range(7)], ignore)
    WORD.reset(token)
    assert made == [(number**2, 1, "said") for number in range(7)]
    assert side_by_side([], ignore) == []


def test_progress_is_told_in_the_callers_thread_and_rises_to_one(threads: int) -> None:
    told: list[tuple[float, int]] = []
    side_by_side(
        [squares(number) for number in range(5)], lambda share: told.append((share, threading.get_ident()))
    )
    shares = [share for share, _ in told]
    assert {thread for _, thread in told} == {threading.get_ident()}
    assert len(shares) == 20
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.usefixtures("two_threads")
def test_two_pieces_of_work_are_on_their_way_at_once() -> None:
    both = threading.Barrier(2)
    made = side_by_side([lambda _: both.wait(PATIENCE_S)] * 4, ignore)
    assert sorted(made) == [0, 0, 1, 1]


def endless(tell: OnShare) -> None:
    while True:
        tell(0.5)
        time.sleep(0.001)


def test_what_progress_raises_ends_all_work(threads: int) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side([endless] * 5, stop)


@pytest.mark.usefixtures("two_threads")
def test_an_error_ends_the_others_and_comes_out() -> None:
    def broken(_: OnShare) -> None:
        raise ZeroDivisionError("this one")

    with pytest.raises(ZeroDivisionError, match="this one"):
        side_by_side([endless, broken, endless], ignore)


@pytest.mark.usefixtures("two_threads")
def test_pieces_side_by_side_are_what_each_is_alone() -> None:
    composer = small_composer()
    together = composer.generate(2, notes=16, ensemble="piano", density=2.0, seed=5)
    alone = [composer.generate(notes=16, ensemble="piano", density=2.0, seed=seed)[0] for seed in (5, 6)]
    assert [score.dumps_midi() for score in together] == [score.dumps_midi() for score in alone]
