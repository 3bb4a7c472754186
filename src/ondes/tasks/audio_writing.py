"""Audio becomes files while it is made: one, or one a part and their sum, and folders that change as a whole."""

from __future__ import annotations

import itertools
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Output

if TYPE_CHECKING:
    import numpy as np

    from ondes.audio import Audio, AudioWriter

MIX_FILE = "mix.wav"


def write_blocks(blocks: Iterator[Audio], path: Path, *, encoding: str | None = None) -> Output:
    """Write blocks of audio to a file as they come, at least one.

    Args:
        blocks: Of one rate and number of channels.
        path: Its suffix says the format.
        encoding: As `AudioWriter` takes it.
    """
    samples = 0
    first = next(blocks)
    with writer_like(first, path, encoding=encoding) as writer:
        for block in itertools.chain([first], blocks):
            writer.write(block)
            samples += block.samples.shape[-1]
    duration_s = samples / first.sample_rate_hz
    return Output(path.name, file_sha256(path), first.sample_rate_hz, first.channels, duration_s)


def write_stems(
    blocks: Iterator[dict[str, Audio]],
    parts: Sequence[str],
    folder: Path,
    *,
    on_mix: Callable[[Audio], None] | None = None,
) -> Output:
    """Write blocks of every part into one file a part, and their sum into `mix.wav`, as they come, at least one.

    Args:
        blocks: By the name of the part, all of one length.
        parts: Names for files, in the order of the blocks.
        folder: Takes the files.
        on_mix: Takes every block of the sum, too.
    """
    from ondes.audio import Audio  # noqa: PLC0415

    files = stem_files(parts)
    samples = 0
    with ExitStack() as writers:
        first = next(blocks)
        mix = next(iter(first.values()))
        out = [writers.enter_context(writer_like(mix, folder / name)) for name in [*files, MIX_FILE]]
        for block in itertools.chain([first], blocks):
            stems = [stem.samples for stem in block.values()]
            total = sum_of(stems)
            for writer, part in zip(out, [*stems, total], strict=True):
                writer.write(part)
            if on_mix is not None:
                on_mix(Audio(total, mix.sample_rate_hz))
            samples += stems[0].shape[-1]
    duration_s = samples / mix.sample_rate_hz
    fingerprints = {name: file_sha256(folder / name) for name in files}
    return Output(
        MIX_FILE, file_sha256(folder / MIX_FILE), mix.sample_rate_hz, mix.channels, duration_s, fingerprints
    )


def writer_like(audio: Audio, path: Path, *, encoding: str | None = None) -> AudioWriter:
    """A writer for more audio of the same kind."""
    from ondes.audio import AudioWriter  # noqa: PLC0415

    return AudioWriter(path, sample_rate_hz=audio.sample_rate_hz, channels=audio.channels, encoding=encoding)


def sum_of(stems: Sequence[np.ndarray]) -> np.ndarray:
    """All stems at once, added in double precision."""
    import numpy as np  # noqa: PLC0415

    return np.asarray(np.sum(stems, axis=0, dtype=np.float64), np.float32)


def stem_files(parts: Sequence[str]) -> list[str]:
    """A file name for each part: its number, then its name with nothing in it that a file system minds."""
    width = max(2, len(str(len(parts))))
    return [f"{number:0{width}}-{_safe(name)}.wav" for number, name in enumerate(parts, start=1)]


def _safe(name: str) -> str:
    """Letters, digits and dashes, in lower case, at most 40 of them."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-") or "part"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when all are there, and vanish on any failure.

    Args:
        folder: Made where missing, and taken away again on failure if it was.

    Yields:
        The temporary folder, inside it.

    Raises:
        UserError: If the folder cannot be made or written to.
    """
    existed = folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".ondes-", dir=folder)
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror}; choose another folder") from error
    try:
        with temporary as name:
            yield Path(name)
            for file in sorted(Path(name).iterdir()):
                file.replace(folder / file.name)
    except BaseException:
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
        raise
