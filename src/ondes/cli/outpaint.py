"""`ondes outpaint`: a sound goes on after its end, or has something before its beginning."""

from __future__ import annotations

from typing import Annotated

import typer

from ondes.cli import audio_editing, audio_options
from ondes.cli.audio_options import (
    CountOption,
    FillStrengthOption,
    GuidanceOption,
    ModelOption,
    OutputOption,
    SamplerOption,
    SeedOption,
    SidecarOption,
    SoundsArgument,
    StepsOption,
    StyleOption,
    TemperatureOption,
    ThreadsOption,
    VocoderOption,
)
from ondes.cli.yaml_options import ConfigOption
from ondes.errors import UserError
from ondes.tasks.audio_orders import DEFAULT_MODEL, Engine, seeds

BeforeOption = Annotated[
    str, typer.Option(metavar="SECONDS", help="How much to add before: seconds, or minutes:seconds.")
]
AfterOption = Annotated[
    str, typer.Option(metavar="SECONDS", help="How much to add after: seconds, or minutes:seconds.")
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Make a sound longer, at either end.")(outpaint)


def outpaint(
    sounds: SoundsArgument,
    *,
    output: OutputOption = None,
    before: BeforeOption = "0",
    after: AfterOption = "0",
    strength: FillStrengthOption = None,
    count: CountOption = 1,
    seed: SeedOption = 0,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    guidance: GuidanceOption = None,
    temperature: TemperatureOption = None,
    style: StyleOption = None,
    model: ModelOption = DEFAULT_MODEL,
    vocoder: VocoderOption = None,
    threads: ThreadsOption = None,
    sidecar: SidecarOption = True,
    _config: ConfigOption = None,
) -> None:
    """Make sounds longer: go on after the end, or lead to the beginning; every sample of the input stays as it is."""
    added = {
        "before_s": audio_options.seconds("--before", before),
        "after_s": audio_options.seconds("--after", after),
    }
    if not any(added.values()):
        raise UserError(
            f"--before {before} and --after {after} add nothing; give one of them more, as --after 20"
        )
    choices = added | audio_options.dials(steps, sampler, guidance, temperature, style, strength=strength)
    groups = audio_editing.looked_at(sounds)
    variants = seeds(choices, seed, count)
    folder, orders = audio_editing.plan("outpaint", groups, variants, output, done="outpainted")
    engine = Engine(model, vocoder, threads)
    audio_editing.carry_out(orders, folder, engine, sidecar=sidecar)
