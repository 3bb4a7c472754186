"""Features of whole recordings on disk: made once, in parallel, read by memory mapping.

A cache is a folder:

* `settings.json`: version, settings of the features, number format;
* `songs.jsonl`: one row a song, in the order they were made: key, id, data set, split, shard, where its frames and
  notes lie in the shard, its parts;
* `mel-00000.bin`, ...: log-mels of the shard's songs after one another, (frames, bands), plain numbers;
* `notes-00000.bin`, ...: their notes, (notes, 8) 64-bit floats: onset, release, key release (s), pitch, velocity,
  program, is_drum, part.

A row is written after its numbers, so a build that was stopped goes on: what lies in a shard behind the last row is cut
off. Of rows with the same data set, split and id the last counts. The key of a song covers the contents of its label
files, sizes and dates of its audio, and the reader's options, so that a changed file is read again; the settings of the
features cover the whole folder. Controllers are not kept. Half-precision log-mels are exact to 0.004.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float64

from ondes.datasets.cache_folder import ROWS, SETTINGS, claim, locked, read_all_rows, read_rows, resume
from ondes.datasets.cached_songs import DTYPES, NOTE_COLUMNS, CachedSongs, mel_path, notes_path
from ondes.datasets.recordings import Recording, RejectedError, Rejections
from ondes.datasets.worker_pool import in_order
from ondes.errors import UserError, nearest
from ondes.files import file_sha256
from ondes.notes import Notes

if TYPE_CHECKING:
    from ondes.representations.framed_mel import FramedMelSpec

log = logging.getLogger(__name__)

VERSION = 1
SHARD_FRAMES = 1_000_000
"""A shard is closed when it holds so many: 5.6 hours, 256 MB."""
LEAST_S = 1.0
BLOCK_FRAMES = 8192
"""Log-mels of long files are made in blocks, so that memory stays small."""

ToLogMel = Callable[[Float[np.ndarray, " time"]], Float[np.ndarray, "frames bands"]]
"""Maps the samples of a whole file to its log-mel; it can be pickled."""


def official_log_mel(
    samples: Float[np.ndarray, " time"], spec: FramedMelSpec | None = None
) -> Float[np.ndarray, "frames bands"]:
    """The log-mel of a whole file in the official framing, made in blocks that see the samples behind them.

    Args:
        samples: Audio at the rate of the spec.
        spec: The front end; the official one where None.
    """
    import torch  # noqa: PLC0415

    from ondes.representations.framed_mel import OFFICIAL, to_framed_log_mel  # noqa: PLC0415

    spec = spec or OFFICIAL
    hop, frames = spec.hop_samples, len(samples) // spec.hop_samples
    pieces = [np.zeros((0, spec.bands), np.float32)]
    for first in range(0, frames, BLOCK_FRAMES):
        wanted = min(BLOCK_FRAMES, frames - first)
        block = samples[first * hop : (first + wanted) * hop + spec.window_samples]
        with torch.inference_mode():
            log_mel = to_framed_log_mel(torch.from_numpy(np.array(block, np.float32)), spec)
        pieces.append(log_mel[:wanted].numpy())
    return np.concatenate(pieces)


def build_cache(
    recordings: Sequence[Recording],
    folder: str | os.PathLike[str],
    *,
    rejections: Rejections | None = None,
    spec: FramedMelSpec | None = None,
    to_log_mel: ToLogMel | None = None,
    dtype: str = "float16",
    workers: int = 1,
    least_s: float = LEAST_S,
    shard_frames: int = SHARD_FRAMES,
    progress: Callable[[int, int], None] | None = None,
) -> CachedSongs:
    """Make what is missing of a cache, and open it at these recordings.

    The files are the same whatever the number of workers. Recordings that cannot be used are counted, and tried again
    by the next build.

    Args:
        recordings: What shall be in the cache; what else it holds stays.
        folder: The cache, made if missing.
        rejections: Where to count; those of the readers may be in it already.
        spec: Front end; the official one where None.
        to_log_mel: Makes the features instead of `official_log_mel`, with the frames and bands of the spec.
        dtype: `float16` or `float32`.
        workers: Processes; with 1 the work is done in this one.
        least_s: Shorter recordings are rejected.
        shard_frames: When to begin a new pair of files.
        progress: Told of recordings done and in total.

    Raises:
        UserError: If the folder cannot be written, or holds features of other settings.
    """
    from ondes.representations.framed_mel import OFFICIAL  # noqa: PLC0415

    if dtype not in DTYPES:
        raise UserError(f"unknown number format {dtype!r} of a cache; {nearest(dtype, DTYPES)}")
    spec, place = spec or OFFICIAL, Path(folder)
    rejections = Rejections() if rejections is None else rejections
    work = _Work(to_log_mel or partial(official_log_mel, spec=spec), spec.sample_rate_hz, dtype, least_s)
    claim(place, {"version": VERSION, "dtype": dtype, "bands": spec.bands, "features": asdict(spec)})
    with locked(place):
        rows = resume(place, partial(_ends, place, spec.bands, DTYPES[dtype]))
        keys = [_key(recording) for recording in recordings]
        waiting = [
            (recording, key)
            for recording, key in zip(recordings, keys, strict=True)
            if not key or rows.get(_name(recording), {}).get("key") != key
        ]
        results = in_order(work, [recording for recording, _ in waiting], workers)
        done = len(recordings) - len(waiting)
        with _Shards(place, spec.bands, shard_frames) as shards:
            for (recording, key), result in zip(waiting, results, strict=True):
                if isinstance(result, RejectedError):
                    rejections.add(recording.dataset, recording.id, result.reason, result.detail)
                    if rows.pop(_name(recording), None):
                        shards.remove(recording)
                else:
                    rows[_name(recording)] = shards.add(recording, key, *result)
                done += 1
                if progress:
                    progress(done, len(recordings))
    names = [name for name in map(_name, recordings) if name in rows]
    return CachedSongs(place, [rows[name] for name in dict.fromkeys(names)])


def open_cache(folder: str | os.PathLike[str]) -> CachedSongs:
    """Everything in a cache; `CachedSongs.where` chooses data sets and splits.

    Raises:
        UserError: If the folder is no cache.
    """
    place = Path(folder)
    if not (place / SETTINGS).is_file() or not (place / ROWS).is_file():
        raise UserError(
            f"{place} is no cache of features: it has no {SETTINGS} or no {ROWS}; make one with 'ondes data cache'"
        )
    return CachedSongs(place, list(read_rows(place).values()))


@dataclass(frozen=True)
class _Work:
    """Features of one recording, or why there are none; made in any process."""

    to_log_mel: ToLogMel
    sample_rate_hz: int
    dtype: str
    least_s: float

    def __call__(
        self, recording: Recording
    ) -> tuple[Float[np.ndarray, "frames bands"], Notes] | RejectedError:
        """Log-mel and notes."""
        try:
            notes = recording.read_notes()
            samples = recording.read_audio(self.sample_rate_hz)
            if len(samples) < self.least_s * self.sample_rate_hz:
                raise RejectedError("too short", f"{len(samples) / self.sample_rate_hz:.2f} s")
            if not notes.window(0.0, len(samples) / self.sample_rate_hz).onset_s.size:
                raise RejectedError("no notes", "all lie behind the end of the audio")
        except RejectedError as error:
            return error
        return self.to_log_mel(samples).astype(self.dtype), notes


class _Shards:
    """The files that songs are added to."""

    def __init__(self, place: Path, bands: int, most_frames: int) -> None:
        self.place, self.bands, self.most_frames = place, bands, most_frames
        rows = read_all_rows(place)
        self.shard = max((row["shard"] for row in rows), default=0)
        own = [row for row in rows if row["shard"] == self.shard]
        self.frames = max((row["first_frame"] + row["frames"] for row in own), default=0)
        self.notes = max((row["first_note"] + row["notes"] for row in own), default=0)

    def __enter__(self) -> _Shards:
        self.list = (self.place / ROWS).open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self.list.close()

    def add(
        self, recording: Recording, key: str, log_mel: Float[np.ndarray, "frames bands"], notes: Notes
    ) -> dict[str, Any]:
        """Append a song; its row comes last."""
        if self.frames >= self.most_frames:
            self.shard, self.frames, self.notes = self.shard + 1, 0, 0
        for path, numbers in (
            (mel_path(self.place, self.shard), log_mel),
            (notes_path(self.place, self.shard), _note_table(notes)),
        ):
            with path.open("ab") as file:
                file.write(np.ascontiguousarray(numbers).tobytes())
        row = {
            "key": key,
            "id": recording.id,
            "dataset": recording.dataset,
            "split": recording.split,
            "shard": self.shard,
            "first_frame": self.frames,
            "frames": len(log_mel),
            "first_note": self.notes,
            "notes": len(notes),
            "notes_s": notes.duration_s,
            "parts": [[part.name, part.program, part.is_drum] for part in notes.parts],
        }
        self.frames, self.notes = self.frames + len(log_mel), self.notes + len(notes)
        self._append(row)
        return row

    def remove(self, recording: Recording) -> None:
        """Say that a song is no longer there."""
        dataset, split, name = _name(recording)
        self._append({"dataset": dataset, "split": split, "id": name, "removed": True})

    def _append(self, row: dict[str, Any]) -> None:
        self.list.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.list.flush()


def _note_table(notes: Notes) -> Float64[np.ndarray, "notes columns"]:
    return np.stack([getattr(notes, name).astype(np.float64) for name in NOTE_COLUMNS], axis=1)


def _name(recording: Recording) -> tuple[str, str, str]:
    return recording.dataset, recording.split, recording.id


def _key(recording: Recording) -> str:
    """A fingerprint of all that a song's features depend on; empty if a file is missing."""
    try:
        # Stems that are not heard take part in measuring the level.
        level = (*recording.level.stems, recording.level.mix) if recording.level else ()
        audio = [*recording.audio, *level]
        states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in audio]
        labels = [(path.name, file_sha256(path)) for path in recording.labels]
    except OSError:
        return ""
    settings = [VERSION, *_name(recording), recording.options, recording.gain, states, labels]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()


def _ends(place: Path, bands: int, item_bytes: int, row: dict[str, Any]) -> list[tuple[Path, int]]:
    """The files of a row, and where it ends in them."""
    frames, notes = row["first_frame"] + row["frames"], row["first_note"] + row["notes"]
    return [
        (mel_path(place, row["shard"]), frames * bands * item_bytes),
        (notes_path(place, row["shard"]), notes * len(NOTE_COLUMNS) * 8),
    ]
