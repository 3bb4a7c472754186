"""How tests run tasks: in folders of their own, with tiny models, and counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ondes.tasks.bench import Workbench
from ondes.tasks.shelf import ModelShelf
from ondes.tasks.task import Outcome, Source, Task

_numbers = itertools.count()


@dataclass
class Count:
    """Evaluations of a network."""

    evaluations: int = 0
    after: list[int] = field(default_factory=list)

    def hook(self, *_: object) -> None:
        self.evaluations += 1


@dataclass
class Studio:
    """A folder with models and inputs, and a shelf."""

    folder: Path
    shelf: ModelShelf

    @property
    def sources(self) -> dict[str, Path]:
        """The file for each field that refers to one."""
        song, sound = self.folder / "song.mid", self.folder / "sound.wav"
        return {"score": song, "given": song, "audio": sound, "first": sound, "second": sound}

    def run(self, task: Task, *, stem: str = "", **bench: Any) -> tuple[Path, Outcome]:
        """Run a task in a new folder beside the inputs."""
        made = self.folder / f"made-{next(_numbers)}"
        made.mkdir()
        given = {
            name: Source(self.sources[name], f"../{self.sources[name].name}") for name in task.references()
        }
        return made, task.run(given, made, Workbench(self.shelf, **bench), stem=stem)


@contextmanager
def counted(network: nn.Module) -> Iterator[Count]:
    """Counts how often a network is asked; after a test's own hooks nothing is left of them."""
    count = Count()
    handle = network.register_forward_hook(count.hook)
    try:
        yield count
    finally:
        handle.remove()


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of all files."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
