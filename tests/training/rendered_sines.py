"""What tests of training share: rendered pairs that take no renderer, and runs of the trainer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ondes.audio import Audio
from ondes.scores.notation import Page, to_midi
from ondes.training.cli import main

RATE_HZ = 44_100
Train = Callable[..., dict[str, Any]]
"""What the fixture `train` gives: trains in a folder, returns the last checkpoint."""

DENOISER = {
    "width": 8,
    "hidden": 8,
    "blocks": 1,
    "heads": 1,
    "note_width": 8,
    "note_embedding": 4,
    "partials": 2,
}
VOCODER = {"width": 8, "hidden": 8, "blocks": 1, "tonal_bins": 32}
UNET = {
    "styles": ["piano", "organ"],
    "widths": [8, 8],
    "hidden": [8, 8],
    "blocks": [1, 1],
    "strides": [2],
    "heads": 1,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "synth": {
        "model": {
            "model": {"class_path": "ondes.models.note_denoiser.NoteDenoiser", "init_args": DENOISER},
            "warm_up_steps": 1,
            "sketch_steps": 2,
            "ema_decay": 0.5,
        },
        "data": {"batch": 2, "frames": 16, "validation_batches": 1},
    },
    "audio": {
        "model": {
            "model": {"class_path": "ondes.models.mel_unet.MelUNet", "init_args": UNET},
            "warm_up_steps": 1,
            "ema_decay": 0.5,
        },
        "data": {"batch": 2, "frames": 32, "validation_batches": 1},
    },
    "vocoder": {
        "model": {
            "model": {"class_path": "ondes.models.vocoder.Vocoder", "init_args": VOCODER},
            "warm_up_steps": 1,
            "free_from": 2,
            "free_frames": 4,
            "ema_decay": 0.5,
        },
        "data": {"batch": 2, "samples": 4096, "validation_batches": 1},
    },
}
TRAINER = {
    "accelerator": "cpu",
    "max_epochs": -1,
    "max_steps": 6,
    "val_check_interval": 2,
    "check_val_every_n_epoch": None,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "enable_progress_bar": False,
    "logger": False,
    "log_every_n_steps": 1,
}


def tone(key: int, seconds: float) -> np.ndarray:
    """A sine that begins at once: (samples,)."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return 0.2 * np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * time_s)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four pairs of two sines in a row, half a second each."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for number, key in enumerate((60, 64, 67, 71)):
        page = Page("Sine", 80)
        page.note(0.0, key, 0.5, 100)
        page.note(0.5, key - 12, 0.5, 60)
        (folder / f"{number}.mid").write_bytes(to_midi([page], [(0.0, 60.0)]))
        left = np.concatenate([tone(key, 0.5), 0.5 * tone(key - 12, 0.5)])
        Audio(np.stack([left, 0.7 * left]).astype(np.float32), RATE_HZ).write(folder / f"{number}.flac")
        split = "validation" if number == 3 else "train"
        names = {"audio": f"{number}.flac", "midi": f"{number}.mid"}
        rows.append({"id": str(number), "split": split, **names})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_config(task: str, pairs: Path, run: Path) -> Path:
    """A configuration file of six steps, saved every third."""
    config = json.loads(json.dumps(CONFIGS[task])) | {"trainer": dict(TRAINER)}
    config |= {"run": str(run), "save_every": 2, "seed_everything": 0}
    config["data"]["folders"] = [str(pairs)]
    if task == "synth":
        config["trainer"]["gradient_clip_val"] = 1.0
    run.mkdir(parents=True, exist_ok=True)
    path = run / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def train(pairs: Path) -> Train:
    """Runs the trainer as `ondes train` does."""

    def run(task: str, folder: Path, *words: str) -> dict[str, Any]:
        main(task, ["--config", str(write_config(task, pairs, folder)), *words])
        return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)

    return run
