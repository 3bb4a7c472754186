"""Loggers by name: `--trainer.logger tensorboard`, on the command line or as `logger: tensorboard` in a configuration.

The log of every run, `log/metrics.csv`, is written whatever else is chosen.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import yaml

from ondes.errors import UserError, nearest

FLAG = "--trainer.logger"
RUN = "{run}"
"""Stands for the folder of the run in the settings of a logger, until it is known."""

LOGGERS: dict[str, Any] = {
    "csv": False,
    "tensorboard": {
        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
        "init_args": {"save_dir": RUN, "name": "tensorboard", "version": ""},
    },
    "wandb": {
        "class_path": "lightning.pytorch.loggers.WandbLogger",
        "init_args": {"save_dir": RUN, "project": "ondes"},
    },
}
"""What each name means to Lightning's command line; the CSV log is there without it."""


def with_loggers(arguments: list[str]) -> list[str]:
    """A command line in which names of loggers, also those in its configurations, are what Lightning understands.

    Raises:
        UserError: If there is no such logger, or its package is missing.
    """
    words: list[str] = []
    before = ""
    for word in arguments:
        flag, equals, value = word.partition("=") if word.startswith("--") else (before, "", word)
        if flag == FLAG and (equals or not word.startswith("--")):
            value = _typed(value)
        elif flag in ("--config", "-c") and (equals or word is value):
            value = _configuration(value)
        words.append(f"{flag}={value}" if equals else (value if not word.startswith("--") else word))
        before = "" if equals else word
    return words


def placed(setting: Any, run: Path) -> None:
    """Put the folder of the run into the settings of a logger, or of several, in place."""
    for one in setting if isinstance(setting, list) else [setting]:
        chosen = getattr(one, "init_args", None)
        if chosen is not None and chosen.get("save_dir") == RUN:
            chosen["save_dir"] = str(run)


def _typed(value: str) -> str:
    """A value of the flag on the command line."""
    return (
        yaml.safe_dump(meant, default_flow_style=True).strip()
        if (meant := _meant(value)) is not None
        else value
    )


def _configuration(value: str) -> str:
    """A configuration, written out where it names a logger; otherwise what it was."""
    try:
        content = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return value  # the parser says what is wrong with it
    trainer = content.get("trainer") if isinstance(content, dict) else None
    if not isinstance(trainer, dict) or (meant := _meant(trainer.get("logger"))) is None:
        return value
    return yaml.safe_dump(content | {"trainer": trainer | {"logger": meant}}, sort_keys=False)


def _meant(name: Any) -> Any:
    """What a name stands for; None for anything that is no name."""
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[a-z0-9_-]+", name)
        or name in ("true", "false", "null")
    ):
        return None
    if name not in LOGGERS:
        raise UserError(f"there is no logger {name!r}: {nearest(name, LOGGERS)}")
    if name != "csv" and importlib.util.find_spec(name) is None:
        raise UserError(f"the logger {name} is not installed; pip install {name}, or choose {FLAG} csv")
    return LOGGERS[name]
