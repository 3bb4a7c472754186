"""`ondes compose`: new scores, continuations, filled gaps and variations by a diffusion model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli import composing
from ondes.cli.score_options import ModelOption, SynthOption, ThreadsOption
from ondes.cli.yaml_options import ConfigOption
from ondes.errors import UserError
from ondes.tasks.composing import DEFAULT_MODEL, Order, check_choices


class Scale(StrEnum):
    """How strictly new notes keep to the scale of the key."""

    FREE = "free"
    STRICT = "strict"


class Keep(StrEnum):
    """What a variation leaves as it is."""

    RHYTHM = "rhythm"
    PITCH = "pitch"
    INSTRUMENTS = "instruments"
    VELOCITY = "velocity"
    NOTHING = "nothing"


OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="MIDI file to write; with -n above 1 a folder. [default: composition.mid, or the score's name and what "
        "was done to it]",
        show_default=False,
    ),
]
CountOption = Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="How many scores.")]
NotesOption = Annotated[
    int | None,
    typer.Option(min=1, max=1_000_000, help="How many new notes. [default: the model's]", show_default=False),
]
BarsOption = Annotated[
    str | None,
    typer.Option(
        metavar="COUNT|A-B",
        help="How many new bars; with --infill which bars, from 1, as 9-12.",
        show_default=False,
    ),
]
KeyOption = Annotated[
    str | None, typer.Option(help='As "D minor", "F# major", "Bb", "Am".', show_default=False)
]
TempoOption = Annotated[
    float | None, typer.Option(help="Quarter notes a minute, 10 to 500.", show_default=False)
]
MetreOption = Annotated[str | None, typer.Option(help="As 3/4 or 6/8.", show_default=False)]
ForOption = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="ENSEMBLE",
        help='"string quartet", "piano", or a list: "violin, cello". With --infill --track: the new part.',
        show_default=False,
    ),
]
DensityOption = Annotated[
    float | None, typer.Option(help="Notes a quarter note, all parts together.", show_default=False)
]
StyleOption = Annotated[
    str | None, typer.Option(help="One of the model's styles; a wrong one lists them.", show_default=False)
]
ChordsOption = Annotated[
    str | None, typer.Option(help='A bar each, over and over: "C | Am | F G | C".', show_default=False)
]
ScaleOption = Annotated[
    Scale, typer.Option(help="strict: no note outside the scale of --key (or of the score's key).")
]
ContinueOption = Annotated[
    Path | None, typer.Option("--continue", metavar="SCORE", help="Go on with a score.", show_default=False)
]
InfillOption = Annotated[
    Path | None,
    typer.Option(
        "--infill",
        metavar="SCORE",
        help="Make --bars or a --track of a score anew; the rest stays note for note.",
        show_default=False,
    ),
]
VaryOption = Annotated[
    Path | None,
    typer.Option("--vary", metavar="SCORE", help="Make a variation of a score.", show_default=False),
]
TrackOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="With --infill: which part, from 1, of those with notes; one more than there are is a new one.",
        show_default=False,
    ),
]
StrengthOption = Annotated[
    float | None,
    typer.Option(help="With --vary: the share that is made anew, 0 to 1. [default: 0.5]", show_default=False),
]
KeepOption = Annotated[
    list[Keep] | None,
    typer.Option(help="With --vary: what stays as it is; repeat it. [default: nothing]", show_default=False),
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Another seed, another piece; with -n the first of so many.")
]
StepsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Quality dial, 10 to 50. [default: the model's]", show_default=False),
]
GuidanceOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=20.0,
        help="How strictly key, ensemble and so on are obeyed; 1 is plain. [default: the model's]",
        show_default=False,
    ),
]
TemperatureOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=5.0,
        help="Below 1 likelier notes, above 1 bolder. [default: the model's]",
        show_default=False,
    ),
]
AudioOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Play it, too: .wav, .flac, .ogg or .mp3; with -n above 1 a folder.",
        show_default=False,
    ),
]
SidecarOption = Annotated[
    bool, typer.Option(help="Write a .json beside the score, from which 'ondes replay' makes it again.")
]

WORDS = {
    "generate": "a new piece",
    "extend": "--continue",
    "infill": "--infill",
    "vary": "--vary",
    "notes": "--notes",
    "bars": "--bars",
    "tempo": "--tempo",
    "metre": "--metre",
    "ensemble": "--for",
    "track": "--track",
    "strength": "--strength",
    "keep": "--keep",
}
"""How one asks for the verbs and says the options here."""


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Write music: new, continued, filled in or varied.")(compose)


def compose(
    output: OutputOption = None,
    *,
    count: CountOption = 1,
    notes: NotesOption = None,
    bars: BarsOption = None,
    key: KeyOption = None,
    tempo: TempoOption = None,
    metre: MetreOption = None,
    ensemble: ForOption = None,
    density: DensityOption = None,
    style: StyleOption = None,
    chords: ChordsOption = None,
    scale: ScaleOption = Scale.FREE,
    continue_: ContinueOption = None,
    infill: InfillOption = None,
    track: TrackOption = None,
    vary: VaryOption = None,
    strength: StrengthOption = None,
    keep: KeepOption = None,
    seed: SeedOption = 0,
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    temperature: TemperatureOption = None,
    audio: AudioOption = None,
    model: ModelOption = DEFAULT_MODEL,
    synth_model: SynthOption = composing.DEFAULT_SYNTHESISER,
    threads: ThreadsOption = None,
    sidecar: SidecarOption = True,
    _config: ConfigOption = None,
) -> None:
    """Write music with a diffusion model: a new piece, or --continue, --infill or --vary one."""
    verb, score = _verb(continue_, infill, vary)
    chosen: dict[str, object] = {
        "notes": notes,
        "bars": bars,
        "tempo": tempo,
        "metre": metre,
        "ensemble": ensemble,
        "track": track,
        "strength": strength,
        "keep": keep or None,
    }
    check_choices(verb, {name for name, value in chosen.items() if value is not None}, WORDS)
    choices: dict[str, object] = {
        "notes": notes,
        "bars": _bars(bars, verb),
        "key": key,
        "tempo": tempo,
        "metre": metre,
        "ensemble": ensemble,
        "track": track,
        "strength": strength,
        "keep": [word.value for word in keep] if keep else None,
        "density": density,
        "style": style,
        "chords": chords,
        "scale": None if scale is Scale.FREE else scale.value,
        "seed": seed,
        "steps": steps,
        "guidance_scale": guidance,
        "temperature": temperature,
    }
    order = Order(verb, score, count, {name: value for name, value in choices.items() if value is not None})
    composing.carry_out(
        order,
        output or _default_output(verb, score, count),
        model=model,
        threads=threads,
        sidecar=sidecar,
        audio=audio,
        synthesiser=synth_model,
    )


def _verb(continue_: Path | None, infill: Path | None, vary: Path | None) -> tuple[str, Path | None]:
    """What to do, and with which score.

    Raises:
        UserError: If it is more than one thing.
    """
    named = {"extend": continue_, "infill": infill, "vary": vary}
    given = [(verb, path) for verb, path in named.items() if path is not None]
    if len(given) > 1:
        words = " and ".join(WORDS[verb] for verb, _ in given)
        raise UserError(f"{words} are different things to do with a score; give one of them")
    return given[0] if given else ("generate", None)


def _bars(text: str | None, verb: str) -> int | list[int] | None:
    """A number of bars, or with `infill` the first and the last.

    Raises:
        UserError: If it is neither.
    """
    if text is None:
        return None
    first, dash, last = (word.strip() for word in text.partition("-"))
    whole = first.isdecimal() and (not dash or last.isdecimal())
    if verb == "infill":
        if not whole or not 1 <= int(first) <= int(last or first):
            raise UserError(f"--bars {text!r} is no range of bars; write it as 9-12, counted from 1")
        return [int(first), int(last or first)]
    if not whole or dash or int(first) < 1:
        raise UserError(f"--bars {text!r} is no number of bars; write it as 16 (a range belongs to --infill)")
    return int(first)


def _default_output(verb: str, score: Path | None, count: int) -> Path:
    """A name in this folder."""
    done = {"extend": "continued", "infill": "infilled", "vary": "varied"}
    stem = "composition" if score is None else f"{score.stem}.{done[verb]}"
    return Path(stem if count > 1 else f"{stem}.mid")
