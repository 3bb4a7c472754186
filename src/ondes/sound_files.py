"""Sound files read block by block, so that none is ever in memory as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from ondes.audio import FORMATS, finite
from ondes.errors import UserError

if TYPE_CHECKING:
    import soundfile

BLOCK_SAMPLES = 1 << 17
"""Samples of each channel that are read at once."""

_SUFFIXES = ", ".join(FORMATS)


class AudioReader:
    """A sound file in any format that libsndfile reads, at its own rate, as often as wanted from its beginning.

    Nothing is sought in it: decoders of lossy files give other samples after a jump.

    Attributes:
        path: The file.
        sample_rate_hz: Its rate.
        channels: How many it has.
        samples: In each channel, as its header says.

    Raises:
        UserError: If there is no such file, or it is not audio.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "does not exist"
            raise UserError(f"{self.path} {what}; give an audio file ({_SUFFIXES})")
        with self._opened() as file:
            self.sample_rate_hz, self.channels, self.samples = file.samplerate, file.channels, file.frames

    def blocks(self, size: int = BLOCK_SAMPLES) -> Iterator[Float32[np.ndarray, "channels _"]]:
        """All of it, in blocks of `size` samples and a last one of fewer.

        Raises:
            UserError: If the file is damaged, or holds NaN or infinity.
        """
        with self._opened() as file:
            while len(block := self._read(file, size)):
                yield finite(block.T, str(self.path))

    def whole(self) -> Float32[np.ndarray, "channels time"]:
        """All of it at once, as any samples that it holds."""
        with self._opened() as file:
            return self._read(file, -1).T

    def _opened(self) -> soundfile.SoundFile:
        import soundfile  # noqa: PLC0415

        try:
            return soundfile.SoundFile(self.path)
        except (soundfile.LibsndfileError, OSError) as error:
            raise self._unreadable(error) from None

    def _read(self, file: soundfile.SoundFile, count: int) -> np.ndarray:
        import soundfile  # noqa: PLC0415

        try:
            return file.read(count, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(f"{self.path} is not audio that can be read ({error}); give {_SUFFIXES}")
