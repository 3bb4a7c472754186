"""Independent pieces of work on a thread each, every one of which computes what it would alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

import torch

Result = TypeVar("Result")

OnShare = Callable[[float], None]
"""Called with the share of a piece of work that is done; what it raises ends the work."""


class _Ended(Exception):  # noqa: N818
    """Others have failed, or the caller wants no more."""


def side_by_side(work: Sequence[Callable[[OnShare], Result]], on_share: OnShare) -> list[Result]:
    """The results of pieces of work, as many at a time as torch may use threads, each computed on one thread.

    A small network gains little from threads that share its sums, which moreover decide their last bits. Pieces of
    work that stand side by side gain from every core, and are the same on any number of them.

    Args:
        work: Each is called with what it tells its progress; they share nothing that they change.
        on_share: Told the share of all work that is done, in the caller's thread. Where it raises, all work ends the
            next time that it tells its progress.

    Raises:
        Exception: The first one, in the order of the work, of those that ended it.
    """
    threads = min(torch.get_num_threads(), len(work))
    with _one_thread():
        if threads < 2:
            return [one(_part_of(on_share, number, len(work))) for number, one in enumerate(work)]
        told: SimpleQueue[tuple[int, float] | None] = SimpleQueue()
        ended = threading.Event()
        with ThreadPoolExecutor(threads, "ondes", torch.set_num_threads, (1,)) as pool:
            try:
                running = [
                    pool.submit(copy_context().run, _run, one, number, told, ended)
                    for number, one in enumerate(work)
                ]
                _listen(told, on_share, len(work))
            except BaseException:
                ended.set()
                raise
        return _results(running)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch computes on one thread; it also forgets what worker threads made of its setting."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _part_of(on_share: OnShare, number: int, count: int) -> OnShare:
    """Progress of one of several pieces of work as progress of them all."""
    return lambda share: on_share((number + share) / count)


def _run(
    one: Callable[[OnShare], Result],
    number: int,
    told: SimpleQueue[tuple[int, float] | None],
    ended: threading.Event,
) -> Result:
    """A piece of work in a thread of its own, which says when it is over."""

    def tell(share: float) -> None:
        if ended.is_set():
            raise _Ended
        told.put((number, share))

    try:
        if ended.is_set():
            raise _Ended
        return one(tell)
    except BaseException:
        ended.set()
        raise
    finally:
        told.put(None)


def _listen(told: SimpleQueue[tuple[int, float] | None], on_share: OnShare, count: int) -> None:
    """Pass progress on until all work is over."""
    shares, over = [0.0] * count, 0
    while over < count:
        news = told.get()
        if news is None:
            over += 1
        else:
            shares[news[0]] = news[1]
            on_share(sum(shares) / count)


def _results(running: Sequence[Future[Result]]) -> list[Result]:
    """What all made.

    Raises:
        Exception: What ended them.
    """
    errors = [error for one in running if (error := one.exception()) is not None]
    for error in errors:
        if not isinstance(error, _Ended):
            raise error
    return [one.result() for one in running]
