"""How many threads torch may use: a choice of one run of the command line, which its caller gets back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

_undo: ContextVar[ExitStack | None] = ContextVar("_undo", default=None)
"""What gives the threads back when the run ends."""


@contextmanager
def threads_given_back() -> Iterator[None]:
    """A run of the command line, after which torch has as many threads as before it.

    The count decides how large sums are split, hence their last bits: a program that calls `ondes.cli.main` for
    one file and computes on would otherwise get other numbers than without that call.
    """
    with ExitStack() as stack:
        token = _undo.set(stack)
        stack.callback(_undo.reset, token)
        yield


def use_threads(threads: int | None) -> None:
    """Tell torch how many threads it may use, until the run ends.

    Args:
        threads: Left as it is where None.
    """
    if threads is None:
        return
    import torch  # noqa: PLC0415

    stack = _undo.get()
    if stack is not None:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
    torch.set_num_threads(threads)
