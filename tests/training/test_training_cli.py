from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from rendered_sines import Train, write_config  # pyright: ignore[reportMissingImports]

from ondes.errors import UserError
from ondes.models.note_denoiser import NoteDenoiser
from ondes.models.vocoder import Vocoder
from ondes.training.cli import TASKS, main, refusal

MODELS = {"synth": NoteDenoiser, "vocoder": Vocoder}


class PowerCutError(Exception):
    pass


def power_cut(monkeypatch: pytest.MonkeyPatch, task: str, *, batch: int) -> None:
    """Lets the training die in the middle of a batch."""
    module, name, _ = TASKS[task]
    training = getattr(importlib.import_module(module), name)
    step = training.training_step

    def dying(self: Any, windows: Any) -> Any:
        if self.trainer.fit_loop.epoch_loop.batch_idx == batch:
            raise PowerCutError
        return step(self, windows)

    monkeypatch.setattr(training, "training_step", dying)


def same(one: Any, other: Any) -> bool:
    """Whether two states, of any depth, hold the same numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize(
    ("task", "steps"), [("synth", 4), pytest.param("vocoder", 6, marks=pytest.mark.slow)]
)
def test_a_resumed_run_is_an_unbroken_one_bit_for_bit(
    task: str, steps: int, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--trainer.max_steps", str(steps))
    unbroken = train(task, tmp_path / "unbroken", *words)
    with monkeypatch.context() as patch:
        power_cut(patch, task, batch=3)
        with pytest.raises(PowerCutError):
            train(task, tmp_path / "broken", *words)
    kept = torch.load(tmp_path / "broken" / "checkpoints" / "last.ckpt", weights_only=False)
    assert 0 < kept["global_step"] < unbroken["global_step"]
    resumed = train(task, tmp_path / "broken", *words)
    assert same(resumed["state_dict"], unbroken["state_dict"])
    assert same(resumed["optimizer_states"], unbroken["optimizer_states"])
    assert not same(kept["state_dict"], unbroken["state_dict"])
    model = MODELS[task].from_pretrained(tmp_path / "broken" / "model")
    prefix = "average.module."
    average = {key: unbroken["state_dict"][prefix + key] for key in model.state_dict()}
    assert same(dict(model.state_dict()), average)
    assert len(list((tmp_path / "broken").glob("log*/metrics.csv"))) == 2
    assert len(list((tmp_path / "broken").rglob("*.ckpt"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("task", MODELS)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    task: str, pairs: Path, train: Train, tmp_path: Path
) -> None:
    unbroken = train(task, tmp_path / "unbroken")
    config = write_config(task, pairs, tmp_path / "killed")
    code = "import sys; from ondes.training.cli import main; main(sys.argv[1], sys.argv[2:])"
    words = [sys.executable, "-c", code, task, "--config", str(config)]
    process = subprocess.Popen(words, env=os.environ)
    while not (tmp_path / "killed" / "checkpoints" / "last.ckpt").is_file() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(words, check=True)
    killed = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=False)
    assert same(killed["state_dict"], unbroken["state_dict"])


def test_a_run_says_nothing_but_what_is_its_own(
    train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train("synth", tmp_path, "--trainer.max_steps", "2")
    assert "".join(capfd.readouterr()).strip() == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ["--trainer.max_stepz", "3"],
            "there is no setting 'trainer.max_stepz': did you mean 'trainer.max_steps'",
        ),
        (["--model.learning_rat", "1"], "did you mean 'model.learning_rate'"),
        (["--model.learning_rate", "fast"], "model.learning_rate.*float"),
        (["--model.model.init_args.widht", "3"], "widht"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    words: list[str], hint: str, pairs: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=hint) as refused:
        main("synth", ["--config", str(write_config("synth", pairs, tmp_path)), *words])
    assert "\n" not in str(refused.value)


def test_an_unknown_key_of_a_configuration_file_is_named_with_the_nearest(
    pairs: Path, tmp_path: Path
) -> None:
    config = write_config("vocoder", pairs, tmp_path)
    config.write_text(config.read_text().replace("free_from", "free_form"))
    with pytest.raises(UserError, match=r"model\.free_form.*did you mean 'model\.free_from'"):
        main("vocoder", ["--config", str(config)])


def test_a_refusal_without_a_key_keeps_its_words() -> None:
    assert refusal("Some\n  other reason", ["a.b"]) == "the configuration cannot be used: Some other reason"


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UserError, match="no training task 'vocodr': did you mean 'vocoder'"):
        main("vocodr", [])


def test_a_folder_without_pairs_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no rendered pairs"):
        main("synth", ["--config", str(write_config("synth", tmp_path, tmp_path))])
