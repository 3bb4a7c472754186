"""Triples against the published steps, written anew with mido in the benchmark: what they share, and each repair."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest

from ondes.datasets.triple_segments import file_segments
from ondes.representations.triples import TripleLimits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Theirs = Callable[..., np.ndarray | None]


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return runpy.run_path(str(BENCHMARKS / "composer_tensors.py"))
    finally:
        sys.path.remove(str(BENCHMARKS))


def write_piece(
    path: Path, *, drums: bool = False, pedal: bool = False, ticks_per_quarter: int = 480
) -> Path:
    """260 notes in two voices, some of them struck while they sound, with program changes; drums have more messages."""
    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_quarter)
    eighth = ticks_per_quarter // 2
    rng = np.random.default_rng(0)
    for channel in (0, 9) if drums else (0,):
        track = mido.MidiTrack()
        track.append(mido.Message("program_change", program=0, channel=channel, time=0))
        for step in range(130 if channel == 0 else 200):
            low, high = 36 + int(rng.integers(0, 5)), 60 + int(rng.integers(0, 5))
            words: dict[str, Any] = {"channel": channel, "velocity": 80}
            track.append(mido.Message("note_on", note=low, time=0, **words))
            track.append(mido.Message("note_on", note=high, time=eighth // 2, **words))
            if pedal:
                track.append(
                    mido.Message("control_change", control=64, value=127 * (step % 2), time=eighth // 4)
                )
            off: dict[str, Any] = {"channel": channel, "velocity": 0}
            track.append(mido.Message("note_off", note=low, time=eighth // 4, **off))
            track.append(mido.Message("note_on", note=high, time=eighth // 4, **off))
        file.tracks.append(track)
    file.save(path)
    return path


def ours(path: Path) -> np.ndarray | None:
    return file_segments(path, limits=TripleLimits())[0]


@pytest.mark.parametrize("ticks_per_quarter", [480, 960])
@pytest.mark.parametrize("pedal", [False, True])
def test_the_repaired_steps_give_the_same_segments(
    benchmark: dict[str, Any], tmp_path: Path, pedal: bool, ticks_per_quarter: int
) -> None:
    path = write_piece(tmp_path / "a.mid", drums=True, pedal=pedal, ticks_per_quarter=ticks_per_quarter)
    mine, other = ours(path), benchmark["theirs"](path, repaired=True)
    assert mine is not None
    assert mine.shape == (2, 128, 3)
    assert benchmark["agreement"]([mine, None, mine], [other, None, None]) == {
        "equal": 1,
        "neither": 1,
        "one side only": 1,
    }
    shifted = other + np.array([1, 0, 0])
    assert benchmark["agreement"]([mine], [shifted]) == {"different": 1}


def test_the_published_steps_take_drums_and_lose_time(benchmark: dict[str, Any], tmp_path: Path) -> None:
    theirs: Theirs = benchmark["theirs"]
    drums = theirs(write_piece(tmp_path / "drums.mid", drums=True), repaired=False)
    assert drums is not None
    assert len(drums) == 3  # of 400 notes, the drums'
    mine = ours(write_piece(tmp_path / "pedal.mid", pedal=True))
    halved = theirs(tmp_path / "pedal.mid", repaired=False)
    assert mine is not None
    assert halved is not None
    # 480 ticks counted as half a quarter note, and the quarter of an eighth before each pedal lost.
    assert mine[0, 1:, 2].sum() / halved[0, 1:, 2].sum() > 2.2


def test_the_training_tensor_is_scaled_by_the_range_of_all(benchmark: dict[str, Any], tmp_path: Path) -> None:
    found = [ours(write_piece(tmp_path / "a.mid")), None]
    tensor = benchmark["scaled"](found)
    assert tuple(tensor.shape) == (2, 128, 3)
    assert (float(tensor.min()), float(tensor.max())) == (0.0, 1.0)
    assert tuple(benchmark["scaled"]([None]).shape) == (0, 128, 3)
