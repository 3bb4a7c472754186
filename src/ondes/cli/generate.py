"""`ondes generate`: new music by a diffusion model, of any length."""

from __future__ import annotations

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
    StepsOption,
    StyleOption,
    TemperatureOption,
    ThreadsOption,
    VocoderOption,
)
from ondes.cli.yaml_options import ConfigOption
from ondes.tasks.audio_orders import DEFAULT_MODEL, Engine, seeds

DurationOption = Annotated[
    str, typer.Option(metavar="SECONDS", help="How long: seconds, or minutes:seconds as 3:10.")
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Make new music.")(generate)


def generate(
    output: OutputOption = None,
    *,
    duration: DurationOption = "30",
    count: CountOption = 1,
    seed: SeedOption = 0,
    steps: StepsOption = None,
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
    """Make new music with a diffusion model: 44.1 kHz stereo, of any length."""
    choices = {"duration_s": audio_options.length_s("--duration", duration)}
    choices |= audio_options.dials(steps, sampler, guidance, temperature, style, lufs)
    variants = seeds(choices, seed, count)
    folder, orders = audio_editing.plan("generate", [()], variants, output, done="generated")
    engine = Engine(model, vocoder, threads)
    audio_editing.carry_out(orders, folder, engine, sidecar=sidecar)
