"""Notes of whole data sets on disk: read once, in parallel, each piece of music only once, opened by memory mapping.

A cache is a folder (see `cache_folder`) with, besides its settings and its list of songs,

* `notes.bin`: the notes of the songs after one another, unquantised (`NOTE`);
* `bars.bin`: their bars (`BAR`);
* `rejected.jsonl`: what was left out and why; it is not tried again until its file changes.

Tracks and note numbers of the files are not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from ondes.datasets.cache_folder import (
    REJECTED,
    ROWS,
    Name,
    claim,
    locked,
    read_rejected,
    read_rows,
    resume,
)
from ondes.datasets.named import ScoreEntry
from ondes.datasets.recordings import RejectedError, Rejections, checked_split
from ondes.datasets.score_folders import read_entry, read_scores
from ondes.datasets.worker_pool import in_order
from ondes.errors import UserError
from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import (
    DRUMS,
    FINE_PER_STEP,
    STEPS_PER_QUARTER,
    NoteSequence,
    quantised,
    to_note_sequence,
)

VERSION = 1
LEAST_NOTES = 16
"""Shorter scores are left out."""

NOTE = np.dtype(
    [
        ("bar", "<i4"),
        ("position", "<i2"),
        ("offset", "i1"),
        ("pitch", "u1"),
        ("duration_fine", "<i4"),
        ("velocity", "u1"),
        ("instrument", "u1"),
        ("part_number", "u1"),
    ]
)
"""A note: as in `NoteSequence`, but for its length in twentieths of a step."""
BAR = np.dtype(
    [
        ("start_quarters", "<f8"),
        ("length_quarters", "<f8"),
        ("bpm", "<f8"),
        ("numerator", "<i2"),
        ("denominator", "<i2"),
    ]
)
"""A bar, as in `BarTable`."""


@dataclass(frozen=True)
class SongInfo:
    """What a cache knows about a song.

    Args:
        id: Name within the data set.
        dataset: What the data set was called when the cache was made.
        split: `train`, `validation` or `test`.
        collection: Group of scores that came together.
        composer: May be empty.
        title: May be empty.
        flat_velocity: Whether its velocities say nothing; they are 0 then.
        notes: How many.
        bars: How many.
    """

    id: str
    dataset: str
    split: str
    collection: str
    composer: str
    title: str
    flat_velocity: bool
    notes: int
    bars: int


class CachedSequences:
    """The songs of a cache, a sequence. Pickled, it is a folder and a list: workers map the files themselves.

    Args:
        folder: The cache.
        rows: The songs, as listed there.
        quantise: Whether the notes are given on the grid.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]], *, quantise: bool = True) -> None:
        self.folder, self.rows, self.quantise = Path(folder), rows, quantise
        self._maps: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[NoteSequence, SongInfo]:
        """Notes and description of the song at a place."""
        row = self.rows[index]
        notes = self._map("notes.bin", NOTE)[row["first_note"] : row["first_note"] + row["notes"]]
        bars = self._map("bars.bin", BAR)[row["first_bar"] : row["first_bar"] + row["bars"]]
        sequence = _from_tables(notes, bars)
        return (quantised(sequence) if self.quantise else sequence), self.info(index)

    def __iter__(self) -> Iterator[tuple[NoteSequence, SongInfo]]:
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_maps": {}}

    def info(self, index: int) -> SongInfo:
        """The description alone, without touching the files."""
        row = self.rows[index]
        return SongInfo(**{name: row[name] for name in SongInfo.__dataclass_fields__})

    @property
    def note_counts(self) -> Int64[np.ndarray, " songs"]:
        """Notes of each song, without touching the files."""
        return np.array([row["notes"] for row in self.rows], np.int64)

    @property
    def fingerprints(self) -> set[str]:
        """What tells the music of the songs apart; see `fingerprint`."""
        return {row["fingerprint"] for row in self.rows}

    def where(
        self, *, split: str | None = None, collection: str | Collection[str] | None = None
    ) -> CachedSequences:
        """The songs of a split and of some collections.

        Raises:
            UserError: If the split is unknown.
        """
        names = {collection} if isinstance(collection, str) else collection
        wanted = None if split is None else checked_split(split)
        rows = [
            row
            for row in self.rows
            if (names is None or row["collection"] in names) and (wanted is None or row["split"] == wanted)
        ]
        return CachedSequences(self.folder, rows, quantise=self.quantise)

    def thinned(self, count: int) -> CachedSequences:
        """So many of the songs, from all over the list."""
        rows = self.rows[:: max(1, len(self.rows) // count)][:count]
        return CachedSequences(self.folder, rows, quantise=self.quantise)

    def _map(self, name: str, dtype: np.dtype) -> np.ndarray:
        if name not in self._maps:
            try:
                size = (self.folder / name).stat().st_size // dtype.itemsize
                self._maps[name] = np.memmap(self.folder / name, dtype=dtype, mode="r", shape=(size,))
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{self.folder / name} cannot be read ({error}); make the cache again"
                ) from None
        return self._maps[name]


def is_note_cache(folder: str | os.PathLike[str]) -> bool:
    """Whether `build_note_cache` made a folder."""
    return all((Path(folder) / name).is_file() for name in (ROWS, "notes.bin"))


def open_note_cache(folder: str | os.PathLike[str], *, quantise: bool = True) -> CachedSequences:
    """Everything in a cache; `CachedSequences.where` chooses.

    Args:
        folder: What `build_note_cache` made.
        quantise: Whether the notes are given on the grid, as `to_note_sequence` does.

    Raises:
        UserError: If the folder is no cache of notes.
    """
    place = Path(folder)
    if not is_note_cache(place):
        raise UserError(
            f"{place} is no cache of notes: it has no {ROWS} or no notes.bin; make one with 'ondes data notes'"
        )
    return CachedSequences(place, list(read_rows(place).values()), quantise=quantise)


def build_note_cache(
    spec: str | os.PathLike[str] | Sequence[ScoreEntry],
    folder: str | os.PathLike[str],
    *,
    workers: int = 1,
    rejections: Rejections | None = None,
    without: Sequence[CachedSequences] = (),
    least_notes: int = LEAST_NOTES,
    progress: Callable[[int, int], None] | None = None,
) -> CachedSequences:
    """Make what is missing of a cache, and open it at these scores.

    Music that is there already is left out, whatever its file is called and however it was exported: see `fingerprint`.
    Test comes first, then validation, so that nothing of them is learnt. The files are the same whatever the number of
    workers.

    Args:
        spec: A data set or folder, see `read_scores`, or its entries.
        folder: The cache, made if missing.
        workers: Processes; with 1 the work is done in this one.
        rejections: Where to count what is left out.
        without: Caches whose music is not taken again.
        least_notes: Shorter scores are left out.
        progress: Told of scores done and in total.

    Raises:
        UserError: If the folder cannot be written or is another cache, there are no scores, or none can be used.
    """
    rejections, place = Rejections() if rejections is None else rejections, Path(folder)
    named = isinstance(spec, str | os.PathLike)
    entries = read_scores(spec, rejections=rejections) if named else list(spec)
    dataset = os.fspath(spec).partition(":")[0] if named else "scores"
    claim(place, {"version": VERSION, "kind": "notes", "least_notes": least_notes})
    with locked(place):
        for name in ("notes.bin", "bars.bin", REJECTED):
            (place / name).touch()
        build = _Build(place, dataset, set().union(*(cache.fingerprints for cache in without)))
        order = sorted(range(len(entries)), key=lambda index: _FIRST.index(entries[index].split))
        waiting = build.waiting([entries[index] for index in order])
        results = in_order(partial(read_tables, least_notes=least_notes), [e for e, _ in waiting], workers)
        done = len(entries) - len(waiting)
        with build:
            for (entry, key), result in zip(waiting, results, strict=True):
                build.add(entry, key, result)
                done += 1
                if progress:
                    progress(done, len(entries))
    rows = [build.rows[name] for entry in entries if (name := build.name(entry)) in build.rows]
    for entry in entries:
        if (row := build.rejected.get(build.name(entry))) is not None:
            rejections.add(entry.collection, entry.id, row["reason"], row["detail"])
    if not rows:
        raise UserError(
            f"none of the {len(entries)} scores can be used: {'; '.join(rejections.lines()[:3])}; give others"
        )
    return CachedSequences(place, rows)


_FIRST = ("test", "validation", "train")


@dataclass(frozen=True, eq=False)
class SongTables:
    """A song as the files of a cache hold it."""

    notes: np.ndarray
    bars: np.ndarray
    fingerprint: str


def read_tables(entry: ScoreEntry, *, least_notes: int = LEAST_NOTES) -> SongTables | RejectedError:
    """The notes of a score, or why it cannot be used; for any process."""
    try:
        sequence = to_note_sequence(read_entry(entry), quantise=False)
        if len(sequence) < least_notes:
            raise RejectedError(f"fewer than {least_notes} notes", str(len(sequence)))
    except RejectedError as error:
        return error
    except UserError as error:
        return RejectedError("corrupt file", str(error))
    notes = np.zeros(len(sequence), NOTE)
    for name in NOTE.names or ():
        if name != "duration_fine":
            notes[name] = getattr(sequence, name)
    notes["duration_fine"] = np.minimum(np.round(sequence.duration_steps * FINE_PER_STEP), 2**31 - 1)
    bars = np.zeros(len(sequence.bars), BAR)
    for name in BAR.names or ():
        bars[name] = getattr(sequence.bars, name)
    return SongTables(notes, bars, fingerprint(sequence))


def fingerprint(sequence: NoteSequence) -> str:
    """A hash of when which keys are struck, in steps from the first onset, drums apart.

    The same for the same music with other lengths, velocities, instruments, tempo, bar lines, upbeat rests or order of
    tracks; another for other pitches, so that transpositions are not found.
    """
    fine = np.round(sequence.onset_quarters * STEPS_PER_QUARTER * FINE_PER_STEP).astype(np.int64)
    step = (fine - fine.min() + FINE_PER_STEP // 2) // FINE_PER_STEP if len(fine) else fine
    struck = step << 8 | (sequence.instrument == DRUMS) << 7 | sequence.pitch
    return hashlib.blake2b(np.unique(struck).astype("<i8").tobytes(), digest_size=16).hexdigest()


def _from_tables(notes: np.ndarray, bars: np.ndarray) -> NoteSequence:
    columns = {name: notes[name].astype(np.int64) for name in NOTE.names or () if name != "duration_fine"}
    none = np.full(len(notes), -1, np.int64)
    return NoteSequence(
        **columns,
        duration_steps=notes["duration_fine"] / FINE_PER_STEP,
        track=none,
        index=none,
        bars=BarTable(
            start_quarters=bars["start_quarters"].astype(np.float64),
            length_quarters=bars["length_quarters"].astype(np.float64),
            numerator=bars["numerator"].astype(np.int64),
            denominator=bars["denominator"].astype(np.int64),
            bpm=bars["bpm"].astype(np.float64),
        ),
    )


class _Build:
    """The files that songs are added to, and what they hold so far."""

    def __init__(self, place: Path, dataset: str, elsewhere: set[str]) -> None:
        self.place, self.dataset, self.elsewhere = place, dataset, elsewhere
        self.rows = resume(place, self._ends)
        self.rejected = read_rejected(place / REJECTED)
        self.known = {row["fingerprint"]: name for name, row in self.rows.items()}

    def _ends(self, row: dict[str, Any]) -> list[tuple[Path, int]]:
        return [
            (self.place / "notes.bin", (row["first_note"] + row["notes"]) * NOTE.itemsize),
            (self.place / "bars.bin", (row["first_bar"] + row["bars"]) * BAR.itemsize),
        ]

    def name(self, entry: ScoreEntry) -> Name:
        """What the lists call a score."""
        return self.dataset, entry.split, entry.id

    def waiting(self, entries: Sequence[ScoreEntry]) -> list[tuple[ScoreEntry, str]]:
        """The scores that are new or have changed, with their keys."""
        keys = [_key(entry) for entry in entries]
        before = [
            (self.rows.get(self.name(entry)) or self.rejected.get(self.name(entry)) or {}).get("key")
            for entry in entries
        ]
        return [
            (entry, key)
            for entry, key, old in zip(entries, keys, before, strict=True)
            if not key or key != old
        ]

    def __enter__(self) -> _Build:
        self.files = {name: (self.place / name).open("ab") for name in ("notes.bin", "bars.bin")}
        self.lists = {name: (self.place / name).open("a", encoding="utf-8") for name in (ROWS, REJECTED)}
        return self

    def __exit__(self, *_: object) -> None:
        for file in (*self.files.values(), *self.lists.values()):
            file.close()

    def add(self, entry: ScoreEntry, key: str, result: SongTables | RejectedError) -> None:
        """Put a song into the cache, or note why it is left out."""
        name = self.name(entry)
        about = {"key": key, "dataset": self.dataset, "split": entry.split, "id": entry.id}
        self.rejected.pop(name, None)
        self._remove(name)
        if isinstance(result, SongTables):
            twin = self.known.get(result.fingerprint)
            if twin is not None and (twin[0], twin[2]) == (name[0], name[2]):
                self._remove(twin)  # the same score, which was in another split
            elif twin is not None:
                result = RejectedError("the same notes as another score", twin[2])
            elif result.fingerprint in self.elsewhere:
                result = RejectedError("the same notes as in another cache")
        if isinstance(result, RejectedError):
            self.rejected[name] = {**about, "reason": result.reason, "detail": result.detail}
            self._append(REJECTED, self.rejected[name])
            return
        row = {
            **about,
            "collection": entry.collection,
            "composer": entry.composer,
            "title": entry.title,
            "fingerprint": result.fingerprint,
            "flat_velocity": not result.notes["velocity"].any(),
            "first_note": self._write("notes.bin", result.notes),
            "notes": len(result.notes),
            "first_bar": self._write("bars.bin", result.bars),
            "bars": len(result.bars),
        }
        self._append(ROWS, row)
        self.rows[name], self.known[result.fingerprint] = row, name

    def _remove(self, name: Name) -> None:
        """Say that a song is no longer there."""
        old = self.rows.pop(name, None)
        if old is not None:
            self.known.pop(old["fingerprint"], None)
            self._append(ROWS, {**{key: old[key] for key in ("dataset", "split", "id")}, "removed": True})

    def _write(self, name: str, table: np.ndarray) -> int:
        """Append a table; the index of its first row."""
        file = self.files[name]
        first = file.seek(0, os.SEEK_END) // table.dtype.itemsize
        file.write(table.tobytes())
        file.flush()
        return first

    def _append(self, name: str, row: dict[str, Any]) -> None:
        self.lists[name].write(json.dumps(row, ensure_ascii=False) + "\n")
        self.lists[name].flush()


def _key(entry: ScoreEntry) -> str:
    """A fingerprint of the file and of all that is said about it; empty if it is missing."""
    try:
        status = entry.path.stat()
    except OSError:
        return ""
    about = (entry.split, entry.collection, entry.composer, entry.title)
    state = (VERSION, str(entry.path), status.st_size, status.st_mtime_ns, *about)
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]
