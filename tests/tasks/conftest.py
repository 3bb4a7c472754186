"""What tests of running tasks share: tiny models, a score and a sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bench import Studio

import tiny_model
from ondes.audio import Audio
from ondes.scores.notation import Page, to_midi
from ondes.tasks.shelf import ModelShelf


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: Any) -> Studio:
    """A folder with models of every kind, `song.mid` and `sound.wav`, and a shelf that holds them all."""
    folder: Path = tmp_path_factory.mktemp("tiny")
    tiny_model.save_tiny_model(folder / "synth")
    tiny_model.save_tiny_composer(folder / "composer")
    tiny_model.save_tiny_separator(folder / "separator")
    tiny_model.save_tiny_audio(folder / "audio")
    pages = [Page("Piano", 0), Page("Bass", 33)]
    for beat in range(2):
        pages[0].note(beat, 60 + beat, 0.5, 80)
        pages[1].note(beat, 36, 0.5, 80)
    (folder / "song.mid").write_bytes(to_midi(pages, [(0.0, 240.0)]))
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, (1, 88_200)).astype(np.float32)
    Audio(samples, 44_100).write(folder / "sound.wav")
    return Studio(folder, ModelShelf(4, threads=1))
