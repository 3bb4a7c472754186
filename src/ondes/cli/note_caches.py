"""`ondes data notes`: the notes of whole data sets, kept for `ondes train compose`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli.console import say
from ondes.cli.recordings import WorkersOption, counting

ScoresArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCORES",
        help="A data set such as corpus:train, music21, or a folder: MAESTRO, POP909, Lakh, any MIDI files.",
    ),
]
CacheOption = Annotated[Path, typer.Option("-o", "--output", help="Folder of the cache.")]
WithoutOption = Annotated[
    list[Path] | None,
    typer.Option(help="Cache whose music is left out here; repeat it.", show_default=False),
]


def notes(
    scores: ScoresArgument,
    *,
    output: CacheOption,
    without: WithoutOption = None,
    workers: WorkersOption = None,
) -> None:
    """Read every score once and keep its notes and bars on disk; the same music is kept only once.

    A stopped run goes on when the command is repeated; files that have not changed are not read again. What was left
    out is listed at the end, by reason, and in OUTPUT/report.json.
    """
    from ondes.datasets.note_cache import build_note_cache, open_note_cache  # noqa: PLC0415
    from ondes.datasets.recordings import Rejections  # noqa: PLC0415

    rejections = Rejections()
    others = [open_note_cache(folder) for folder in without or ()]
    with counting("reading") as progress:
        cache = build_note_cache(
            scores,
            output,
            workers=workers or os.cpu_count() or 1,
            rejections=rejections,
            without=others,
            progress=progress,
        )
    rejections.write(output / "report.json")
    for line in rejections.lines():
        say(f"left out: {line}")
    say(
        f"{output}: {len(cache)} scores, {cache.note_counts.sum()} notes; {len(rejections.rows)} left out "
        f"(see {output / 'report.json'})"
    )
