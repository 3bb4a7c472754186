"""A worker in a process of its own whose tasks are tones; writes down which job it begins."""

from __future__ import annotations

import sys
from pathlib import Path

from studio_bench import read_tone

from ondes.studio import worker
from ondes.tasks import kinds

runs = Path(sys.argv[1]) / "runs.log"
work = worker.Worker.work


def noted(self: worker.Worker, job: worker.Job, stopping: worker.threading.Event) -> None:
    with runs.open("a") as log:
        log.write(f"{job.id} {job.attempts}\n")
    work(self, job, stopping)


worker.Worker.work = noted
worker.warm = lambda: None
kinds.read_task = read_tone  # pyright: ignore[reportAttributeAccessIssue]
worker.main(sys.argv[1:])
