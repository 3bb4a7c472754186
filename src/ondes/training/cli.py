"""`ondes train`: LightningCLI with one model and one data module a task."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import re
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger

from ondes.errors import UserError, nearest
from ondes.training.callbacks import SampleImages, SaveModel, SpeedReport
from ondes.training.loggers import placed, with_loggers

TASKS = {
    "synth": ("ondes.training.synth", "SynthTraining", "RenderedWindows"),
    "audio": ("ondes.training.audio", "AudioTraining", "AudioWindows"),
    "vocoder": ("ondes.training.vocoder", "VocoderTraining", "RenderedAudio"),
    "compose": ("ondes.training.composer", "ComposerTraining", "NoteWindows"),
    "separate": ("ondes.training.separator", "SeparatorTraining", "Mixtures"),
    "compose-continuous": ("ondes.training.composer_continuous", "ContinuousTraining", "NoteWindows"),
    "compose-dmc": ("ondes.training.dmc", "DmcTraining", "TripleData"),
    "spectrogram-diffusion": ("ondes.training.spectrogram_system", "SpectrogramTraining", "SpectrogramData"),
    "transcriber": ("ondes.training.transcriber", "TranscriberTraining", "TranscriberData"),
}
"""Where the training module and the data module of each task are."""

SYSTEMS = {
    "spectrogram-diffusion": (
        "ondes.training.spectrogram_diffusion",
        "ondes.training.spectrogram_autoregressive",
    ),
}
"""Tasks whose model and data are chosen by `class_path`, and where their models are."""

RIVALS = {
    "audio": (
        "ondes.training.msanii",
        "ondes.training.averaged_training.AveragedTraining",
        "lightning.LightningDataModule",
    ),
    "vocoder": (
        "ondes.training.msanii",
        "ondes.training.averaged_training.AveragedTraining",
        "lightning.LightningDataModule",
    ),
    "separate": (
        "ondes.training.mixture2music",
        "ondes.training.averaged_training.AveragedTraining",
        "lightning.LightningDataModule",
    ),
}
"""Tasks with published systems beside ours, which a configuration chooses by `class_path`: where they are, and what
their model and their data are kinds of."""

GONE_FROM_TRAINER = {
    "num_processes": "devices",
    "gpus": "devices",
    "tpu_cores": "devices",
    "ipus": "devices",
    "auto_select_gpus": "devices",
    "replace_sampler_ddp": "use_distributed_sampler",
    "amp_backend": "precision",
    "amp_level": "precision",
    "multiple_trainloader_mode": None,
    "track_grad_norm": None,
    "resume_from_checkpoint": None,
    "auto_lr_find": None,
    "auto_scale_batch_size": None,
    "move_metrics_to_cpu": None,
}
"""Trainer settings of Lightning 1.x in configurations of the PyTorch port, and what took their place."""


NEEDLESS_ADVICE = (
    ".*does not have many workers.*",
    ".*dataloader is not resumable.*",
    ".*ModelCheckpoint with manual optimization.*",
)
"""Warnings of Lightning's that are wrong here: batches are functions of the step and cut faster than they are used, and
a checkpoint shall hold what a step has made of the weights."""

UNKNOWN = (
    r"unrecognized arguments: --(?P<name>[\w.]+)",
    r"[Kk]ey '(?P<name>[\w.]+)' is not expected",
    r"Group '(?P<group>[\w.]+)' does not accept option '(?P<name>[\w.]+)'",
)
"""How jsonargparse says that there is no such setting."""

OF_A_CLASS = (
    r"Parser key \"(?P<key>model|data)\".*?Problem with given class_path '(?P<path>[\w.]+)': "
    r"(?P<reason>.*?)(?: - Expected| Given value)"
)
"""How it says that a class, or a setting of one, cannot be used."""


class TrainingCLI(LightningCLI):
    """LightningCLI whose runs each have one folder, and whose refusals are one line."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """What every run has beside model, data and trainer."""
        parser.add_argument(
            "--run", type=str, default="runs/last", help="Folder of everything the run writes."
        )
        parser.add_argument(
            "--save_every", type=int, default=200, help="Steps between checkpoints and pictures."
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Read the words of the command line.

        Raises:
            UserError: If one of them, or a key of a configuration, is not known or has no such values.
        """
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            raise UserError(refusal(str(error), parser.get_defaults().keys())) from None

    def before_instantiate_classes(self) -> None:
        """Tell loggers that were chosen by name where the run is."""
        placed(self.config["trainer"]["logger"], Path(self.config["run"]))

    def instantiate_classes(self) -> None:
        """Make the model, the data and the trainer.

        Raises:
            UserError: What one of them says against its settings; jsonargparse wraps it.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:
            if isinstance(error.__cause__, UserError):
                raise error.__cause__ from None
            raise


def refusal(message: str, keys: Iterable[str]) -> str:
    """What jsonargparse says against a configuration in one line, with the known key that is nearest to an unknown one.

    Args:
        message: Of jsonargparse.
        keys: All known keys, with dots.
    """
    line = " ".join(message.split())
    if (chosen := re.search(OF_A_CLASS, line)) is not None:
        return _refusal_of_a_class(chosen["key"], chosen["path"], chosen["reason"])
    found = next((match.groupdict() for pattern in UNKNOWN if (match := re.search(pattern, line))), None)
    if found is None:
        return f"the configuration cannot be used: {line}"
    name = ".".join(word for word in (found.get("group"), found["name"]) if word)
    if (old := name.removeprefix("trainer.")) in GONE_FROM_TRAINER:
        instead = GONE_FROM_TRAINER[old]
        advice = f"use trainer.{instead}" if instead else "leave it out"
        return f"the setting {name!r} went with Lightning 1: {advice}"
    group = name.rpartition(".")[0]
    known = sorted(keys)
    beside = [key for key in known if key.rpartition(".")[0] == group]
    return f"there is no setting {name!r}: {nearest(name, beside or known)}"


def _refusal_of_a_class(key: str, path: str, reason: str) -> str:
    """What jsonargparse says against a class that was chosen, or a setting of it, in one line."""
    option = re.match(r"Option '(?P<name>\w+)' is not accepted", reason)
    if option is None:
        return f"{key}.class_path {path!r} cannot be used: {reason}"
    module, _, name = path.rpartition(".")
    chosen = getattr(importlib.import_module(module), name)
    known = [f"{key}.init_args.{word}" for word in inspect.signature(chosen).parameters]
    wrong = f"{key}.init_args.{option['name']}"
    return f"there is no setting {wrong!r}: {nearest(wrong, known)}"


def main(task: str, arguments: list[str]) -> None:
    """Train a task's model; repeating the command goes on where it stopped.

    Args:
        task: One of `TASKS`.
        arguments: Words of the command line: `--config FILE` and overrides, as LightningCLI takes them.

    Raises:
        UserError: If there is no such task, logger or setting.
    """
    if task not in TASKS:
        raise UserError(f"there is no training task {task!r}: {nearest(task, TASKS)}")
    kinds, chosen = _kinds(task, arguments)
    arguments = with_loggers(arguments)
    with quiet_lightning():
        cli = TrainingCLI(
            *kinds,
            run=False,
            args=arguments,
            subclass_mode_model=chosen,
            subclass_mode_data=chosen,
            save_config_callback=None,
            trainer_defaults={"enable_checkpointing": False},  # `prepare` adds the one a run needs
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
        )
        check: Callable[[Any], None] = getattr(cli.model, "check_data", lambda _: None)
        check(cli.datamodule)
        run, save_every = Path(cli.config["run"]), int(cli.config["save_every"])
        run.mkdir(parents=True, exist_ok=True)
        cli.parser.save(cli.config, str(run / "config.yaml"), overwrite=True, skip_none=False)
        prepare(cli.trainer, run, save_every)
        last = run / "checkpoints" / "last.ckpt"
        cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=str(last) if last.is_file() else None)


def _kinds(task: str, arguments: list[str]) -> tuple[tuple[type, type], bool]:
    """Classes of the model and the data of a task, and whether others of their kind are chosen by `class_path`."""
    module_name, *names = TASKS[task]
    module = importlib.import_module(module_name)
    if task in RIVALS and names_class(arguments):
        where, *paths = RIVALS[task]
        importlib.import_module(where)
        model, data = (
            getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2])
            for path in paths
        )
        return (model, data), True
    for system in SYSTEMS.get(task, ()):
        importlib.import_module(system)
    model, data = (getattr(module, name) for name in names)
    return (model, data), task in SYSTEMS


def names_class(arguments: list[str]) -> bool:
    """Whether a command line, or a configuration that it names, chooses the model's class by `class_path`."""
    if any(re.match(r"--model(\.class_path)?(=|$)", word) for word in arguments):
        return True
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    files = [following for word, following in pairs if word in ("--config", "-c")]
    files += [word.removeprefix("--config=") for word in arguments if word.startswith("--config=")]
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue  # the parser says what is wrong with it
        model = content.get("model") if isinstance(content, dict) else None
        if isinstance(model, dict) and "class_path" in model:
            return True
    return False


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice; its progress bar stays."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for words in NEEDLESS_ADVICE:
            warnings.filterwarnings("ignore", words)
        for category in (DeprecationWarning, FutureWarning):  # between Lightning and what it builds on
            warnings.simplefilter("ignore", category)
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def prepare(trainer: lightning.Trainer, run: Path, save_every: int) -> None:
    """Give a trainer what every run has: checkpoints, the saved model, speed, pictures, a log to read offline."""
    # Lightning would delete the log of the run that is resumed.
    started = len(list(run.glob("log*/")))
    version = f"log_{started + 1}" if started else "log"
    trainer.loggers = [
        CSVLogger(run, name="", version=version, flush_logs_every_n_steps=20),
        *trainer.loggers,
    ]
    checkpoints = ModelCheckpoint(
        run / "checkpoints",
        save_last=True,
        save_top_k=0,
        every_n_train_steps=save_every,
        enable_version_counter=False,
    )
    trainer.callbacks += [  # pyright: ignore[reportAttributeAccessIssue]
        SaveModel(run / "model", every_n_steps=save_every),
        SpeedReport(),
        SampleImages(run / "pictures", every_n_steps=save_every),
        checkpoints,
    ]
