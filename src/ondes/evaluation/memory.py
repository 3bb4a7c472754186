"""Peak memory of playing long scores, each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence

from ondes.errors import UserError

MINUTES = (2, 10)
"""Lengths to compare: memory should not grow from one to the next."""


def peak_bytes(
    model: str,
    *,
    steps: int,
    threads: int,
    minutes: Sequence[int] = MINUTES,
    after_each: Callable[[], object] = lambda: None,
) -> dict[int, int]:
    """Minutes of music to the most bytes that a process held which streamed them to a file.

    Args:
        model: Bundled name, folder or Hub id.
        steps: Solver steps.
        threads: CPU threads.
        minutes: Lengths of the scores.
        after_each: Called after each, for a progress bar.

    Raises:
        UserError: If the process fails.
    """
    peaks = {}
    for length in minutes:
        command = [sys.executable, "-m", "ondes.evaluation.memory_probe"]
        done = subprocess.run(
            [*command, model, str(length), str(steps), str(threads)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise UserError(
                f"playing {length} minutes in a process of its own failed ({said}); pass --no-memory"
            )
        peaks[length] = int(json.loads(done.stdout)["peak_bytes"])
        after_each()
    return peaks
