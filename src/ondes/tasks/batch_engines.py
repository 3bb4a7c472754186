"""Who works through a batch: processes of this machine, or actors of Ray.

An engine takes a plan, files and a number of workers, and gives what becomes of each file, in the order in which they
are finished. Closing it stops all work within one evaluation of a network. A worker that dies costs the file that it
worked on, and no other.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from multiprocessing.synchronize import Event
from typing import Any

from ondes.errors import UserError
from ondes.tasks.batch import Done, Item, Plan, Worker
from ondes.tasks.bench import Cancelled

log = logging.getLogger(__name__)

Engine = Callable[[Plan, Sequence[Item], int], Generator[Done, None, None]]

DIED = "the process that worked on it died, perhaps for lack of memory; try it alone, or with fewer workers"

STOP_S = 30.0
"""How long workers of Ray may take to stop before they are killed."""

RAY_STARTS = 4
"""Ray gives itself 30 s to start, and a machine that is busy may need longer: so often it is tried."""


def engine_of(name: str) -> Engine:
    """The engine of a name: "local", "ray" for workers that Ray starts on this machine, or the address of a cluster.

    Raises:
        UserError: If there is no such engine, or Ray is missing.
    """
    if name == "local":
        return with_processes
    if name != "ray" and not name.startswith("ray://"):
        raise UserError(f"there is no engine {name!r}; local, ray or ray://HOST:PORT are")
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"the engine {name} needs Ray, which is not installed; pip install 'ondes[ray]'")
    address = None if name == "ray" else name
    return lambda plan, items, workers: with_ray(plan, items, workers, address=address)


def with_processes(plan: Plan, items: Sequence[Item], workers: int) -> Generator[Done, None, None]:
    """Work with processes of this machine, started afresh so that they share nothing with this one."""
    waiting = deque(items)
    while waiting:
        for suspect in (yield from _through(plan, waiting, workers)):
            suspect.discard()
            if (yield from _through(plan, deque([suspect]), 1)):
                suspect.discard()
                yield Done(suspect.name, "failed", DIED)


def _through(plan: Plan, waiting: deque[Item], workers: int) -> Generator[Done, None, list[Item]]:
    """Work through a queue until it is empty or a process dies; what was being worked on then."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    running: dict[Future[Done], Item] = {}
    with ProcessPoolExecutor(
        min(workers, len(waiting)), mp_context=context, initializer=_begin, initargs=(plan, stop)
    ) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    with _deaf_to_ctrl_c():  # and so is a process that begins here
                        running[pool.submit(_work, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done = future.result()
                    del running[future]
                    yield done
        except BrokenProcessPool:
            for future in [one for one in running if one.done() and one.exception() is None]:
                del running[future]
                yield future.result()
            return list(running.values())
        except BaseException:
            stop.set()
            # Who is just beginning needs our semaphores, and who works takes away what is half-made.
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return []


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until afterwards; processes that begin within never hear Ctrl-C: the parent ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    # A mask alone would not do: any thread may take a signal for the process, whose handler runs in this one.
    before = {
        number: signal.signal(number, lambda number, _: heard.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    for number in heard:
        signal.raise_signal(number)


_worker: Worker | None = None
"""Of this process, where it is one of a pool."""


def _begin(plan: Plan, stop: Event) -> None:
    """Make a process of a pool ready: quiet, with its threads, deaf to Ctrl-C, and never left behind."""
    global _worker  # noqa: PLW0603 - the pool has no other place for what a process keeps
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and stops the work in order
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    _be_quiet(plan.threads)
    _worker = Worker(plan, stop.is_set)


def _be_quiet(threads: int) -> None:
    """No warnings in a worker, whose remarks are in the records; torch, once it is loaded, with its threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["DIFFUSERS_VERBOSITY"] = "critical"
    warnings.simplefilter("ignore")
    logging.getLogger("ondes").setLevel(logging.ERROR)


def _work(item: Item) -> Done:
    """Work on a file in a process of a pool."""
    assert _worker is not None, "the pool has begun"
    try:
        if _worker.stopped():
            raise Cancelled
        return _worker.work(item)
    except Cancelled:
        return Done(item.name, "failed", "stopped")


class RayWorker:
    """A worker as an actor of Ray, which can be told to stop while it works."""

    def __init__(self, plan: Plan) -> None:
        self.stopping = threading.Event()
        _be_quiet(plan.threads)
        self.worker = Worker(plan, self.stopping.is_set)

    def ready(self) -> None:
        """Answer once the worker is there."""

    def work(self, item: Item) -> Done:
        """Work on a file."""
        try:
            return self.worker.work(item)
        except Cancelled:
            return Done(item.name, "failed", "stopped")

    def stop(self) -> None:
        """Let the work that goes on end."""
        self.stopping.set()


def with_ray(
    plan: Plan, items: Sequence[Item], workers: int, *, address: str | None = None
) -> Generator[Done, None, None]:
    """Work with actors of Ray, each with models of its own; files must be where all of them can reach them.

    Args:
        plan: What to do.
        items: The files.
        workers: How many actors.
        address: Of a cluster, as `ray://host:10001`; where None Ray is started here, for this batch alone.
    """
    with ray_aside():
        yield from _with_actors(plan, items, workers, address)


def _with_actors(
    plan: Plan, items: Sequence[Item], workers: int, address: str | None
) -> Generator[Done, None, None]:
    """See `with_ray`."""
    join_ray(address, workers * plan.threads)
    import ray  # noqa: PLC0415
    from ray.exceptions import RayError  # noqa: PLC0415

    # Two calls at a time: the work, and the word to stop.
    actors: Any = ray.remote(RayWorker).options(num_cpus=plan.threads, max_concurrency=2)  # pyright: ignore
    waiting = deque(items)
    running: dict[Any, tuple[Any, Item]] = {}
    try:
        for actor in [actors.remote(plan) for _ in range(min(workers, len(waiting)))]:
            if not running:
                _check_beginning(actor)
            _give(actor, waiting, running)
        while running:
            (finished, *_), _ = ray.wait(list(running), num_returns=1)
            actor, item = running.pop(finished)
            try:
                done = ray.get(finished)
            except RayError:
                done, actor = Done(item.name, "failed", DIED), None
                item.discard()
            if waiting:
                _give(actor or actors.remote(plan), waiting, running)
            yield done
    finally:
        for actor, _ in running.values():
            actor.stop.remote()
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=STOP_S)
        with redirect_stdout(_ToLog()):
            ray.shutdown()


def _check_beginning(actor: Any) -> None:
    """Wait until a worker is there.

    Raises:
        UserError: If it cannot begin, as where ondes is not installed.
    """
    import ray  # noqa: PLC0415
    from ray.exceptions import RayError  # noqa: PLC0415

    try:
        ray.get(actor.ready.remote())
    except RayError as error:
        reason = [type(error).__name__, *str(error).strip().splitlines()][-1]
        raise UserError(f"workers of Ray cannot begin ({reason}); install ondes where they run") from None


def _give(actor: Any, waiting: deque[Item], running: dict[Any, tuple[Any, Item]]) -> None:
    """Give a worker the next file."""
    item = waiting.popleft()
    running[actor.work.remote(item)] = (actor, item)


def join_ray(address: str | None, processors: int) -> None:
    """Be a client of a cluster, or the head of a small one that nobody else can reach.

    Raises:
        UserError: If the cluster cannot be reached, or a small one does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # everywhere: it listens to this machine alone
    import ray  # noqa: PLC0415

    chosen: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.CRITICAL}
    if address is None:
        alone = {"address": "local", "include_dashboard": False}
        chosen |= {"num_cpus": processors, **alone}
    for tries_left in reversed(range(RAY_STARTS if address is None else 1)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(**chosen)
        except Exception as error:  # Ray has no class of its own for this
            ray.shutdown()
            words = " ".join(str(error).split())
            if tries_left and "timed out" in words:
                log.info("Ray is not ready yet: %s", words)
                continue
            raise UserError(
                f"no Ray cluster at {address}: {words}; give ray://HOST:PORT"
                if address
                else f"Ray does not start here: {words}; try again, or work with the engine local"
            ) from None
        return


@contextmanager
def ray_aside() -> Iterator[None]:
    """What threads of Ray print, as that a worker died, goes to the log: standard output is for results."""
    before = sys.stdout
    sys.stdout = _Aside(before, threading.get_ident())
    try:
        yield
    finally:
        sys.stdout = before


class _ToLog(io.TextIOBase):
    """Takes text as messages of little interest."""

    def write(self, text: str) -> int:
        """Log a text that says something."""
        if text.strip():
            log.debug("Ray: %s", text.strip())
        return len(text)


class _Aside:
    """A stream for one thread; what others write goes to the log.

    Args:
        stream: Of the thread.
        thread: Its number.
    """

    def __init__(self, stream: Any, thread: int) -> None:
        self.stream, self.thread, self.log = stream, thread, _ToLog()

    def write(self, text: str) -> int:
        """Write for the thread, or log."""
        return (self.stream if threading.get_ident() == self.thread else self.log).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
