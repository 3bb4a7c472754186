"""`ondes import`: a Spectrogram Diffusion model of another program becomes one of ours."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli.console import say, waiting


class Layout(StrEnum):
    """Layouts by the names people type."""

    HUGGINGFACE = "huggingface"
    T5X = "t5x"
    PADDLE = "paddle"
    PORT = "port"


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder or Hub id in the layout of google/music-spectrogram-diffusion, T5X checkpoint folder, PaddleNLP "
        "folder, or Lightning .ckpt of the PyTorch port.",
        show_default=False,
    ),
]
FolderOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder to write; it must not exist yet.", show_default=False)
]
LayoutOption = Annotated[
    Layout | None,
    typer.Option("--from", help="The layout of the source. [default: as found]", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line, under the word that no Python module can be named by."""
    app.command("import", short_help="Turn another program's model into one of ours.")(import_)


def import_(source: SourceArgument, *, output: FolderOption, layout: LayoutOption = None) -> None:
    """Turn a published Spectrogram Diffusion model into a folder that every command takes with --model.

    Nothing in the source is run: pickles are read as data. The hashes of what was read are kept in source.json.
    """
    from ondes.pipelines.spectrogram_exchange import import_model  # noqa: PLC0415

    with waiting(f"reading {source}"):
        found = import_model(source, output, layout=None if layout is None else str(layout))
    say(f"{output}: imported from the layout {found!r}; play it with 'ondes synth SCORE --model {output}'")
