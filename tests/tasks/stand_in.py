"""A task without a network: it writes the score backwards, and does as the score's name says."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from ondes.errors import UserError
from ondes.tasks.batch import Plan, find_items
from ondes.tasks.batch_engines import engine_of
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


def main() -> None:
    """Engine, folder, results, workers, and after how many files to stop: a line of JSON for each that is finished."""
    name, folder, out, workers, most = sys.argv[1:]
    items = find_items(Path(folder), Path(out), "score")
    with closing(engine_of(name)(plan(times=3), items, int(workers))) as results:
        for done in islice(results, int(most)):
            print(json.dumps([done.name, done.status, done.reason]), flush=True)


if __name__ == "__main__":
    from stand_in import main as importable  # other processes know the plan by this module's name

    importable()
