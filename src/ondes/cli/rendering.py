"""How commands turn a score into files: shared by `synth`, `demo` and `replay`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ondes.cli.console import clock, complain, playing, say, waiting
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.sidecar import Output, Settings
from ondes.tasks.audio_writing import MIX_FILE, write_blocks, write_stems
from ondes.tasks.performing import choices

if TYPE_CHECKING:
    from ondes.audio import Audio
    from ondes.pipelines.opening import Player
    from ondes.score import Notes


def open_notes(score: Path) -> Notes:
    """Read a score, and say what had to be repaired.

    Raises:
        UserError: If it cannot be read as a score.
    """
    from ondes.score import read_score_with_report, to_notes  # noqa: PLC0415

    symbolic, report = read_score_with_report(score)
    if report:
        complain(f"{score}: {report}")
    return to_notes(symbolic)


def load_pipeline(
    model: str, threads: int | None, *, vocoder: str | None = None, int8: bool = False
) -> Player:
    """Load a model of any kind by bundled name, folder or Hub id, after telling torch how many threads it may use.

    Args:
        model: Its name.
        threads: Torch's choice where None.
        vocoder: Another than its own, by name or place.
        int8: Whether its linear layers are made 8-bit; what this changes is said.

    Raises:
        UserError: If there is no such model or vocoder, or its weights are damaged.
    """
    with waiting(f"Loading {model}"):
        from diffusers.utils import logging as diffusers_logging  # noqa: PLC0415

        from ondes.pipelines.opening import open_pipeline  # noqa: PLC0415

        diffusers_logging.set_verbosity(logging.CRITICAL)
        diffusers_logging.disable_progress_bar()
        use_threads(threads)
        pipeline = open_pipeline(model, vocoder=vocoder, int8=int8)
    if (error := getattr(pipeline, "int8_error", None)) is not None:
        say(f"8-bit linear layers change the network's answer to noise by {100 * error:.2f} %")
    return pipeline


def play_to_file(pipeline: Player, notes: Notes, settings: Settings, path: Path, *, label: str) -> Output:
    """Play a score into an audio file, block after block, so that memory does not grow with its length."""
    chosen = choices(pipeline, settings)
    with timed() as elapsed_s, playing(label) as report:
        made = write_blocks(pipeline.stream(notes, progress=report, **chosen), path)
    say(speed_line(path.name, made.duration_s, elapsed_s()))
    return made


def play_to_stems(pipeline: Player, notes: Notes, settings: Settings, folder: Path, *, label: str) -> Output:
    """Play a score into one file a part, and their sum into `mix.wav`, block after block."""
    chosen = choices(pipeline, settings, verb="stream_stems")
    stream: Callable[..., Iterator[dict[str, Audio]]] = getattr(pipeline, "stream_stems")  # noqa: B009
    parts = [part.name for part in notes.parts]
    with timed() as elapsed_s, playing(label) as report:
        made = write_stems(stream(notes, progress=report, **chosen), parts, folder)
    say(speed_line(f"{len(parts)} stems and {MIX_FILE}", made.duration_s, elapsed_s()))
    return made


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """A stopwatch: call what it gives for the seconds since."""
    began_s = time.monotonic()
    yield lambda: time.monotonic() - began_s


def speed_line(name: str, duration_s: float, elapsed_s: float) -> str:
    """What was written, how long it is, and how long it took."""
    factor = elapsed_s / duration_s if duration_s else 0.0
    return f"{name}: {clock(duration_s)} of music in {clock(elapsed_s)} (real-time factor {factor:.2f})"


def check_stem_folder(folder: Path) -> None:
    """Refuse what cannot be a folder of stems.

    Raises:
        UserError: If it looks like an audio file, or is a file.
    """
    from ondes.audio import FORMATS  # noqa: PLC0415

    if folder.suffix.lower() in FORMATS:
        raise UserError(
            f"with --stems -o names a folder, and {folder} looks like a file; pass -o {folder.stem}/"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; with --stems -o names a folder")


def stale_stems(folder: Path, output: Output) -> list[str]:
    """Numbered audio files in a folder that are no part of its newest mix."""
    found = (file.name for file in folder.glob("[0-9][0-9]*-*.wav"))
    return sorted(name for name in found if name not in output.stems)
