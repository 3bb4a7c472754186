"""`ondes inpaint`: stretches of a sound are made anew, and not one sample elsewhere changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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
from ondes.tasks.audio_orders import DEFAULT_MODEL, SCORE_MODEL, Engine, seeds

RegionsOption = Annotated[
    str,
    typer.Option(
        metavar="A-B,...",
        help="What to make anew: seconds, or minutes:seconds, as 12.5-15,1:03-1:07.25; 'end' is the sound's end.",
        show_default=False,
    ),
]


MidiOption = Annotated[
    Path | None,
    typer.Option(
        "--midi",
        metavar="SCORE",
        help="A score that begins with the sound: its notes are played in the regions, by a synthesiser as --model.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Make regions of a sound anew.")(inpaint)


def inpaint(
    sounds: SoundsArgument,
    *,
    regions: RegionsOption,
    midi: MidiOption = None,
    strength: FillStrengthOption = None,
    output: OutputOption = None,
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
    """Make regions of sounds anew, fitting what is around them; every other sample stays as it is."""
    from ondes.representations.regions import parse_regions  # noqa: PLC0415

    choices = {"regions": regions}
    choices |= audio_options.dials(steps, sampler, guidance, temperature, style, strength=strength)
    groups = audio_editing.looked_at(sounds)
    for (sound,) in groups:
        parse_regions(regions, sample_rate_hz=sound.sample_rate_hz, length_samples=sound.samples)
    variants = seeds(choices, seed, count)
    folder, orders = audio_editing.plan("inpaint", groups, variants, output, done="inpainted")
    engine = Engine(model, vocoder, threads)
    if midi is not None:
        _check_midi(midi, strength, style)
        orders = [replace(order, score=midi) for order in orders]
        chosen = SCORE_MODEL if model == DEFAULT_MODEL else model
        engine = Engine(chosen, vocoder, threads, plays=True)
    audio_editing.carry_out(orders, folder, engine, sidecar=sidecar)


def _check_midi(midi: Path, strength: float | None, style: list[str] | None) -> None:
    """Refuse what cannot be played, before a model is loaded for nothing.

    Raises:
        UserError: If it is no score, or options are given that only music without a score has.
    """
    from ondes.score import read_score  # noqa: PLC0415

    if strength is not None or style:
        option = "--style" if style else "--strength"
        raise UserError(
            f"{option} is of music without a score, and --midi says what to play; leave out one of them"
        )
    read_score(midi)
