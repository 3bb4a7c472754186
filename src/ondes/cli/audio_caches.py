"""`ondes data audio`: any folder of audio becomes log-mels for `ondes train audio`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli.console import clock, say
from ondes.cli.recordings import WorkersOption, counting
from ondes.errors import UserError

FolderArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Audio files, at any depth; mono or stereo, any rate.")
]
CacheOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder of the cache; more folders may be added to it.")
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Only paths such as '*.flac' or 'jazz/*'; repeat it."),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Not paths such as '*demo*'; repeat it.")
]
StyleOption = Annotated[
    list[str] | None,
    typer.Option(
        help="What the music is called, to ask the model for it; repeat it. [default: the first folder's name]",
        show_default=False,
    ),
]
ShortestOption = Annotated[float, typer.Option(min=0.1, help="Shorter files are left out, in seconds.")]
SemitonesOption = Annotated[
    str,
    typer.Option(
        metavar="NUMBERS",
        help="Copies of the training files, faster and higher or slower and lower, such as -1,1.",
    ),
]


def audio(
    folder: FolderArgument,
    *,
    output: CacheOption,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    style: StyleOption = None,
    shortest: ShortestOption = 1.0,
    semitones: SemitonesOption = "",
    workers: WorkersOption = None,
) -> None:
    """Read every audio file once and keep its log-mel on disk; the same sound is kept only once.

    Folders named train, validation and test are the splits where there are any; otherwise 5 % of the files become the
    validation set and 10 % the test set. A stopped run goes on when the command is repeated; files that have not
    changed are not read again. What was left out is listed at the end, by reason, and in OUTPUT/report.json.
    """
    from ondes.datasets.audio_features import build_audio_cache  # noqa: PLC0415
    from ondes.datasets.audio_files import find_audio  # noqa: PLC0415
    from ondes.datasets.recordings import Rejections  # noqa: PLC0415

    rejections = Rejections()
    files = find_audio(
        folder, include=include or ("*",), exclude=exclude or (), styles=style, rejections=rejections
    )
    with counting("reading") as progress:
        rows = build_audio_cache(
            files,
            output,
            semitones=_numbers(semitones),
            least_s=shortest,
            workers=workers or os.cpu_count() or 1,
            rejections=rejections,
            progress=progress,
        )
    rejections.write(output / "report.json")
    for line in rejections.lines():
        say(f"left out: {line}")
    originals = [row for row in rows if not row["semitones"]]
    say(
        f"{output}: {len(originals)} files, {clock(sum(row['seconds'] for row in originals))}, "
        f"{len(rows) - len(originals)} copies; {len(rejections.rows)} left out (see {output / 'report.json'})"
    )


def _numbers(text: str) -> list[float]:
    """Numbers set off by commas."""
    try:
        return [float(number) for number in text.split(",") if number.strip()]
    except ValueError:
        raise UserError(f"--semitones {text!r} is not a list of numbers; write it as -1,1") from None
