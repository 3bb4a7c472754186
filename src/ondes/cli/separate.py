"""`ondes separate`: an unlabelled score in parts, by a diffusion model over the labels of its notes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli import separating
from ondes.cli.score_options import ModelOption, SynthOption, ThreadsOption
from ondes.cli.yaml_options import ConfigOption
from ondes.errors import UserError
from ondes.tasks.composing import Order
from ondes.tasks.separating import DEFAULT_MODEL, VERB


class Method(StrEnum):
    """Who decides."""

    AUTO = "auto"
    DIFFUSION = "diffusion"
    CLASSIFIER = "classifier"


class Sampler(StrEnum):
    """Of rolls."""

    DDIM = "ddim"
    DDPM = "ddpm"


ScoreArgument = Annotated[
    Path, typer.Argument(metavar="SCORE", help="A MIDI file; its tracks are merged.", show_default=False)
]
IntoOption = Annotated[
    str | None,
    typer.Option(
        metavar="PARTS",
        help='"string quartet", "band", or a list: "violin 1, violin 2, viola, cello". [default: the model proposes]',
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="MIDI file to write; with -n above 1 a folder. [default: the score's name and 'parts']",
        show_default=False,
    ),
]
CountOption = Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many alternatives.")]
GivenOption = Annotated[
    Path | None,
    typer.Option(
        metavar="SCORE",
        help="A MIDI file with some of the notes in their parts; the rest is completed.",
        show_default=False,
    ),
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Tracks whose instrument is asked for keep their notes.")
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help="A page of the alternatives: coloured piano rolls, how sure each note is.",
        show_default=False,
    ),
]
AudioOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Play it, too: one audio file a part, and the mix.", show_default=False
    ),
]
MethodOption = Annotated[
    Method,
    typer.Option(
        help="classifier: each note by itself, all at once; auto: where no part is known and one answer is wanted."
    ),
]
StepsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Quality dial, 4 to 32. [default: the model's]", show_default=False),
]
SamplerOption = Annotated[
    Sampler | None,
    typer.Option(help="Of a model of rolls (Mixture2Music). [default: the model's]", show_default=False),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=5.0,
        help="Of all alternatives. [default: 0, the likeliest, for the first; the model's for the others]",
        show_default=False,
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other alternatives.")]
DoublingOption = Annotated[
    bool, typer.Option("--allow-doubling", help="A note may play in several parts, if it fits them well.")
]
RangesOption = Annotated[bool, typer.Option("--ranges", help="Parts keep to their compass.")]
PolyphonyOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|N,N,...",
        help="Most notes at once in each part, or in each of --into in turn; 0 for any number.",
        show_default=False,
    ),
]
CrossingOption = Annotated[bool, typer.Option("--no-crossing", help="Higher parts stay higher.")]
HandsOption = Annotated[
    bool, typer.Option("--playable-hands", help="Hands of keyboards keep to five fingers and a tenth.")
]
SidecarOption = Annotated[
    bool, typer.Option(help="Write a .json beside the parts, from which 'ondes replay' makes them again.")
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Give every note of a score its instrument.")(separate)


def separate(
    score: ScoreArgument,
    *,
    into: IntoOption = None,
    output: OutputOption = None,
    count: CountOption = 1,
    given: GivenOption = None,
    keep: KeepOption = False,
    report: ReportOption = None,
    audio: AudioOption = None,
    method: MethodOption = Method.AUTO,
    steps: StepsOption = None,
    sampler: SamplerOption = None,
    temperature: TemperatureOption = None,
    seed: SeedOption = 0,
    allow_doubling: DoublingOption = False,
    ranges: RangesOption = False,
    polyphony: PolyphonyOption = None,
    no_crossing: CrossingOption = False,
    playable_hands: HandsOption = False,
    model: ModelOption = DEFAULT_MODEL,
    synth_model: SynthOption = separating.DEFAULT_SYNTHESISER,
    threads: ThreadsOption = None,
    sidecar: SidecarOption = True,
    _config: ConfigOption = None,
) -> None:
    """Give every note of an unlabelled score its part: MIDI in, parts out, no note lost or changed."""
    choices: dict[str, object] = {
        "into": into,
        "given": None if given is None else str(given),
        "method": method.value,
        "steps": steps,
        "sampler": sampler and sampler.value,
        "temperature": temperature,
        "seed": seed,
        "polyphony": _polyphony(polyphony),
        "keep": keep or None,
        "allow_doubling": allow_doubling or None,
        "ranges": ranges or None,
        "no_crossing": no_crossing or None,
        "playable_hands": playable_hands or None,
    }
    order = Order(VERB, score, count, {name: value for name, value in choices.items() if value is not None})
    default = Path(f"{score.stem}.parts" if count > 1 else f"{score.stem}.parts.mid")
    separating.carry_out(
        order,
        output or default,
        model=model,
        threads=threads,
        sidecar=sidecar,
        report=report,
        audio=audio,
        synthesiser=synth_model,
    )


def _polyphony(text: str | None) -> int | list[int] | None:
    """One number, or one for each part.

    Raises:
        UserError: If it is neither.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UserError(f"--polyphony {text!r} is no number of notes; write 1, or one for each part: 1,1,2")
    numbers = [int(word) for word in words]
    return numbers[0] if len(numbers) == 1 else numbers
