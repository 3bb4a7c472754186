"""Finished pieces of a task's work, kept in files, so that an interrupted task goes on where it stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ondes.files import written_whole

if TYPE_CHECKING:
    from torch import Tensor


class Journal:
    """Gives results that are kept, and keeps new ones: a `Keep` of `ondes.diffusion.sampling`.

    A result is found by a hash of what it begins with, and by its name or else its place in the order of the work, so
    that a journal of other work gives nothing.

    Args:
        folder: Holds the files; made where missing.
        work: What is done, in a word that no other work has: the same task, with the same inputs and model.
    """

    def __init__(self, folder: Path, work: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.work = folder, work
        self._count = 0
        self._lock = threading.Lock()

    def __call__(
        self, begin: Tensor, name: str, compute: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """The results of `compute`, which begins with a tensor; from the journal where they are there."""
        from safetensors.torch import save_file  # noqa: PLC0415

        from ondes.diffusion.sampling import begins_with  # noqa: PLC0415

        found_by = begins_with(begin, f"{self.work} {name}")[:32]
        path = self.folder / f"{'named' if name else self._next()}-{found_by}.safetensors"
        if (found := _read(path)) is not None:
            return tuple(one.to(begin.device) for one in found)
        made = compute()
        with written_whole(path) as neighbour:
            save_file(
                {str(place): one.detach().cpu().contiguous() for place, one in enumerate(made)}, neighbour
            )
        return made

    def _next(self) -> str:
        """The place of what comes next in the order of the work."""
        with self._lock:
            number, self._count = self._count, self._count + 1
        return f"{number:06d}"


def _read(path: Path) -> tuple[Tensor, ...] | None:
    """The results in a file; None where there is none, or a damaged one."""
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    try:
        found = load_file(path)
        return tuple(found[str(place)] for place in range(len(found)))
    except (OSError, KeyError, SafetensorError):
        return None
