"""What a task is done with: models, and whom it tells and asks meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ondes.tasks.shelf import ModelShelf

if TYPE_CHECKING:
    from ondes.audio import Audio


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """The task was told to stop; what it has written so far is of no use, but for its journal."""


def _nobody(done: float, total: float) -> None:
    """Nobody is told."""


def _never() -> bool:
    """Nobody stops the work."""
    return False


@dataclass
class Workbench:
    """What a task is done with.

    Attributes:
        shelf: Where models are kept.
        progress: Told what is done and what there is to do: seconds of audio, or notes.
        cancelled: Asked, at most every few milliseconds, whether to stop; then `Cancelled` is raised before the next
            evaluation of a network.
        on_block: Takes the audio as it is made, block after block; a task that resumes begins at the beginning.
        journal: Folder that keeps what is finished, so that the same task goes on there after an interruption, with
            the same bytes as without one; made where missing. Nothing is kept where None.
        home: Folder where the files will lie in the end, if the task's own is only temporary: records name models
            in folders relative to it.
    """

    shelf: ModelShelf = field(default_factory=ModelShelf)
    progress: Callable[[float, float], None] = _nobody
    cancelled: Callable[[], bool] = _never
    on_block: Callable[[Audio], None] | None = None
    journal: Path | None = None
    home: Path | None = None
