"""`ondes data cache`, `clean-urmp` and `check`: data sets of recordings become features that training reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ondes.cli.console import clock, console, say
from ondes.errors import UserError


class Kind(StrEnum):
    """The data sets whose layouts are known."""

    MUSICNET = "musicnet"
    MAESTRO = "maestro"
    GUITARSET = "guitarset"
    URMP = "urmp"
    SLAKH = "slakh"
    FOLDER = "folder"
    RENDERED = "rendered"


class Sax(StrEnum):
    """Programs of saxophones."""

    ALTO = "65"
    SOPRANO = "64"


FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the data set is.")]
KindOption = Annotated[
    Kind, typer.Option(help="Its layout; 'folder' is any folder of audio and MIDI files of the same names.")
]
CacheOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder of the cache; more data sets may be added to it.")
]
SplitsOption = Annotated[
    list[str] | None,
    typer.Option("--split", help="train, validation or test; repeat it. [default: all]", show_default=False),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Option of the reader, such as splits=official (musicnet), program=24 (guitarset), notes=score and "
        "midi_folder=FOLDER (urmp), submixes=0 (slakh), loader=mirdata (guitarset, slakh); repeat it.",
    ),
]
DtypeOption = Annotated[str, typer.Option(help="float16 (exact to 0.004) or float32.")]
ShortestOption = Annotated[float, typer.Option(min=0.1, help="Shorter recordings are left out, in seconds.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Processes. [default: one a core]", show_default=False),
]
UrmpArgument = Annotated[Path, typer.Argument(metavar="URMP_FOLDER", help="Where the pieces' folders are.")]
CleanArgument = Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the MIDI files.")]
SaxOption = Annotated[Sax, typer.Option(help="Program of saxophones; the official models have 64.")]
DownloadOption = Annotated[
    bool, typer.Option("--download-index", help="Fetch mirdata's index, a few MB, if it is not there.")
]


def register_on(data: typer.Typer) -> None:
    """Put the commands beside the others of `ondes data`."""
    data.command(short_help="Make features of recordings for training.")(cache)
    data.command("clean-urmp", short_help="Write URMP's scores with their programs.")(clean)
    data.command(short_help="Compare a data set's files with their checksums.")(check)


def cache(
    folder: FolderArgument,
    *,
    kind: KindOption,
    output: CacheOption,
    split: SplitsOption = None,
    settings: SettingsOption = None,
    dtype: DtypeOption = "float16",
    shortest: ShortestOption = 1.0,
    workers: WorkersOption = None,
) -> None:
    """Resample every recording once and keep its log-mel (16 kHz, 50 frames a second) and notes on disk.

    A stopped run goes on when the command is repeated; files that have not changed are not read again. What had to be
    left out is listed at the end, by reason, and in rejected-KIND.json.
    """
    from ondes.datasets.feature_cache import build_cache  # noqa: PLC0415
    from ondes.datasets.readers import read_recordings  # noqa: PLC0415
    from ondes.datasets.recordings import SPLITS, Rejections  # noqa: PLC0415

    options = dict(_setting(text) for text in settings or ())
    rejections, recordings = Rejections(), []
    for name in split or SPLITS:
        found, left_out = read_recordings(kind.value, folder, name, **options)
        recordings += found
        rejections.update(left_out)
    with counting("caching") as progress:
        songs = build_cache(
            recordings,
            output,
            rejections=rejections,
            dtype=dtype,
            workers=workers or os.cpu_count() or 1,
            least_s=shortest,
            progress=progress,
        )
    report = output / f"rejected-{kind.value}.json"
    rejections.write(report)
    for line in rejections.lines():
        say(f"left out: {line}")
    seen = f" (see {report})" if rejections.rows else ""
    say(
        f"{output}: {len(songs)} of {kind.value}, {clock(songs.duration_s)}; {len(rejections.rows)} left out{seen}"
    )
    if not songs:
        raise UserError(f"nothing of {folder} could be used; see {report}, or choose another --split")


def clean(folder: UrmpArgument, out: CleanArgument, *, sax: SaxOption = Sax.ALTO) -> None:
    """Write each piece's score as OUT/<piece>.mid, with the programs that the names of URMP's folders say.

    Train from them with 'ondes data cache URMP_FOLDER --kind urmp --set notes=score --set midi_folder=OUT'.
    """
    from ondes.datasets.urmp import clean_urmp  # noqa: PLC0415

    written = clean_urmp(folder, out, sax=int(sax.value))
    say(f"{out}: {len(written)} scores")


def check(folder: FolderArgument, *, kind: KindOption, download_index: DownloadOption = False) -> None:
    """Compare the files of GuitarSet or Slakh with the checksums that mirdata keeps (pip install 'ondes[data]')."""
    from ondes.datasets.checksums import check_dataset  # noqa: PLC0415

    with counting("checking") as progress:
        found = check_dataset(kind.value, folder, download_index=download_index, progress=progress)
    for what, paths in (("missing", found.missing), ("damaged", found.damaged)):
        if paths:
            say(f"{what}: {len(paths)}, the first {paths[0]}")
    whole = found.files - len(found.missing) - len(found.damaged)
    say(f"{folder}: {whole} of {found.files} files are whole; licence: {found.licence}")
    if whole < found.files:
        raise typer.Exit(1)


def _setting(text: str) -> tuple[str, Any]:
    """Name and value of an option; numbers and true or false are read as such."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"--set {text!r} has no value; write it as NAME=VALUE")
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, found if isinstance(found, int | bool) else value


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over things to do, with the time that is left; it appears when the first is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (label, BarColumn(bar_width=30), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console())
    task = bar.add_task(label, total=None)

    def report(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:
            bar.stop()
