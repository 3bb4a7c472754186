"""How many threads of torch a task computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SYMBOLIC = 1
"""Threads of networks that see notes: their products are too small to be worth sharing, and the music does not
depend on how many cores there are."""


@contextmanager
def computing_with(threads: int | None) -> Iterator[None]:
    """Torch has so many threads within, and as many as before afterwards; None changes nothing.

    The count decides how large sums are split, hence their last bits.
    """
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
