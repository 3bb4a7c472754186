"""How many threads torch may use: a choice of one run of the command line, which its caller gets back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class _Run:
    """A run of the command line, with torch's threads before it changed them."""

    threads_before: int | None = None


_run: ContextVar[_Run | None] = ContextVar("_run", default=None)


@contextmanager
def threads_given_back() -> Iterator[None]:
    """A run of the command line, after which torch has as many threads as before it.

    The count decides how large sums are split, hence their last bits: a program that calls `ondes.cli.main` for
    one file and computes on would otherwise get other numbers than without that call.
    """
    run = _Run()
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)
        if run.threads_before is not None:
            import torch  # noqa: PLC0415

            torch.set_num_threads(run.threads_before)


def use_threads(threads: int | None, *, usual: int | None = None) -> None:
    """Tell torch how many threads it may use, until the run ends.

    Args:
        threads: What the user says.
        usual: What is best for a task where nobody says; as many as before the run where None.
    """
    run = _run.get() or _Run()
    if threads is None and usual is None and run.threads_before is None:
        return
    import torch  # noqa: PLC0415

    if run.threads_before is None:
        run.threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or usual or run.threads_before)
