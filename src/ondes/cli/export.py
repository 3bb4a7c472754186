"""`ondes export`: a Spectrogram Diffusion model in the layout of another program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli.console import say, waiting


class Layout(StrEnum):
    """Layouts by the names people type."""

    DIFFUSERS = "diffusers"
    ONNX = "onnx"
    OPENVINO = "openvino"


ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder or Hub id of the model.", show_default=False)
]
LayoutOption = Annotated[Layout, typer.Option("--to", help="The layout to write.")]
FolderOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder to write; it must not exist yet.", show_default=False)
]

Int8Option = Annotated[
    bool,
    typer.Option("--int8", help="With --to onnx: decoder_int8.onnx as well; the error is printed."),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Write a model in another program's layout.")(export)


def export(
    model: ModelArgument,
    *,
    output: FolderOption,
    to: LayoutOption = Layout.DIFFUSERS,
    int8: Int8Option = False,
) -> None:
    """Write a Spectrogram Diffusion model for other programs.

    'diffusers': as google/music-spectrogram-diffusion is laid out, weights as safetensors. 'onnx', 'openvino': its
    networks as graphs for these engines, without tokens, sampler and vocoder.
    """
    from ondes.pipelines.spectrogram_exchange import export_graphs, export_model  # noqa: PLC0415

    with waiting(f"reading {model}"):
        if to is Layout.DIFFUSERS and not int8:
            notes = export_model(model, output)
        else:
            error = export_graphs(model, output, to.value, int8=int8)
            notes = (
                []
                if error is None
                else [f"8 bits change the decoder's answer to noise by {100 * error:.2f} %"]
            )
    say(f"{output}: written for {to}")
    for note in notes:
        say(f"note: {note}")
