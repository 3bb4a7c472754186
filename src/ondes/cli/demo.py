"""`ondes demo`: the shortest way to hear it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondes.cli import rendering
from ondes.cli.console import say, waiting
from ondes.cli.synth import ModelOption, SeedOption, StepsOption, ThreadsOption
from ondes.files import file_sha256
from ondes.scores import bundled_score
from ondes.sidecar import Settings, Source
from ondes.tasks import audio_writing, performing

if TYPE_CHECKING:
    from ondes.score import Notes

FolderOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder to write into; made where missing.")
]


class DemoScore(StrEnum):
    """The bundled scores."""

    PRELUDE = "prelude"
    BAND = "band"


ScoreOption = Annotated[
    DemoScore,
    typer.Option(help="Bach's Prelude in C (2 minutes, piano), or a small band (43 seconds, with drums)."),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Play a bundled score: the quickest way in.")(demo)


def demo(
    output: FolderOption = Path("ondes-demo"),
    *,
    score: ScoreOption = DemoScore.PRELUDE,
    seed: SeedOption = 0,
    steps: StepsOption = None,
    model: ModelOption = performing.DEFAULT_MODEL,
    threads: ThreadsOption = None,
) -> None:
    """Play a bundled score: writes the music (.wav), a picture of it (.png) and how it was made (.json)."""
    chosen = bundled_score(score.value)
    settings = Settings(seed, steps, None, None, threads)
    audio_file, picture, sidecar = (output / f"{chosen.name}{suffix}" for suffix in (".wav", ".png", ".json"))
    with audio_writing.staged(output) as staging:
        notes = rendering.open_notes(chosen.path)
        source = Source(f"{performing.BUNDLED_PREFIX}{chosen.name}", file_sha256(chosen.path))
        pipeline = rendering.load_pipeline(model, threads)
        made = rendering.play_to_file(
            pipeline, notes, settings, staging / audio_file.name, label=chosen.title
        )
        with waiting("Drawing"):
            _draw(staging / picture.name, notes, staging / audio_file.name, chosen.title)
        performing.describe(
            output, pipeline=pipeline, score=source, model=model, settings=settings, output=made
        ).write(staging / sidecar.name)
    say(f"Listen to {audio_file}, look at {picture}; {sidecar} says how both were made.")
    say("Now play a score of yours: ondes synth song.mid -o song.wav")


def _draw(picture: Path, notes: Notes, audio_file: Path, title: str) -> None:
    """The notes over the sound of the finished file."""
    from ondes.audio import Audio  # noqa: PLC0415
    from ondes.picture import draw_rendering  # noqa: PLC0415

    draw_rendering(picture, notes, Audio.read(audio_file), title=title)
