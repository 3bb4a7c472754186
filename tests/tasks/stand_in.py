"""A task without a network: it writes the score backwards, and does as the score's name says."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ondes.errors import UserError
from ondes.tasks.batch import Plan
from ondes.tasks.bench import Cancelled, Workbench
from ondes.tasks.task import Made, Outcome, Reference, Source, Task


class Reverse(Task):
    """Writes the bytes of a score from the last to the first."""

    kind: Literal["reverse"] = "reverse"
    score: str
    times: int = 1
    words: tuple[str, ...] = ()
    model: str | None = None

    def references(self) -> dict[str, Reference]:
        return {"score": Reference(self.score, "score")}

    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        source = sources["score"]
        data = source.path.read_bytes()
        (folder / f"{stem}.txt").write_bytes(data[::-1] * self.times)
        if b"refuse" in data:
            raise UserError(f"{source.name} is refused;\n give another")
        if b"defect" in data:
            raise KeyError("defect")
        if b"crash" in data:
            os._exit(9)
        while b"forever" in data:
            time.sleep(0.01)
            if bench.cancelled():
                raise Cancelled
        (folder / "record.json").write_text(source.name)
        return Outcome([Made(f"{stem}.txt", "score"), Made("record.json", "record")], ["odd"])


class StandInPlan(Plan):
    """A plan that other processes can read, where `TASKS` has no stand-in."""

    @property
    def input_field(self) -> str:
        return "score"

    def task(self, name: str) -> Task:
        return Reverse(score=name, **self.options)


def plan(**options: Any) -> StandInPlan:
    """To do the stand-in with these options."""
    return StandInPlan("reverse", options, {})


def write_scores(folder: Path, **contents: str) -> Path:
    """A folder with a file `NAME.mid` for each content."""
    for name, content in contents.items():
        path = folder / f"{name.replace('__', '/')}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder
