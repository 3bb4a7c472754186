"""Music down a pipe: 16-bit PCM on standard output, and nothing else there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

import typer

from ondes.cli.console import playing
from ondes.errors import UserError
from ondes.tasks.performing import choices
from ondes.wav import to_pcm16, wav_header

if TYPE_CHECKING:
    from ondes.pipelines.opening import Player
    from ondes.score import Notes
    from ondes.sidecar import Settings

EXIT_BROKEN_PIPE = 141
"""What a shell reports for a program whose reader went away."""

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output for music alone: all else that is printed goes to standard error.

    Yields:
        A binary file; a reader that goes away ends the program quietly.

    Raises:
        UserError: If standard output is a terminal.
    """
    if os.isatty(STANDARD_OUTPUT):
        raise UserError("--stream would fill the terminal with samples; send it on, as in: --stream | aplay")
    sys.stdout.flush()
    descriptor = os.dup(STANDARD_OUTPUT)
    os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
    try:
        with os.fdopen(os.dup(descriptor), "wb", buffering=0) as sink:
            yield sink
    except BrokenPipeError:
        raise typer.Exit(EXIT_BROKEN_PIPE) from None
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(descriptor, STANDARD_OUTPUT)
        os.close(descriptor)


def play_to_stream(
    pipeline: Player, notes: Notes, settings: Settings, sink: BinaryIO, *, header: bool, label: str
) -> None:
    """Write each block as soon as it is made.

    Args:
        pipeline: The model.
        notes: The score.
        settings: How to play it.
        sink: Takes the bytes.
        header: Whether a WAV header goes ahead, so that a player knows rate and format.
        label: What the progress bar is called.
    """
    chosen = choices(pipeline, settings)
    with playing(label) as report:
        blocks = pipeline.stream(notes, progress=report, **chosen)
        for number, block in enumerate(blocks):
            if header and number == 0:
                _write_all(sink, wav_header(block.sample_rate_hz, block.channels))
            _write_all(sink, to_pcm16(block))


def _write_all(sink: BinaryIO, data: bytes) -> None:
    """Write every byte; an unbuffered pipe may take fewer than it is given."""
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]
