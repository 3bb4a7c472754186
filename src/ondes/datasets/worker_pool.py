"""Work on many items in several processes, with the results in the order of the items."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from ondes.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """The result of each item, in order; only a few are ahead of the reader at a time.

    Args:
        work: What to do; with several workers it and the items are pickled.
        items: What to do it with.
        workers: Processes; with 1 the work is done in this one.

    Raises:
        UserError: If there is no worker, or a process dies.
    """
    if workers < 1:
        raise UserError(f"{workers} workers; give 1 or more")
    if workers == 1 or len(items) < 2:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(items)), mp_context=context, initializer=_start, initargs=(work,)
    )
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_work, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process died, perhaps for want of memory; repeat the command with fewer workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_task: Callable[[Any], Any] | None = None
"""What this worker process does."""


def _start(work: Callable[[Any], Any]) -> None:
    """In a new process: one thread, Ctrl-C is the parent's business, and the parent is not outlived."""
    global _task  # noqa: PLW0603
    _task = work
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def _work(item: Any) -> Any:
    if _task is None:
        raise RuntimeError("a worker runs before it was started")
    return _task(item)
