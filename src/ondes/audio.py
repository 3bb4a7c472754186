"""Audio: samples with their rate, read from and written to files.

Samples are floats with full scale at 1. Files are written beside their destination and renamed when complete:
a name never stands for half a file.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike

from ondes.errors import UserError, nearest
from ondes.ogg import number_stream
from ondes.wav import undate_peaks

if TYPE_CHECKING:
    import soundfile

log = logging.getLogger(__name__)

FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""File suffix to libsndfile's names of container and encoding."""

ENCODINGS = {"24-bit": "PCM_24", "float": "FLOAT"}
"""What a file may hold its samples in, by libsndfile's names: whole numbers in WAV and FLAC, floats in WAV alone."""

WHOLE_NUMBERS = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "ULAW", "ALAW", "ALAC_16", "ALAC_20", "ALAC_24")
"""libsndfile's encodings whose samples are whole numbers of at most 24 bits."""

_SUFFIXES = ", ".join(FORMATS)
MOST_CHANNELS = {".wav": 1024, ".flac": 8, ".ogg": 255, ".mp3": 2}
MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
MOST_WAV_BYTES = 2**32 - 4096
"""Sizes in a WAV file are 32-bit numbers; a little is left for its headers."""

BLOCK_FRAMES = 65536
"""Encoders get blocks of this size, however a sound arrives: libsndfile's Vorbis encoder overflows the stack
when it is given minutes in one call, and what it makes depends on the size of the first."""


@dataclass(frozen=True, eq=False)
class Audio:
    """A piece of sound that cannot change.

    Args:
        samples: One row a channel, (channels, time), full scale at 1; larger values are kept here and clip in
            files. Held as a read-only view of 32-bit floats.

        sample_rate_hz: Samples a second in each channel.

    Raises:
        UserError: If the samples are not two-dimensional, hold NaN or infinity, or the rate is not positive.
    """

    samples: Float32[np.ndarray, "channels time"]
    sample_rate_hz: int

    def __post_init__(self) -> None:
        samples = finite(self.samples, "audio").view()
        samples.flags.writeable = False
        if int(self.sample_rate_hz) != self.sample_rate_hz or self.sample_rate_hz <= 0:
            raise UserError(f"a sample rate of {self.sample_rate_hz} Hz; give a whole number such as 44100")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sample_rate_hz", int(self.sample_rate_hz))

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate_hz

    @property
    def channels(self) -> int:
        """Rows of `samples`."""
        return self.samples.shape[0]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Audio:
        """The sound of a file in any format that libsndfile reads, at the file's own rate.

        Raises:
            UserError: If there is no such file, or it is not audio.
        """
        from ondes.sound_files import AudioReader  # noqa: PLC0415

        reader = AudioReader(path)
        return cls(finite(reader.whole(), str(path)), reader.sample_rate_hz)

    @classmethod
    def silence(cls, duration_s: float, *, sample_rate_hz: int = 44100, channels: int = 2) -> Audio:
        """Zeros, rounded to whole samples."""
        if not 0 <= duration_s < float("inf"):
            raise UserError(f"silence of {duration_s} s; give a length of 0 or more seconds")
        return cls(np.zeros((channels, round(duration_s * sample_rate_hz)), np.float32), sample_rate_hz)

    @classmethod
    def concatenate(cls, pieces: Iterable[Audio]) -> Audio:
        """The pieces one after another, joined without a fade.

        Raises:
            UserError: If there is none, or they differ in rate or number of channels.
        """
        pieces = list(pieces)
        kinds = {(piece.channels, piece.sample_rate_hz) for piece in pieces}
        if len(kinds) != 1:
            found = ", ".join(f"{channels} x {rate} Hz" for channels, rate in sorted(kinds)) or "nothing"
            raise UserError(f"cannot join audio of {found}; give pieces of one rate and number of channels")
        return cls(np.concatenate([piece.samples for piece in pieces], axis=1), pieces[0].sample_rate_hz)

    def resample(self, sample_rate_hz: int) -> Audio:
        """The same sound at another rate, by soxr's high-quality setting (linear phase, no shift in time)."""
        if sample_rate_hz == self.sample_rate_hz:
            return self
        import soxr  # noqa: PLC0415

        if sample_rate_hz <= 0:
            raise UserError(f"a sample rate of {sample_rate_hz} Hz; give a whole number such as 44100")
        resampled = soxr.resample(self.samples.T, self.sample_rate_hz, sample_rate_hz, quality="HQ")
        return Audio(resampled.T, sample_rate_hz)

    def to_stereo(self) -> Audio:
        """Two channels: mono on both sides, stereo as it is.

        Raises:
            UserError: If there are more than two channels.
        """
        if self.channels == 2:
            return self
        if self.channels != 1:
            raise UserError(f"audio of {self.channels} channels; mix it down to mono or stereo first")
        return Audio(np.repeat(self.samples, 2, axis=0), self.sample_rate_hz)

    def write(self, path: str | os.PathLike[str], *, encoding: str | None = None) -> None:
        """Write a file whose suffix says the format; see `AudioWriter`."""
        with AudioWriter(
            path, sample_rate_hz=self.sample_rate_hz, channels=self.channels, encoding=encoding
        ) as writer:
            writer.write(self)


class AudioWriter:
    """A file that is written block by block and appears only when complete.

    Use it as a context manager. The blocks go to a hidden neighbour of the destination, which takes its name
    on a clean exit and is deleted on any exception, Ctrl-C included. WAV and FLAC hold 24 bits, Vorbis and
    MP3 are lossy; what exceeds full scale is clipped, with a warning in the log. Floats in WAV are never clipped.

    Args:
        path: Where to write; the suffix (.wav, .flac, .ogg, .mp3) says the format.
        sample_rate_hz: Rate of the blocks to come.
        channels: Channels of the blocks to come.
        encoding: "24-bit" or "float", of `ENCODINGS`; the format's own where None, which is 24 bits in WAV and FLAC.

    Raises:
        UserError: If `check_output` refuses the path or the kind of audio.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sample_rate_hz: int,
        channels: int = 2,
        encoding: str | None = None,
    ) -> None:
        self.path = check_output(path, sample_rate_hz=sample_rate_hz, channels=channels, encoding=encoding)
        self.encoding = encoding
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self._partial: Path | None = None
        self._file: soundfile.SoundFile | None = None
        self._pending = np.zeros((channels, 0), np.float32)
        self._frames = 0
        self._clipped = 0

    def __enter__(self) -> AudioWriter:
        import soundfile  # noqa: PLC0415

        container, encoding = FORMATS[self.path.suffix.lower()]
        encoding = ENCODINGS[self.encoding] if self.encoding else encoding
        self._partial = _neighbour(self.path)
        try:
            self._file = soundfile.SoundFile(
                self._partial, "w", self.sample_rate_hz, self.channels, format=container, subtype=encoding
            )
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, block: Audio | ArrayLike) -> None:
        """Append a block.

        Args:
            block: Audio of the writer's rate and channels, or its samples (channels, time).

        Raises:
            UserError: If the block does not fit the file, holds NaN or infinity, or the disk is full.
        """
        if self._file is None:
            raise ValueError("AudioWriter is a context manager; write inside its with block")
        samples = self._fitting(block)
        self._frames += samples.shape[1]
        if self.encoding != "float":
            self._clipped += int(np.count_nonzero(np.abs(samples) > 1))
        _check_size(self.path, self._frames, self.channels, self.encoding)
        samples = np.concatenate([self._pending, samples], axis=1)
        whole = samples.shape[1] // BLOCK_FRAMES * BLOCK_FRAMES
        for start in range(0, whole, BLOCK_FRAMES):
            self._encode(samples[:, start : start + BLOCK_FRAMES])
        self._pending = samples[:, whole:].copy()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._encode(self._pending)
            self._close()
            if kind is None and self._partial is not None:
                if self.path.suffix.lower() == ".ogg":
                    number_stream(self._partial)
                if self.encoding == "float":
                    undate_peaks(self._partial)
                os.replace(self._partial, self.path)
                self._partial = None
        finally:
            self._close()
            self._discard()
        if kind is None and self._clipped:
            log.warning("%s: %d samples exceed full scale and were clipped", self.path, self._clipped)

    def _fitting(self, block: Audio | ArrayLike) -> Float32[np.ndarray, "channels time"]:
        if isinstance(block, Audio):
            if block.sample_rate_hz != self.sample_rate_hz:
                raise UserError(
                    f"{self.path} has {self.sample_rate_hz} Hz but a block has {block.sample_rate_hz} Hz; "
                    "resample it first"
                )
            block = block.samples
        samples = finite(block, str(self.path))
        if samples.shape[0] != self.channels:
            raise UserError(f"{self.path} has {self.channels} channels but a block has {samples.shape[0]}")
        return samples

    def _encode(self, samples: Float32[np.ndarray, "channels time"]) -> None:
        """Give a block to the encoder, rounded to 24 bits where those are kept: libsndfile would truncate."""
        import soundfile  # noqa: PLC0415

        assert self._file is not None
        if self._file.subtype == "PCM_24":
            steps = np.clip(np.rint(samples * 2**23), -(2**23), 2**23 - 1)
            block = steps.astype(np.int32) << 8
        elif self._file.subtype == "FLOAT":
            block = samples
        else:
            block = np.clip(samples, -1, 1)
        try:
            self._file.write(block.T)
        except (soundfile.LibsndfileError, OSError) as error:
            raise UserError(f"{self.path} cannot be written ({error}); free some space") from None

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _discard(self) -> None:
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
            self._partial = None


def encoding_of(path: str | os.PathLike[str]) -> str:
    """Which of `ENCODINGS` keeps every sample that `Audio.read` finds in a file, exactly.

    Returns:
        "24-bit" where samples are whole numbers of at most 24 bits; "float" for floats, for 32 bits (of which
        `Audio` keeps 24), and for what a decoder of lossy files computes.

    Raises:
        UserError: If there is no such file, or it is not audio.
    """
    import soundfile  # noqa: PLC0415

    try:
        subtype = soundfile.info(os.fspath(path)).subtype
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path} is not audio that can be read ({error}); give {_SUFFIXES}") from None
    return "24-bit" if subtype in WHOLE_NUMBERS else "float"


def check_output(
    path: str | os.PathLike[str],
    *,
    duration_s: float = 0.0,
    sample_rate_hz: int = 44100,
    channels: int = 2,
    encoding: str | None = None,
) -> Path:
    """Find out whether a file can be written, before any work is done for it.

    Args:
        path: The file to write; an existing file may be replaced.
        duration_s: Expected length, where known: sizes in a WAV file end at 4 GiB.
        sample_rate_hz: Expected rate.
        channels: Expected number of channels.
        encoding: One of `ENCODINGS`; the format's own where None.

    Returns:
        The absolute path, links followed.

    Raises:
        UserError: If the suffix is unknown, the format cannot hold such audio, the path is a folder, or its
            folder is missing or cannot be written to.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"{path} has the unknown suffix {path.suffix!r}; name the file with {_SUFFIXES}")
    if suffix == ".mp3" and sample_rate_hz not in MP3_RATES_HZ:
        rates = ", ".join(map(str, MP3_RATES_HZ))
        raise UserError(f"{path}: MP3 cannot hold {sample_rate_hz} Hz, only {rates}; or write .flac")
    if not 1 <= channels <= MOST_CHANNELS[suffix]:
        raise UserError(f"{path}: {channels} channels; {suffix} holds 1 to {MOST_CHANNELS[suffix]}")
    _check_encoding(path, encoding)
    _check_size(path, round(duration_s * sample_rate_hz), channels, encoding)
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file")
    path = path.resolve()
    if not path.parent.is_dir():
        raise UserError(f"the folder {path.parent} does not exist; create it or choose another one")
    probe = _neighbour(path)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"the folder {path.parent} cannot be written to ({error.strerror}); choose another one"
        ) from None
    return path


def _neighbour(path: Path) -> Path:
    """A hidden name in the same folder, so that renaming it is one atomic step."""
    return path.with_name(f".ondes-{secrets.token_hex(8)}.part")


def _check_encoding(path: Path, encoding: str | None) -> None:
    suffix = path.suffix.lower()
    if encoding is None or (encoding == "24-bit" and FORMATS[suffix][1] == "PCM_24"):
        return
    if encoding not in ENCODINGS:
        raise UserError(f"{path}: the unknown encoding {encoding!r}; {nearest(encoding, ENCODINGS)}")
    if suffix != ".wav":
        raise UserError(f"{path}: {suffix} holds no samples as {encoding}; write .wav, or leave encoding out")


def _check_size(path: Path, frames: int, channels: int, encoding: str | None) -> None:
    sample_bytes = 4 if encoding == "float" else 3
    if path.suffix.lower() == ".wav" and frames * channels * sample_bytes > MOST_WAV_BYTES:
        raise UserError(f"{path}: a WAV file ends at 4 GiB and this audio is longer; write .flac instead")


def finite(samples: ArrayLike, source: str) -> Float32[np.ndarray, "channels time"]:
    """Samples as 32-bit floats (channels, time), finite or refused."""
    array = np.asarray(samples)
    if array.ndim != 2 or array.shape[0] == 0:
        raise UserError(f"{source}: samples of shape {array.shape}; give (channels, time)")
    if array.dtype.kind != "f":
        raise UserError(f"{source}: samples of type {array.dtype}; give floats with full scale at 1")
    array = array.astype(np.float32, copy=False)
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise UserError(f"{source}: {bad} samples are NaN or infinite; give finite ones")
    return array
