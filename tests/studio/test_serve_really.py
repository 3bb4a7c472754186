"""`ondes serve` itself, with its database, its workers and its reading processes, in the benchmarks' shortest forms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def _table(name: str, *words: str) -> dict[str, str]:
    """What a benchmark found."""
    ran = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    rows = [line.strip("| ").split(" | ") for line in ran.stdout.splitlines() if line.startswith("| ")]
    return dict(rows[2:])  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_malformed_uploads_are_refused_and_leave_nothing() -> None:
    found = _table("studio_uploads", "--count", "60")
    assert found["answers that should not be"] == "0"
    first_mb, last_mb = (float(found[f"memory MB after {share}%"]) for share in (0, 100))
    assert last_mb < first_mb + 20
    assert float(found["slowest s"]) < 60


@pytest.mark.slow
def test_every_accepted_job_ends_in_exactly_one_result_though_the_server_is_killed() -> None:
    found = _table("studio_load", "--minutes", "0.2", "--clients", "6", "--kill")
    assert int(found["jobs accepted"]) >= 6
    assert found["lost"] == found["with a result twice"] == found["seeds with differing results"] == "0"
    assert found["of these done"] == found["jobs in the database"]
    assert [count for name, count in found.items() if name.startswith("done with other than")] == ["0"]
