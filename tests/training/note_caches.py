"""What tests of the composer's training share: a cache of little scores, and runs of the trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rendered_sines import TRAINER  # pyright: ignore[reportMissingImports]

from ondes.datasets.note_cache import build_note_cache
from ondes.representations.note_sequence import BarTable, NoteSequence, from_note_sequence
from ondes.training.cli import main

TrainComposer = Callable[..., dict[str, Any]]
"""What the fixture `train_composer` gives: trains in a folder, returns the last checkpoint."""

NETWORK = {"width": 8, "depth": 1, "heads": 1, "hidden": 8, "styles": ["songs"]}
MODEL: dict[str, Any] = {
    "model": {"class_path": "ondes.models.note_transformer.NoteTransformer", "init_args": NETWORK},
    "warm_up_steps": 1,
    "ema_decay": 0.5,
}
DATA = {"lengths": [12, 16], "notes_per_batch": 40, "validation_batches": 2}


def song(seed: int, *, notes: int = 40, velocity: int = 0) -> NoteSequence:
    """A melody and chords under it in 3/4, on the grid of eighths."""
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.integers(0, 48, notes)) * 12
    return NoteSequence(
        bar=onset // 72,
        position=onset % 72,
        offset=np.zeros(notes, np.int64),
        pitch=rng.integers(48, 80, notes),
        duration_steps=rng.choice([12, 24, 36], notes),
        velocity=rng.integers(40, 100, notes) if velocity else np.zeros(notes, np.int64),
        instrument=rng.choice([0, 40], notes),
        part_number=np.zeros(notes, np.int64),
        track=np.zeros(notes, np.int64),
        index=np.arange(notes),
        bars=BarTable.constant(8, numerator=3, bpm=90.0),
    ).sorted()


@pytest.fixture(scope="session")
def note_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with caches called `train` and `validation`; of some songs the velocities are known."""
    folder = tmp_path_factory.mktemp("notes")
    for split, seeds in (("train", range(5)), ("validation", range(5, 8))):
        (folder / "songs" / split).mkdir(parents=True)
        for seed in seeds:
            path = folder / "songs" / split / f"{seed}.mid"
            from_note_sequence(song(seed, velocity=seed % 2)).dump_midi(path)
        build_note_cache(folder / "songs" / split, folder / split)
    return folder


def write_composer_config(caches: Path, run: Path, **model: Any) -> Path:
    """A configuration file of a tiny training."""
    run.mkdir(parents=True, exist_ok=True)
    path = run / "given.yaml"
    data = {**DATA, **{split: str(caches / split) for split in ("train", "validation")}}
    settings = {
        "run": str(run),
        "save_every": 2,
        "seed_everything": 1,
        "trainer": {**TRAINER, "max_steps": 4},
    }
    path.write_text(yaml.safe_dump({**settings, "model": {**MODEL, **model}, "data": data}))
    return path


@pytest.fixture
def train_composer(note_caches: Path) -> TrainComposer:
    """Trains in a folder and gives the last checkpoint."""

    def run(folder: Path, *words: str, **model: Any) -> dict[str, Any]:
        main("compose", ["--config", str(write_composer_config(note_caches, folder, **model)), *words])
        return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)

    return run
