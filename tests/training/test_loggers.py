"""Loggers are chosen by name, typed or in a configuration, and log what the CSV file of every run has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from note_caches import note_caches, write_composer_config  # pyright: ignore[reportMissingImports]

from ondes.errors import UserError
from ondes.training.cli import main
from ondes.training.loggers import LOGGERS, with_loggers

__all__ = ["note_caches"]


def tags(folder: Path) -> dict[str, int]:
    """How many values TensorBoard's files hold for each name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: len(found.Scalars(tag)) for tag in found.Tags()["scalars"]}


def columns(run: Path) -> set[str]:
    return set((run / "log" / "metrics.csv").read_text().splitlines()[0].split(","))


@pytest.mark.slow
def test_tensorboard_by_name_gets_what_the_csv_file_has(note_caches: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    run = tmp_path / "run"
    config = write_composer_config(note_caches, run)
    main("compose", ["--config", str(config), "--trainer.logger", "tensorboard"])
    found = tags(run / "tensorboard")
    assert columns(run) - {"step"} <= set(found)
    assert found["train/nats_a_note"] == 4
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["trainer"]["logger"]["init_args"]["save_dir"] == str(run)


def test_a_name_in_a_configuration_is_the_same_and_csv_is_always_there(
    note_caches: Path, tmp_path: Path
) -> None:
    config = write_composer_config(note_caches, tmp_path / "run")
    content = yaml.safe_load(config.read_text())
    for name in ("tensorboard", "csv"):
        config.write_text(yaml.safe_dump(content | {"trainer": content["trainer"] | {"logger": name}}))
        words = with_loggers(["--config", str(config), "--trainer.max_steps", "1"])
        assert yaml.safe_load(words[1]) == content | {
            "trainer": content["trainer"] | {"logger": LOGGERS[name]}
        }
        assert words[2:] == ["--trainer.max_steps", "1"]
        assert with_loggers([f"--config={config}"]) == [f"--config={words[1]}"]
    main("compose", [*words])
    assert "train/nats_a_note" in columns(tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--trainer.logger", "false"],
        ["--trainer.logger=lightning.pytorch.loggers.CSVLogger", "--trainer.logger.save_dir", "csv"],
        ["--run", "tensorbord", "--config", "nowhere.yaml"],
        ["--trainer.logger", "--run", "csv"],
    ],
)
def test_other_words_are_left_alone(words: list[str]) -> None:
    assert with_loggers(words) == words


def test_unknown_loggers_and_missing_packages_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no logger 'tensorbord': did you mean 'tensorboard'"):
        main("compose", ["--trainer.logger=tensorbord"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install wandb, or choose --trainer"):
        with_loggers(["--trainer.logger", "wandb"])
