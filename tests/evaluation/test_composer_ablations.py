"""The driver of the ablations: its windows, tables and what it reads of runs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ondes.datasets.recordings import Rejections
from ondes.datasets.triple_segments import TripleSegments
from ondes.evaluation.symbolic import grid_share, scale_consistency


@pytest.fixture(scope="module")
def driver() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "composer_ablations.py"))


def scales(count: int, delta: float = 0.25) -> np.ndarray:
    """Segments of a C major scale up and down; the first delta is out of any grid."""
    steps = np.array([0, 2, 4, 5, 7, 9, 11])
    pitch = 60 + np.resize(steps, 128)
    one = np.stack([pitch, np.full(128, 0.25), np.full(128, delta)], 1).astype(np.float64)
    one[0, 2] = 0.123
    return np.repeat(one[None], count, 0)


def test_windows_begin_with_their_first_note(driver: dict[str, Any]) -> None:
    windows = driver["windows_of"](scales(3), ["a", "a", "b"])
    assert len(windows) == 3
    assert windows.counts().tolist() == [128] * 3
    assert scale_consistency(windows).tolist() == [1, 1, 1]
    assert grid_share(windows).tolist() == [1, 1, 1]
    off = grid_share(driver["windows_of"](scales(1, delta=0.3), ["a"]))
    assert float(off[0]) < 0.4


def test_tables_have_a_row_for_each_encoding_and_each_variant(driver: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    triples = np.stack(
        [rng.integers(40, 90, (4, 128)), rng.uniform(0.1, 1, (4, 128)), rng.uniform(0, 1, (4, 128))], -1
    )
    segments = TripleSegments(triples.astype(np.float32), np.array([0, 0, 1, 3]), Rejections())
    rows = driver["decode_table"](segments)
    rates = {
        (row["encoding"], row["range"]): row["closed form"] for row in rows if row["scaling"] == "minmax"
    }
    assert rates["log_hz", "of all notes"] == pytest.approx(0.306, abs=5e-4)
    assert rates["hz", "of all notes"] < rates["hz", "of the data"]
    assert all(row["measured"] == pytest.approx(row["closed form"], abs=0.1) for row in rows)
    midi = next(row for row in rows if row["encoding"] == "midi")
    assert midi["closed form"] == pytest.approx(1, abs=1e-3)
    assert midi["data deviation"] == pytest.approx(1)
    held_out = driver["held_out_rows"](segments, 10)
    assert list(held_out) == ["held-out", "held-out rhythm, random pitch", "noise"]
    assert held_out["held-out"]["windows"] == 4
    lines = driver["scores_markdown"](held_out).splitlines()
    assert lines[2].startswith("| held-out | 4 | 3.")
    assert len(driver["decode_markdown"](rows).splitlines()) == len(rows) + 2


def test_the_last_losses_of_a_run_are_read_over_all_its_logs(driver: dict[str, Any], tmp_path: Path) -> None:
    for name, rows in (("log", ["1,0.5,", "2,,0.9"]), ("log_2", ["3,0.4,"])):
        (tmp_path / name).mkdir()
        text = "\n".join(["step,validation/loss_0,train/loss", *rows])
        (tmp_path / name / "metrics.csv").write_text(text)
    assert driver["last_losses"](tmp_path) == {"validation/loss_0": 0.4}
    assert driver["batches"](7, 3) == [(0, 3), (3, 3), (6, 1)]
