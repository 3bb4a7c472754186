"""What the command line says: messages and progress on standard error, never on standard output."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import ondes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

EXIT_TERMINATED = 143
PACKAGE_FOLDER = Path(ondes.__file__).parent

Report = Callable[[float, float], None]
"""Takes the seconds of music made, and how many there will be."""


@cache
def console() -> Console:
    """Standard error, through rich."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print a line for the person at the terminal."""
    console().print(message, markup=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print a line about something that is wrong."""
    say(f"ondes: {message}")


def clock(seconds: float) -> str:
    """A duration as people read it: `8.2 s`, `2:05`, `1:00:07`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """Show that something without a known length goes on."""
    with console().status(label):
        yield


def playing(label: str) -> AbstractContextManager[Report]:
    """A progress bar over seconds of music, with the time that is left."""
    return _telling(label, lambda done_s, total_s: f"{clock(done_s)} of {clock(total_s)} of music")


def counting_notes(label: str) -> AbstractContextManager[Report]:
    """A progress bar over notes to be composed, with the time that is left."""
    return _telling(label, lambda done, total: f"{done:.0f} of {total:.0f} notes")


def counting_files(label: str) -> AbstractContextManager[Report]:
    """A progress bar over files to be worked on, with the time that is left."""
    return _telling(label, lambda done, total: f"{done:.0f} of {total:.0f} files")


@contextmanager
def _telling(label: str, words: Callable[[float, float], str]) -> Iterator[Report]:
    """A progress bar that says in words how much is done of how much."""
    with _music_progress() as progress:
        task = progress.add_task(label, total=None, music="")

        def report(done: float, total: float) -> None:
            progress.update(task, completed=done, total=total, music=words(done, total))

        yield report


@contextmanager
def _music_progress() -> Iterator[Progress]:
    """Label, bar, music made so far, and the estimated time left; nothing stays of it where the work fails."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns: list[Any] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[music]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    ]
    with Progress(*columns, console=console()) as progress:
        try:
            yield progress
        except BaseException:
            progress.live.transient = True
            progress.live.stop()
            progress.disable = True  # its own way to stop prints an empty line
            raise


@contextmanager
def routed_messages() -> Iterator[None]:
    """For a run of the command line: warnings and logs of ondes become lines, those of libraries are dropped.

    SIGTERM unwinds the stack as Ctrl-C does, so that temporary files are cleared away.
    """
    handler = _LineHandler(logging.WARNING)
    log = logging.getLogger("ondes")
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, _terminate)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
        if before is not None:
            signal.signal(signal.SIGTERM, before)


class _LineHandler(logging.Handler):
    """Prints a log record as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message without time, level or logger."""
        complain(record.getMessage())


def _show_warning(message: Warning | str, category: type[Warning], filename: str, *_: object) -> None:
    """Print warnings that our own code raised."""
    if PACKAGE_FOLDER in Path(filename).parents and issubclass(category, UserWarning):
        complain(f"warning: {message}")


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Leave as if the program had ended itself."""
    sys.exit(EXIT_TERMINATED)
