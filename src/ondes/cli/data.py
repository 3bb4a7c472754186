"""`ondes data`: scores become training pairs, and data sets get names; see `recordings` for recorded ones."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondes.cli import audio_caches, note_caches, recordings
from ondes.cli.console import clock, console, playing, say

if TYPE_CHECKING:
    from ondes.datasets.pairs import Report


WIDE_ENOUGH = 160
"""Columns of the table where nobody's terminal says how many there are."""


class Backend(StrEnum):
    """The SoundFont players by the names people type."""

    AUTO = "auto"
    MIDIRENDERER = "midirenderer"
    FLUIDSYNTH = "fluidsynth"


ScoresArgument = Annotated[
    str,
    typer.Argument(metavar="SCORES", help="A data set such as corpus:train, or a folder of MIDI files."),
]
PairsOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder for the pairs; repeat the command to go on.")
]
SoundfontOption = Annotated[
    Path | None,
    typer.Option(
        help="SF2 (or SF3, with fluidsynth) to play with. [default: ONDES_SOUNDFONT or the system's]",
        show_default=False,
    ),
]
HoursOption = Annotated[float, typer.Option(min=0.0, help="How much audio the folder shall hold.")]
SeedOption = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another seed, other pairs.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Processes. [default: one a core]", show_default=False),
]
BackendOption = Annotated[Backend, typer.Option(help="What plays the SoundFont.")]
SecondsOption = Annotated[float, typer.Option(min=1.0, max=600.0, help="Length of each score.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What to call the data set.")]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER_OR_ARCHIVE", help="Scores with their manifest.jsonl, or MIDI files.")
]
ClonesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="CLONE...",
        help="Clones of OpenScore's Lieder, StringQuartets and Hauptstimme, and of Freedoom.",
    ),
]
CorpusOption = Annotated[Path, typer.Option("-o", "--output", help="Folder for the corpus.")]


def register(app: typer.Typer) -> None:
    """Put the commands on the command line."""
    data = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make and name data sets.")
    data.command(short_help="Render scores to training pairs.")(render)
    data.command(short_help="Build the corpus from public repositories.")(openscore)
    data.command(short_help="Give a data set a name.")(add)
    data.command("list", short_help="List the data sets.")(list_datasets)
    data.command(short_help="Keep the notes of scores for composers to learn from.")(note_caches.notes)
    data.command(short_help="Keep the log-mels of audio files for audio models.")(audio_caches.audio)
    recordings.register_on(data)
    app.add_typer(data, name="data", short_help="Make and name data sets.")


def render(
    scores: ScoresArgument,
    *,
    output: PairsOption,
    soundfont: SoundfontOption = None,
    hours: HoursOption = 1.0,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    backend: BackendOption = Backend.AUTO,
    seconds: SecondsOption = 25.0,
) -> None:
    """Make training pairs: scores varied at random, and their audio.

    Each pair is a FLAC file and the MIDI file that was played, with a row in manifest.jsonl. A stopped run goes on
    when the command is repeated; --hours may be larger then.
    """
    from ondes.datasets.named import dataset  # noqa: PLC0415
    from ondes.datasets.pairs import PairSettings, render_pairs  # noqa: PLC0415
    from ondes.datasets.render import find_soundfont  # noqa: PLC0415

    entries = dataset(scores)
    settings = PairSettings(soundfont or find_soundfont(), backend=backend.value, seed=seed, seconds=seconds)
    settings.renderer()
    with playing("rendering") as progress:
        report = render_pairs(
            entries,
            output,
            settings,
            hours=hours,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    say(_summary(report, output))


def openscore(clones: ClonesArgument, *, output: CorpusOption) -> None:
    """Build the corpus that the bundled models learnt from, from clones of the public repositories.

    MusicXML is converted with verovio (pip install 'ondes[musicxml]'). Add the result with 'ondes data add corpus'.
    """
    from ondes.datasets.openscore import build_corpus  # noqa: PLC0415

    with _converting() as progress:
        report = build_corpus(clones, output, progress=progress)
    failed = f"; {len(report.failed)} could not be converted, see failed.jsonl" if report.failed else ""
    say(f"{output}: {report.scores} scores, {clock(report.seconds)}{failed}")


def add(name: NameArgument, source: SourceArgument) -> None:
    """Copy a data set into the data folder (ONDES_DATA), so that NAME:train, NAME:validation and NAME:test mean it."""
    from ondes.datasets.adding import add_dataset  # noqa: PLC0415
    from ondes.datasets.named import dataset  # noqa: PLC0415

    folder = add_dataset(name, source)
    say(f"{folder}: {_splits(Counter(entry.split for entry in dataset(name)))}")


def list_datasets() -> None:
    """List the data sets in the data folder, with their scores, hours and licences."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from ondes.datasets.named import SPLITS, data_home, dataset, dataset_names  # noqa: PLC0415

    names = dataset_names()
    if not names:
        say(f"There is no data set in {data_home()}; add one with 'ondes data add NAME FOLDER_OR_ARCHIVE'.")
        return
    table = Table("name", "collection", "scores", "hours", *SPLITS, "licence")
    for name in names:
        entries = dataset(name)
        for collection in sorted({entry.collection for entry in entries}):
            own = [entry for entry in entries if entry.collection == collection]
            table.add_row(
                name,
                collection,
                str(len(own)),
                f"{sum(entry.seconds for entry in own) / 3600:.1f}",
                *(str(sum(entry.split == split for entry in own)) for split in SPLITS),
                ", ".join(sorted({entry.licence for entry in own})),
            )
    terminal = Console(highlight=False)
    if not terminal.is_terminal:
        terminal.width = WIDE_ENOUGH
    terminal.print(table)


@contextmanager
def _converting() -> Iterator[Callable[[int, int], None]]:
    """A progress bar over scores, with the time that is left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        "converting",
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task("converting", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _splits(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[split]} {split}" for split in ("train", "validation", "test") if counts[split])


def _summary(report: Report, output: Path) -> str:
    """What the folder holds, and what was rejected and why."""
    rejected = ", ".join(f"{number} {reason}" for reason, number in sorted(report.rejected.items()))
    held = f"{output}: {report.pairs} pairs, {clock(report.seconds)}"
    return f"{held}; rejected: {rejected} (see rejected.jsonl)" if rejected else f"{held}; none rejected"
