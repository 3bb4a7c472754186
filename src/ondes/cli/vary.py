"""`ondes vary`: a sound becomes another one like it, by a diffusion model."""

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
    SoundsArgument,
    StepsOption,
    StyleOption,
    TemperatureOption,
    ThreadsOption,
    VocoderOption,
)
from ondes.cli.yaml_options import ConfigOption
from ondes.tasks.audio_orders import DEFAULT_MODEL, Engine, seeds

StrengthOption = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="0 gives the input back, 1 leaves nothing of it; 0.2 to 0.6 are useful."
    ),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Make variations of a sound.")(vary)


def vary(
    sounds: SoundsArgument,
    *,
    output: OutputOption = None,
    strength: StrengthOption = 0.3,
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
    """Make variations of sounds: audio to audio, at the input's own rate, channels and length."""
    choices = {"strength": strength}
    choices |= audio_options.dials(steps, sampler, guidance, temperature, style, lufs)
    groups = audio_editing.looked_at(sounds)
    variants = seeds(choices, seed, count)
    folder, orders = audio_editing.plan("vary", groups, variants, output, done="varied")
    engine = Engine(model, vocoder, threads)
    audio_editing.carry_out(orders, folder, engine, sidecar=sidecar)
