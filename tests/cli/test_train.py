from __future__ import annotations

import importlib
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
from sine_pipeline import Ondes

from ondes.cli import train
from ondes.training import cli as training


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the trainer was called with."""
    calls: list[Any] = []
    trainer = SimpleNamespace(main=lambda task, arguments: calls.append((task, arguments)))
    whole = importlib.import_module

    def choose(name: str, package: str | None = None) -> Any:
        return trainer if name == "ondes.training.cli" else whole(name, package)

    monkeypatch.setattr(importlib, "import_module", choose)
    return calls


@pytest.mark.parametrize("task", ["synth", "vocoder", "spectrogram-diffusion"])
def test_every_word_reaches_the_trainer(task: str, ondes: Ondes, handed_over: list[Any]) -> None:
    words = ["--config", "a.yaml", "--trainer.max_steps=3", "--help", "-x"]
    assert ondes("train", task, *words).status == 0
    assert handed_over == [(task, words)]


def test_every_task_of_the_trainer_is_a_command() -> None:
    assert set(train.TASKS) == set(training.TASKS)


def test_an_unknown_task_is_refused(ondes: Ondes) -> None:
    assert ondes("train", "drummer").status == 2


def test_without_lightning_the_extra_is_named(ondes: Ondes, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lightning" else real(name))
    run = ondes("train", "synth", "--config", "a.yaml")
    assert run.status == 2
    assert "pip install 'ondes[train]'" in run.err
