"""`ondes import`: a model of another program becomes one of ours."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ondes.cli.console import say, waiting
from ondes.errors import UserError


class Layout(StrEnum):
    """Layouts by the names people type."""

    HUGGINGFACE = "huggingface"
    T5X = "t5x"
    PADDLE = "paddle"
    PORT = "port"
    KERAS = "keras"
    MIXTURE2MUSIC = "mixture2music"
    MSANII = "msanii"


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder or Hub id in the layout of google/music-spectrogram-diffusion, T5X checkpoint folder, PaddleNLP "
        "folder, Lightning .ckpt of the PyTorch port or of Mixture2Music, .h5 weights of Diffusion-Music-Composer, or "
        "Msanii's msanii.pt.",
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
StatisticsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Statistics that .h5 weights lack: an object with low and high, three numbers each.",
        show_default=False,
    ),
]
PitchOption = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Or one by one: pitch, in hertz.", show_default=False),
]
DurationOption = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Durations, in quarter notes.", show_default=False),
]
DeltaOption = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Times between onsets, in quarter notes.", show_default=False),
]
DecoderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.ckpt",
        help="The independent decoder of Mixture2Music, beside its TransUNet.",
        show_default=False,
    ),
]
CompatOption = Annotated[
    bool,
    typer.Option(
        "--compat",
        help="Keep the arithmetic of the original program exactly, faults included (Msanii).",
    ),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line, under the word that no Python module can be named by."""
    app.command("import", short_help="Turn another program's model into one of ours.")(import_)


def import_(
    source: SourceArgument,
    *,
    output: FolderOption,
    layout: LayoutOption = None,
    statistics: StatisticsOption = None,
    pitch_range: PitchOption = None,
    duration_range: DurationOption = None,
    delta_range: DeltaOption = None,
    decoder: DecoderOption = None,
    compat: CompatOption = False,
) -> None:
    """Turn a published model into a folder that every command takes with --model.

    Models of Spectrogram Diffusion, which plays scores, of Diffusion-Music-Composer, which writes them, of
    Mixture2Music, which separates them, and of Msanii, which makes audio. Nothing in the source is run: pickles are
    read as data. The hashes of what was read are kept in source.json.
    """
    if layout == Layout.MSANII or (layout is None and source.lower().endswith(".pt")):
        _import_msanii(source, output, compat=compat)
        return
    if compat:
        raise UserError(f"{source} is no .pt file of Msanii, the only model with --compat; leave it out")
    typed = {"file": statistics, "pitch": pitch_range, "duration": duration_range, "delta": delta_range}
    if layout == Layout.KERAS or (layout is None and source.lower().endswith((".h5", ".hdf5"))):
        _import_keras(source, output, typed)
        return
    if any(value is not None for value in typed.values()):
        raise UserError(
            f"{source} is no .h5 file, and all others hold their statistics: leave out --statistics and the ranges"
        )
    if _imported_mixture2music(source, output, layout, decoder):
        return
    from ondes.pipelines.spectrogram_exchange import import_model  # noqa: PLC0415

    with waiting(f"reading {source}"):
        found = import_model(source, output, layout=None if layout is None else str(layout))
    say(f"{output}: imported from the layout {found!r}; {_use(output)}")


def _use(folder: Path) -> str:
    """What a model that was written is good for."""
    what = "" if (folder / "model_index.json").is_file() else "it is the autoregressive baseline; "
    return f"{what}play it with 'ondes synth SCORE --model {folder}'"


def _import_keras(source: str, output: Path, typed: dict[str, Any]) -> None:
    """Turn weights of Diffusion-Music-Composer into a model."""
    from ondes.pipelines.dmc_exchange import TypedStatistics, import_dmc  # noqa: PLC0415

    with waiting(f"reading {source}"):
        import_dmc(source, output, TypedStatistics(**typed))
    say(f"{output}: imported from the layout 'keras'; it writes music with 'ondes compose --model {output}'")


def _import_msanii(source: str, output: Path, *, compat: bool) -> None:
    """Turn the checkpoint of Msanii into a model."""
    from ondes.pipelines.msanii_exchange import import_msanii  # noqa: PLC0415

    with waiting(f"reading {source}"):
        import_msanii(source, output, compat=compat)
    say(f"{output}: imported from the layout 'msanii'; make music with it: 'ondes generate --model {output}'")


def _imported_mixture2music(source: str, output: Path, layout: Layout | None, decoder: Path | None) -> bool:
    """Turn checkpoints of Mixture2Music into a model, if that is what the source is.

    Raises:
        UserError: If a decoder was given to another model.
    """
    is_checkpoint = source.endswith(".ckpt") and layout in (None, Layout.MIXTURE2MUSIC)
    if is_checkpoint or layout == Layout.MIXTURE2MUSIC:
        from ondes.pipelines.mixture2music_exchange import (  # noqa: PLC0415
            import_mixture2music,
            is_mixture2music,
        )

        if layout == Layout.MIXTURE2MUSIC or is_mixture2music(Path(source)):
            with waiting(f"reading {source}"):
                import_mixture2music(Path(source), output, decoder)
            say(
                f"{output}: imported from the layout 'mixture2music'; separate with it: 'ondes separate SCORE --model "
                f"{output}'"
            )
            return True
    if decoder is not None:
        raise UserError(
            f"{source} is no TransUNet of Mixture2Music, so it has no decoder; leave out --decoder"
        )
    return False
