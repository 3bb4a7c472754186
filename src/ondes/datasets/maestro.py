"""MAESTRO v3 (Hawthorne et al. 2019): about 200 hours of piano with the MIDI of the instrument's own sensors.

Read from `maestro-v3.0.0.json`, which holds columns keyed by row (older versions: a list of rows), or from the CSV of
the same name. mirdata 1.0 is not used here: its loader knows version 2.0.0 only (other files, other splits).
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ondes.datasets.recordings import Recording, Rejections, checked_split, find_root
from ondes.errors import UserError
from ondes.notes import Notes
from ondes.score import read_score, to_notes


def read_maestro(folder: str | os.PathLike[str], split: str) -> tuple[list[Recording], Rejections]:
    """The recordings of one of the data set's own splits, in the order of its index.

    Args:
        folder: Where `maestro-v3.0.0.json` is, or the folder above.
        split: See `SPLIT_NAMES`.

    Raises:
        UserError: If the folder is no MAESTRO, its index is damaged, or the split is unknown.
    """
    split = checked_split(split)
    root = find_root(folder, "MAESTRO", ["maestro-v*.json", "maestro-v*.csv"], inner="maestro-v*")
    index = (sorted(root.glob("maestro-v*.json")) or sorted(root.glob("maestro-v*.csv")))[-1]
    rejections = Rejections()
    recordings = []
    try:
        for row in index_rows(index):
            if row["split"] != split:
                continue
            audio, midi = file_below(root, row["audio_filename"]), file_below(root, row["midi_filename"])
            name = row["midi_filename"].rpartition(".")[0]
            missing = [what for what, path in (("audio", audio), ("notes", midi)) if not path.is_file()]
            if missing:
                rejections.add("maestro", name, f"missing {missing[0]}", str(audio.parent))
                continue
            load = partial(read_performance, midi)
            duration_s = float(row["duration"])
            recordings.append(
                Recording(name, "maestro", split, (audio,), (midi,), load, duration_s=duration_s)
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{index} is no index of MAESTRO ({error!r}); download it again") from None
    return recordings, rejections


def read_performance(path: Path) -> Notes:
    """The notes of a performance, held by its pedals."""
    return to_notes(read_score(path))


def file_below(root: Path, name: str) -> Path:
    """A file of the data set; folders in it may be links to other disks."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"the path {name!r} leads out of {root}; a data set may only name its own files")
    return root / path


def index_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an index, columns by name."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
        return
    index = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(index, list):
        yield from index
        return
    for row in index["midi_filename"]:
        yield {column: values[row] for column, values in index.items()}
