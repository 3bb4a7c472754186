"""A small SoundFont, which pretty_midi ships, and a short way to write notes."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ondes.controls import Controls
from ondes.score import Notes, Part


@pytest.fixture(scope="session")
def soundfont() -> Path:
    spec = importlib.util.find_spec("pretty_midi")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("TimGM6mb.sf2")


@pytest.fixture(scope="session")
def notes_of() -> Callable[..., Notes]:
    """Rows (onset_s, release_s, pitch, velocity, part) and parts (program, or -1 for drums) as `Notes`."""

    def build(
        rows: list[tuple[float, float, int, int, int]],
        programs: tuple[int, ...] = (0,),
        controls: tuple[Controls, ...] = (),
    ) -> Notes:
        table = np.array(sorted(rows, key=lambda row: (row[0], row[4], row[2])), np.float64).reshape(-1, 5)
        controls = controls or (Controls(),) * len(programs)
        parts = tuple(
            Part(f"part {index}", max(program, 0), program < 0, control)
            for index, (program, control) in enumerate(zip(programs, controls, strict=True))
        )
        part = table[:, 4].astype(np.int64)
        return Notes(
            onset_s=table[:, 0],
            release_s=table[:, 1],
            key_release_s=table[:, 1],
            pitch=table[:, 2].astype(np.int64),
            velocity=table[:, 3].astype(np.int64),
            program=np.array([p.program for p in parts], np.int64)[part],
            is_drum=np.array([p.is_drum for p in parts], np.bool_)[part],
            part=part,
            parts=parts,
            duration_s=float(table[:, 1].max(initial=0.0)),
        )

    return build
