"""One reader for every data set of scores: which files it has, what is known of them, and which are for testing.

Recognised are folders with a `manifest.jsonl`; MAESTRO by its index; POP909, a folder a song with the drafts in
`versions`; Lakh (LMD), whose files are named after their MD5; and music21's corpus by the name `music21`. Everything
else is a folder of MIDI files, split by a hash of their names.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ondes.datasets.maestro import file_below, index_rows
from ondes.datasets.music21_corpus import NAME as MUSIC21
from ondes.datasets.music21_corpus import music21_entries, read_music21
from ondes.datasets.named import (
    MANIFEST,
    MIDI_SUFFIXES,
    ScoreEntry,
    dataset_folder,
    folder_entries,
    in_split,
    parse_spec,
    split_of,
)
from ondes.datasets.quick_scores import quick_score
from ondes.datasets.recordings import SPLIT_NAMES, Rejections
from ondes.errors import UserError

if TYPE_CHECKING:
    import symusic.core

_MD5 = re.compile(r"[0-9a-f]{32}")
_POP909_SONG = re.compile(r"\d{3}")

LAKH_SPLITS = {"e": "validation", "f": "test"}
"""By the first digit of a file's MD5; the others are for training (Thickstun et al. 2023, arXiv 2306.08620)."""


def read_scores(spec: str | os.PathLike[str], *, rejections: Rejections | None = None) -> list[ScoreEntry]:
    """The scores of a data set, as far as its names and indexes tell; no score is read.

    Args:
        spec: `name`, `folder` or either with `:split`, as `named.dataset` has it; or `music21`.
        rejections: Where to count what is listed but missing or passed over.

    Raises:
        UserError: If there is no such data set or split, the folder is empty, or an index is damaged.
    """
    rejections = Rejections() if rejections is None else rejections
    stem, split = parse_spec(spec)
    if stem == MUSIC21:
        return in_split(music21_entries(), spec, split)
    folder = dataset_folder(stem)
    index = _maestro_index(folder)
    if (folder / MANIFEST).is_file():
        entries = folder_entries(folder)
    elif index is not None:
        entries = _maestro(index)
    else:
        entries = list(_by_song(folder_entries(folder), folder, rejections))
    present = []
    for entry in in_split(entries, spec, split):
        if entry.path.is_file():
            present.append(entry)
        else:
            rejections.add(entry.collection, entry.id, "missing file", str(entry.path))
    if not present:
        raise UserError(
            f"{os.fspath(spec)} lists {len(rejections.rows)} files but none is there; get them again"
        )
    return present


def read_entry(entry: ScoreEntry) -> symusic.core.ScoreTick:
    """A score of a data set.

    Raises:
        UserError: If it cannot be read.
    """
    if entry.path.suffix.lower() in MIDI_SUFFIXES:
        return quick_score(entry.path)
    return read_music21(entry.path)


def _by_song(entries: Iterable[ScoreEntry], folder: Path, rejections: Rejections) -> Iterable[ScoreEntry]:
    """Files of a folder without an index, in the splits of Lakh, POP909 or, failing that, of their names."""
    for entry in entries:
        if _MD5.fullmatch(entry.path.stem):
            yield replace(entry, collection="lakh", split=LAKH_SPLITS.get(entry.path.stem[0], "train"))
            continue
        song = _pop909_song(entry.path, folder)
        if song is None:
            yield entry
        elif entry.path.stem == song:
            yield replace(entry, collection="pop909", split=split_of(song))
        else:
            rejections.add("pop909", entry.id, "draft of another score")


def _pop909_song(path: Path, folder: Path) -> str | None:
    """The number of the song that a file of POP909 belongs to, `001/001.mid` or `001/versions/001-v1.mid`."""
    place = path.parent.parent if path.parent.name == "versions" else path.parent
    name = place.name
    if place.is_relative_to(folder) and _POP909_SONG.fullmatch(name) and (place / f"{name}.mid").is_file():
        return name
    return None


def _maestro_index(folder: Path) -> Path | None:
    """The newest index of MAESTRO in a folder; JSON before CSV."""
    found = [sorted(folder.glob(f"maestro-v*.{suffix}")) for suffix in ("json", "csv")]
    return next((paths[-1] for paths in found if paths), None)


def _maestro(index: Path) -> list[ScoreEntry]:
    """The performances of an index, in the data set's own splits."""
    try:
        return [
            ScoreEntry(
                id=row["midi_filename"].rpartition(".")[0],
                path=file_below(index.parent, row["midi_filename"]),
                collection="maestro",
                composer=str(row["canonical_composer"]),
                title=str(row["canonical_title"]),
                split=SPLIT_NAMES[row["split"]],
            )
            for row in index_rows(index)
        ]
    except (OSError, KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise UserError(f"{index} is no index of MAESTRO ({error!r}); download it again") from None
