"""`ondes interpolate`: music between two sounds, or a walk from one to the other."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli import audio_editing, audio_options
from ondes.cli.audio_options import (
    CountOption,
    GuidanceOption,
    LoudnessOption,
    ModelOption,
    OutputOption,
    SamplerOption,
    SeedOption,
    SidecarOption,
    StyleOption,
    TemperatureOption,
    ThreadsOption,
    VocoderOption,
)
from ondes.cli.yaml_options import ConfigOption
from ondes.errors import UserError
from ondes.tasks.audio_orders import DEFAULT_MODEL, Engine, look_at, seeds


class Method(StrEnum):
    """Where the noise comes from that both sounds meet in."""

    NOISE = "noise"
    INVERSION = "inversion"


FirstArgument = Annotated[
    Path, typer.Argument(metavar="FIRST", help="The sound at ratio 0.", show_default=False)
]
SecondArgument = Annotated[
    Path, typer.Argument(metavar="SECOND", help="The sound at ratio 1.", show_default=False)
]
RatioOption = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=1.0, help="How far from the first to the second. [default: 0.5]", show_default=False
    ),
]
WalkOption = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=2,
        max=1000,
        help="A walk of so many files into a folder, with evenly spaced ratios from 0 to 1.",
        show_default=False,
    ),
]
StrengthOption = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, help="How much is made anew: more blends better and keeps less of both."),
]
MethodOption = Annotated[
    Method, typer.Option(help="The same noise for both, or the noise that each would come from.")
]
SamplingStepsOption = Annotated[
    int | None,
    typer.Option("--sampling-steps", min=1, max=1000, help=audio_options.STEPS_HELP, show_default=False),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Make music between two sounds.")(interpolate)


def interpolate(
    first: FirstArgument,
    second: SecondArgument,
    *,
    output: OutputOption = None,
    ratio: RatioOption = None,
    walk: WalkOption = None,
    strength: StrengthOption = 0.5,
    method: MethodOption = Method.NOISE,
    count: CountOption = 1,
    seed: SeedOption = 0,
    sampling_steps: SamplingStepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    temperature: TemperatureOption = None,
    style: StyleOption = None,
    lufs: LoudnessOption = None,
    model: ModelOption = DEFAULT_MODEL,
    vocoder: VocoderOption = None,
    threads: ThreadsOption = None,
    sidecar: SidecarOption = True,
    _config: ConfigOption = None,
) -> None:
    """Make music between two sounds: one file at a --ratio, or with --steps a walk of files from one to the other."""
    _check_combination(ratio, walk, count)
    choices: dict[str, object] = {"strength": strength, "method": method.value}
    choices |= audio_options.dials(sampling_steps, sampler, guidance, temperature, style, lufs)
    if walk is None:
        variants = seeds(choices | {"ratio": 0.5 if ratio is None else ratio}, seed, count)
    else:
        variants = [choices | {"ratio": index / (walk - 1), "seed": seed} for index in range(walk)]
    group = (look_at(first), look_at(second))
    folder, orders = audio_editing.plan("interpolate", [group], variants, output, done="interpolated")
    engine = Engine(model, vocoder, threads)
    audio_editing.carry_out(orders, folder, engine, sidecar=sidecar)


def _check_combination(ratio: float | None, walk: int | None, count: int) -> None:
    """Refuse options that contradict each other.

    Raises:
        UserError: If a walk has one ratio, or is to be made several times.
    """
    if walk is not None and ratio is not None:
        raise UserError(
            "--steps walks through all ratios; leave out --ratio, or --steps (--sampling-steps is quality)"
        )
    if walk is not None and count > 1:
        raise UserError("-n and --steps both say how many files; give one of them, and other seeds by --seed")
