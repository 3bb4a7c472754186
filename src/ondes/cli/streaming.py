"""Music down a pipe: 16-bit PCM on standard output, and nothing else there."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

import typer

from ondes.cli.console import playing
from ondes.cli.rendering import choices
from ondes.errors import UserError

if TYPE_CHECKING:
    from ondes.audio import Audio
    from ondes.pipelines.opening import Player
    from ondes.score import Notes
    from ondes.sidecar import Settings

EXIT_BROKEN_PIPE = 141
"""What a shell reports for a program whose reader went away."""

UNKNOWN_LENGTH = 0xFFFFFFFF
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


def to_pcm16(block: Audio) -> bytes:
    """Interleaved 16-bit little-endian samples; beyond full scale clips."""
    import numpy as np  # noqa: PLC0415

    scaled = np.rint(np.clip(block.samples, -1.0, 1.0) * 32767)
    return scaled.T.astype("<i2").tobytes()


def wav_header(sample_rate_hz: int, channels: int) -> bytes:
    """The 44 bytes before 16-bit PCM whose length is not known yet; players read on until the pipe ends."""
    frame_bytes = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", UNKNOWN_LENGTH, b"WAVE"),
        *(b"fmt ", 16, 1, channels, sample_rate_hz, sample_rate_hz * frame_bytes, frame_bytes, 16),
        *(b"data", UNKNOWN_LENGTH),
    )


def _write_all(sink: BinaryIO, data: bytes) -> None:
    """Write every byte; an unbuffered pipe may take fewer than it is given."""
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]
