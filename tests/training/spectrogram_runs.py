"""What tests of training on 16 kHz log-mels share: a folder of rendered pairs, and runs of the trainer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rendered_sines import TRAINER  # pyright: ignore[reportMissingImports]

from ondes.training.cli import main

SYSTEMS = {
    "diffusion": "ondes.training.spectrogram_diffusion.SpectrogramDiffusionTraining",
    "autoregressive": "ondes.training.spectrogram_autoregressive.SpectrogramAutoregressiveTraining",
}
SIZES = {
    "emb_dim": 8,
    "dim_feedforward": 8,
    "nhead": 2,
    "head_dim": 4,
    "num_layers": 1,
    "max_input_length": 64,
}
SpectrogramTrain = Callable[..., dict[str, Any]]
"""Trains a system in a folder with further words; returns the last checkpoint."""
Unbroken = Callable[[str], tuple[Path, dict[str, Any]]]
"""The folder and the last checkpoint of a system that was trained without a break."""


@pytest.fixture(scope="session")
def rendered(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered sines, with the lengths that 'ondes data render' notes."""
    folder = tmp_path_factory.mktemp("rendered") / "pairs"
    shutil.copytree(pairs, folder)
    manifest = folder / "manifest.jsonl"
    rows = [{"seconds": 1.0, **json.loads(line)} for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_system(system: str, rendered: Path, run: Path) -> Path:
    """A configuration file of four steps."""
    model = {
        "class_path": SYSTEMS[system],
        "init_args": {**SIZES, "ema_decay": 0.5, "optimizer": "adafactor"},
    }
    data = {"batch_size": 2, "midi_output_size": 64, "rendered_path": str(rendered), "validation_batches": 1}
    if system == "diffusion":
        model["init_args"]["with_context"] = data["with_context"] = True
    config = {
        "run": str(run),
        "save_every": 2,
        "seed_everything": 0,
        "model": model,
        "data": {
            "class_path": "ondes.training.spectrogram_data.SpectrogramData",
            "init_args": data | {"cache_folder": str(rendered.parent / "cache")},
        },
        "trainer": {**TRAINER, "max_steps": 4},
    }
    run.mkdir(parents=True, exist_ok=True)
    path = run / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def train_spectrogram(rendered: Path) -> SpectrogramTrain:
    """Runs the trainer as `ondes train spectrogram-diffusion` does."""

    def run(system: str, folder: Path, *words: str) -> dict[str, Any]:
        main("spectrogram-diffusion", ["--config", str(write_system(system, rendered, folder)), *words])
        return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)

    return run


@pytest.fixture(scope="session")
def unbroken(train_spectrogram: SpectrogramTrain, tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    """Trains each system once for all tests."""

    @cache
    def run(system: str) -> tuple[Path, dict[str, Any]]:
        folder = tmp_path_factory.mktemp(system)
        return folder, train_spectrogram(system, folder)

    return run
