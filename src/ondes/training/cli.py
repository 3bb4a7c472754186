"""`ondes train`: LightningCLI with one model and one data module a task."""

from __future__ import annotations

import importlib
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger

from ondes.errors import UserError, nearest
from ondes.training.callbacks import SampleImages, SaveModel, SpeedReport

TASKS = {
    "synth": ("ondes.training.synth", "SynthTraining", "RenderedWindows"),
    "vocoder": ("ondes.training.vocoder", "VocoderTraining", "RenderedAudio"),
}
"""Where the training module and the data module of each task are."""


class TrainingCLI(LightningCLI):
    """LightningCLI whose runs each have one folder."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """What every run has beside model, data and trainer."""
        parser.add_argument(
            "--run", type=str, default="runs/last", help="Folder of everything the run writes."
        )
        parser.add_argument(
            "--save_every", type=int, default=200, help="Steps between checkpoints and pictures."
        )


def main(task: str, arguments: list[str]) -> None:
    """Train a task's model; repeating the command goes on where it stopped.

    Args:
        task: One of `TASKS`.
        arguments: Words of the command line: `--config FILE` and overrides, as LightningCLI takes them.

    Raises:
        UserError: If there is no such task.
    """
    if task not in TASKS:
        raise UserError(f"there is no training task {task!r}: {nearest(task, TASKS)}")
    module_name, model, data = TASKS[task]
    module = importlib.import_module(module_name)
    cli = TrainingCLI(
        getattr(module, model), getattr(module, data), run=False, args=arguments, save_config_callback=None
    )
    run, save_every = Path(cli.config["run"]), int(cli.config["save_every"])
    run.mkdir(parents=True, exist_ok=True)
    cli.parser.save(cli.config, str(run / "config.yaml"), overwrite=True, skip_none=False)
    prepare(cli.trainer, run, save_every)
    last = run / "checkpoints" / "last.ckpt"
    cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=str(last) if last.is_file() else None)


def prepare(trainer: lightning.Trainer, run: Path, save_every: int) -> None:
    """Give a trainer what every run has: checkpoints, the saved model, speed, pictures, a log to read offline."""
    trainer.loggers = [CSVLogger(run, name="", version="log", flush_logs_every_n_steps=20), *trainer.loggers]
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
