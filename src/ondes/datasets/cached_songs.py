"""The reading side of a feature cache: songs whose log-mels are mapped from disk; see `feature_cache` for the files."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64

from ondes.controls import Controls
from ondes.datasets.cache_folder import SETTINGS
from ondes.datasets.recordings import checked_split
from ondes.errors import UserError
from ondes.notes import Notes, Part

DTYPES = {"float16": 2, "float32": 4}
"""Number formats of log-mels, and their bytes."""
NOTE_COLUMNS = (
    "onset_s",
    "release_s",
    "key_release_s",
    "pitch",
    "velocity",
    "program",
    "is_drum",
    "part",
)


@dataclass(frozen=True, eq=False)
class CachedSong:
    """One song of a cache.

    Args:
        id: Name within the data set.
        dataset: Name of the data set.
        split: `train`, `validation` or `test`.
        log_mel: Unscaled log-mel (frames, bands), mapped from disk and read only where it is sliced.
        table: Its notes (notes, 8), columns as in `NOTE_COLUMNS`.
        row: What the cache's list says of it.
    """

    id: str
    dataset: str
    split: str
    log_mel: Float[np.ndarray, "frames bands"]
    table: Float64[np.ndarray, "notes columns"]
    row: dict[str, Any]

    @property
    def frames(self) -> int:
        """Length of the log-mel."""
        return self.log_mel.shape[0]

    @cached_property
    def notes(self) -> Notes:
        """The notes; their parts have no controllers."""
        column = {name: np.array(self.table[:, index]) for index, name in enumerate(NOTE_COLUMNS)}
        for name in ("pitch", "velocity", "program", "part"):
            column[name] = column[name].astype(np.int64)
        column["is_drum"] = column["is_drum"].astype(np.bool_)
        parts = tuple(Part(name, program, drum, Controls()) for name, program, drum in self.row["parts"])
        return Notes(**column, parts=parts, duration_s=self.row["notes_s"])


class CachedSongs:
    """The songs of a cache, a sequence. Pickled, it is a folder and a list: workers map the files themselves.

    Args:
        folder: The cache.
        rows: The songs, as listed there.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        self.folder, self.rows = Path(folder), rows
        self.settings: dict[str, Any] = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        self._maps: dict[Path, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> CachedSong:
        """The song at a place; slicing its `log_mel` copies only what is asked for into memory."""
        row = self.rows[index]
        shard = row["shard"]
        mels = self._map(mel_path(self.folder, shard), self.settings["dtype"], self.settings["bands"])
        notes = self._map(notes_path(self.folder, shard), "float64", len(NOTE_COLUMNS))
        return CachedSong(
            row["id"],
            row["dataset"],
            row["split"],
            mels[row["first_frame"] : row["first_frame"] + row["frames"]],
            notes[row["first_note"] : row["first_note"] + row["notes"]],
            row,
        )

    def __iter__(self) -> Iterator[CachedSong]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_maps": {}}

    @property
    def frames(self) -> Int64[np.ndarray, " songs"]:
        """Frames of each song, without touching the files."""
        return np.array([row["frames"] for row in self.rows], np.int64)

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, sorted."""
        return sorted({row["dataset"] for row in self.rows})

    @property
    def duration_s(self) -> float:
        """Length of all songs together."""
        features = self.settings["features"]
        return float(self.frames.sum()) * features["hop_samples"] / features["sample_rate_hz"]

    def where(self, *, dataset: str | Collection[str] | None = None, split: str | None = None) -> CachedSongs:
        """The songs of some data sets and of a split.

        Raises:
            UserError: If the split is unknown.
        """
        names = {dataset} if isinstance(dataset, str) else dataset
        wanted = None if split is None else checked_split(split)
        return CachedSongs(
            self.folder,
            [
                row
                for row in self.rows
                if (names is None or row["dataset"] in names) and (wanted is None or row["split"] == wanted)
            ],
        )

    def _map(self, path: Path, dtype: str, columns: int) -> np.ndarray:
        if path not in self._maps:
            try:
                numbers = np.memmap(path, dtype=dtype, mode="r")
            except (OSError, ValueError) as error:
                raise UserError(f"{path} cannot be read ({error}); make the cache again") from None
            # A build may be writing: whole rows are enough.
            whole = len(numbers) // columns * columns
            self._maps[path] = numbers[:whole].reshape(-1, columns)
        return self._maps[path]


def mel_path(folder: Path, shard: int) -> Path:
    """The file of a shard's log-mels."""
    return folder / f"mel-{shard:05d}.bin"


def notes_path(folder: Path, shard: int) -> Path:
    """The file of a shard's notes."""
    return folder / f"notes-{shard:05d}.bin"
