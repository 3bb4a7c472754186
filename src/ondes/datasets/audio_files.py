"""Audio files of a folder, and their sound read block by block, so that memory does not grow with its length."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from ondes.audio import FORMATS
from ondes.datasets.named import split_of
from ondes.datasets.recordings import SPLIT_NAMES, RejectedError, Rejections
from ondes.errors import UserError
from ondes.files import written_whole

SUFFIXES = (*FORMATS, ".aif", ".aiff", ".au", ".caf", ".opus", ".w64")
BLOCK_SAMPLES = 1 << 19
"""Samples read at a time."""
SILENT_PEAK = 1e-4
"""Files that nowhere reach this (-80 dB of full scale) hold nothing to learn."""


@dataclass(frozen=True)
class AudioFile:
    """A file that shall be in a cache.

    Args:
        path: Where it is.
        dataset: What its folder is called.
        name: Its path in the folder, with slashes.
        split: `train`, `validation` or `test`.
        styles: What its music is called.
    """

    path: Path
    dataset: str
    name: str
    split: str
    styles: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A fingerprint of the file's size and date and of what is said about it."""
        status = self.path.stat()
        told = [status.st_size, status.st_mtime_ns, self.split, *self.styles]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def find_audio(
    folder: str | os.PathLike[str],
    *,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    styles: Sequence[str] | None = None,
    rejections: Rejections | None = None,
) -> list[AudioFile]:
    """The audio files of a folder, at any depth, in order of their names; hidden ones are left out.

    Where the folder has folders named after splits, these are the splits, and what lies beside them is left out;
    otherwise files are split by a hash of their path in the folder without its suffix: 5 % validation, 10 % test.

    Args:
        folder: Where to look.
        include: Patterns such as `*.flac` or `jazz/*`, of which a path in the folder must match one.
        exclude: Patterns that it must not match.
        styles: What the music is called; where None, the first folder's name below `folder` and the split.
        rejections: Where to count what lies in no folder of a split.

    Raises:
        UserError: If there is no such folder, or it holds no such files.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; give a folder of audio files")
    found = []
    sorted_out = any((root / name).is_dir() for name in SPLIT_NAMES)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    for path in paths:
        place = path.relative_to(root)
        name = place.as_posix()
        wanted = _matches(name, include) and not _matches(name, exclude)
        if not wanted or any(part.startswith(".") for part in place.parts):
            continue
        split = SPLIT_NAMES.get(place.parts[0]) if sorted_out else split_of(place.with_suffix("").as_posix())
        if split is None:
            if rejections is not None:
                rejections.add(root.resolve().name, name, "in no folder of a split")
            continue
        folders = place.parts[1 if sorted_out else 0 : -1]
        own = tuple(folders[:1]) if styles is None else tuple(styles)
        found.append(AudioFile(path, root.resolve().name, name, split, own))
    if not found:
        asked = f" that match {', '.join(include)}" if tuple(include) != ("*",) else ""
        raise UserError(f"{root} holds no audio files{asked}; known are {', '.join(SUFFIXES)}")
    return found


class Sound:
    """An audio file that is read in blocks, as often as it takes.

    Attributes:
        fingerprint: Of all samples, rate and channels; the same however they were coded. Empty before they are read.
        seconds: Length.

    Args:
        path: The file.

    Raises:
        RejectedError: If it is no audio, or has more than two channels.
    """

    def __init__(self, path: Path) -> None:
        import soundfile  # noqa: PLC0415

        self.path, self.fingerprint = path, ""
        try:
            about = soundfile.info(path)
        except (soundfile.LibsndfileError, OSError) as error:
            raise RejectedError("corrupt audio", str(error)) from error
        if about.channels > 2:
            raise RejectedError("more than two channels", str(about.channels))
        self.samples, self.channels, self.sample_rate_hz = about.frames, about.channels, about.samplerate
        self.seconds = self.samples / self.sample_rate_hz

    def write_log_mel(self, target: Path, semitones: float) -> float:
        """Write the log-mel of the file raised in pitch; gives its length in seconds."""
        from ondes.representations.mel import MEL  # noqa: PLC0415
        from ondes.representations.mel_stream import stream_log_mel  # noqa: PLC0415

        rate_hz = self.sample_rate_hz * 2 ** (semitones / 12)
        frames = round(self.samples * MEL.sample_rate_hz / rate_hz) // MEL.hop_samples
        target.parent.mkdir(parents=True, exist_ok=True)
        shape, done = (2, MEL.bands, frames), 0
        with written_whole(target) as neighbour:
            np.lib.format.open_memmap(neighbour, "w+", np.float16, shape).flush()
            for piece in stream_log_mel(self._resampled(rate_hz, MEL.sample_rate_hz)):
                # Mapped anew for each piece: pages of a map that stays would count as memory.
                mapped = np.lib.format.open_memmap(neighbour, "r+")
                mapped[..., done : done + piece.shape[-1]] = piece[..., : frames - done]
                done += piece.shape[-1]
                del mapped
        if done < frames:
            raise RejectedError("corrupt audio", f"{done} of {frames} frames are there")
        return frames / MEL.frames_per_second

    def _resampled(self, rate_hz: float, wanted_hz: int) -> Iterator[Float32[np.ndarray, "2 _"]]:
        import soxr  # noqa: PLC0415

        stream = soxr.ResampleStream(rate_hz, wanted_hz, 2, dtype="float32", quality="HQ")
        for block in self._blocks():
            yield block if rate_hz == wanted_hz else stream.resample_chunk(np.ascontiguousarray(block.T)).T
        if rate_hz != wanted_hz:
            yield stream.resample_chunk(np.zeros((0, 2), np.float32), last=True).T

    def _blocks(self) -> Iterator[Float32[np.ndarray, "2 _"]]:
        """Stereo blocks at the file's rate; the whole sound is fingerprinted and judged at the end."""
        import soundfile  # noqa: PLC0415

        digest, read, peak = hashlib.sha256(), 0, 0.0
        digest.update(f"{self.sample_rate_hz} {self.channels}".encode())
        try:
            for block in soundfile.blocks(self.path, BLOCK_SAMPLES, dtype="float32", always_2d=True):
                if not np.isfinite(block).all():
                    raise RejectedError("NaN or infinite samples", self.path.name)
                digest.update(np.ascontiguousarray(block).tobytes())
                read, peak = read + len(block), max(peak, float(np.abs(block).max(initial=0.0)))
                yield np.repeat(block.T, 2, axis=0) if self.channels == 1 else block.T
        except (soundfile.LibsndfileError, OSError) as error:
            raise RejectedError("corrupt audio", str(error)) from error
        if read != self.samples:
            raise RejectedError("corrupt audio", f"{read} of {self.samples} samples are there")
        if peak < SILENT_PEAK:
            raise RejectedError("silent", f"peak {peak:.1e}")
        self.fingerprint = digest.hexdigest()[:32]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a path with slashes fits one of the patterns, whose `*` also stands for slashes."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
