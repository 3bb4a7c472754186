"""`ondes batch`: one task for all files of a folder, on this machine or on many."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ondes.cli.console import counting_files, say
from ondes.cli.yaml_options import words_of
from ondes.errors import UserError

if TYPE_CHECKING:
    from ondes.tasks.batch import Done

EXIT_FAILED = 1

TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="synth, compose, separate, vary, inpaint or outpaint.",
        show_default=False,
    ),
]
FolderArgument = Annotated[
    Path,
    typer.Argument(metavar="FOLDER", help="All scores or sounds in it, at any depth.", show_default=False),
]
OptionsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Options of the task, as steps=4 seed=7; a key with several values stands several times.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path, typer.Option("-o", "--output", help="Folder, which gets a folder a file.", show_default=False)
]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="local|ray|ray://HOST:PORT",
        help="Processes of this machine, or Ray: started here, or a cluster that sees the same files.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        help="How many files at a time, each with a model of its own. [default: the processors]",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int,
    typer.Option(min=1, max=1024, help="CPU threads of each worker; another count may round differently."),
]
ConfigFileOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.yaml",
        help="A YAML file with options of the task; those typed here win.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command()(batch)


def batch(
    task: TaskArgument,
    folder: FolderArgument,
    options: OptionsArgument = None,
    *,
    output: OutOption,
    engine: EngineOption = "local",
    workers: WorkersOption = None,
    threads: ThreadsOption = 1,
    config: ConfigFileOption = None,
) -> None:
    """Do the same with every file of a folder; repeated, it goes on where it stopped."""
    from ondes.tasks.batch import find_items, make_plan, write_errors  # noqa: PLC0415
    from ondes.tasks.batch_engines import engine_of  # noqa: PLC0415

    run = engine_of(engine)
    words = (words_of(config) if config else {}) | _words(options or [])
    plan = make_plan(task, words, threads=threads)
    items = find_items(folder, output, plan.input_kind)
    found: list[Done] = []
    with (
        counting_files(f"{task} {folder}") as report,
        closing(run(plan, items, workers or _processors())) as results,
    ):
        report(0, len(items))
        for done in results:
            found.append(done)
            report(len(found), len(items))
    failures = [done for done in found if done.status == "failed"]
    listed = write_errors(output, failures)
    count = Counter(done.status for done in found)
    say(f"{len(found)} files: {count['made']} made, {count['kept']} were there, {count['failed']} failed")
    if failures:
        first = min(failures, key=lambda done: done.name)
        say(f"{listed} says why, as: {first.reason}")
        raise typer.Exit(EXIT_FAILED)


def _words(options: list[str]) -> dict[str, list[str]]:
    """The values of each key, in the order in which they were typed.

    Raises:
        UserError: If a word is no key with a value.
    """
    found: dict[str, list[str]] = {}
    for word in options:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"{word!r} is no option of the task; write KEY=VALUE, as steps=4")
        found.setdefault(key.replace("-", "_"), []).append(value)
    return found


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
