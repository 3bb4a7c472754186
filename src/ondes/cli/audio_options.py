"""Options that the commands which make and edit audio have in common, and what they mean to the pipeline."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ondes.errors import UserError


class AudioSampler(StrEnum):
    """The samplers of audio models by the names people type."""

    EULER = "euler"
    HEUN = "heun"
    DPM = "dpm++"
    UNIPC = "unipc"


STEPS_HELP = "Quality dial, 4 to 32. [default: the model's]"

SoundsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOUNDS...", help="Sound files: .wav, .flac, .ogg, .mp3 and others.", show_default=False
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Audio file to write: .wav, .flac, .ogg or .mp3. For several a folder. "
        "[default: a name in this folder that says what was done]",
        show_default=False,
    ),
]
CountOption = Annotated[
    int, typer.Option("-n", "--count", min=1, max=10_000, help="How many, each with the next seed.")
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other music; with -n the first of so many.")
]
StepsOption = Annotated[int | None, typer.Option(min=1, max=1000, help=STEPS_HELP, show_default=False)]
SamplerOption = Annotated[
    AudioSampler | None,
    typer.Option(help="How the steps are taken. [default: the model's]", show_default=False),
]
GuidanceOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=20.0,
        help="How strictly --style is obeyed; 1 is plain. [default: the model's]",
        show_default=False,
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=2.0,
        help="Variety: below 1 fewer accidents and less life. [default: the model's]",
        show_default=False,
    ),
]
StyleOption = Annotated[
    list[str] | None,
    typer.Option(
        help="One of the model's styles; repeat it for several; a wrong one lists them.", show_default=False
    ),
]
FillStrengthOption = Annotated[
    float | None,
    typer.Option(
        "--strength",
        min=0.0,
        max=1.0,
        help="0 fills in what repeats around, 1 leaves it to the model. [default: the model's]",
        show_default=False,
    ),
]
LoudnessOption = Annotated[
    float | None,
    typer.Option(
        "--lufs",
        min=-70.0,
        max=0.0,
        help="Loudness of the result in LUFS, -24 to -12 are usual. [default: as the model makes it]",
        show_default=False,
    ),
]
ModelOption = Annotated[str, typer.Option(help="Bundled name, folder or Hub id; see 'ondes models'.")]
VocoderOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="What makes sound of spectrograms: a bundled name, a folder, a Hub id or griffin-lim. "
        "[default: the model's]",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="CPU threads. [default: torch's choice]", show_default=False),
]
SidecarOption = Annotated[
    bool, typer.Option(help="Write a .json beside the audio, from which 'ondes replay' makes it again.")
]


def dials(
    steps: int | None,
    sampler: AudioSampler | None,
    guidance: float | None,
    temperature: float | None,
    style: list[str] | None,
    lufs: float | None = None,
    *,
    strength: float | None = None,
) -> dict[str, Any]:
    """What was chosen, as keyword arguments of the pipeline's verbs, all of them JSON."""
    chosen = {
        "steps": steps,
        "sampler": sampler.value if sampler else None,
        "guidance_scale": guidance,
        "temperature": temperature,
        "style": list(style) if style else None,
        "loudness_lufs": lufs,
        "strength": strength,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def seconds(option: str, text: str) -> float:
    """A length as people write it: `12.5`, `1:30`.

    Raises:
        UserError: If it is none, naming the option.
    """
    from ondes.representations.regions import parse_seconds  # noqa: PLC0415

    try:
        return float(parse_seconds(text))
    except UserError as error:
        raise UserError(f"{option}: {error}") from None


def length_s(option: str, text: str) -> float:
    """A length above 0; see `seconds`.

    Raises:
        UserError: If it is none.
    """
    length = seconds(option, text)
    if not length:
        raise UserError(f"{option} {text} is no length; give more than 0 seconds")
    return length
