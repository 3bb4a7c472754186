"""`ondes train`: a thin hand-over to the trainer, whose options are those of Lightning's own command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Annotated

import typer

from ondes.errors import UserError

TASKS = {
    "synth": "Train the synthesiser: notes to mel spectrograms.",
    "vocoder": "Train the vocoder: mel spectrograms to sound.",
    "audio": "Train the audio model: noise to music. Msanii as published, with its own configuration.",
    "separate": "Train the separator: notes of a mixture to their parts.",
    "compose": "Train the composer: masked diffusion of notes.",
    "compose-continuous": "Train a composer of continuous features, to compare with.",
    "compose-dmc": "Train Diffusion-Music-Composer as published: noise to piano notes.",
    "spectrogram-diffusion": "Train a system of Spectrogram Diffusion: notes to mel spectrograms at 16 kHz.",
    "transcriber": "Train a transcriber that can guide Spectrogram Diffusion: mel spectrograms to notes.",
}
"""What can be trained, and what its help says."""

PASS_EVERYTHING_ON = {"ignore_unknown_options": True, "help_option_names": []}
WordsArgument = Annotated[list[str] | None, typer.Argument(metavar="[WORDS]...", show_default=False)]


def register(app: typer.Typer) -> None:
    """Put the command group on the command line."""
    group = typer.Typer(no_args_is_help=True, help="Train a model: ondes train synth --config FILE.yaml")
    for task, summary in TASKS.items():
        group.command(task, help=summary, context_settings=PASS_EVERYTHING_ON, add_help_option=False)(
            _hand_over(task)
        )
    app.add_typer(group, name="train")


def _hand_over(task: str) -> Callable[..., None]:
    """A command that passes every word after its name to the trainer of a task, `--help` included."""

    def train(words: WordsArgument = None) -> None:
        if importlib.util.find_spec("lightning") is None:
            raise UserError(
                "training needs Lightning, which is not installed; run: pip install 'ondes[train]'"
            )
        importlib.import_module("ondes.training.cli").main(task, list(words or []))

    return train
