"""Data sets by name: folders of scores with a manifest, split into training, validation and test.

A data set is a folder under `data_home()` with MIDI files and a `manifest.jsonl`, one JSON object a line:
id, collection, licence, composer, title, path, parts, seconds, work, split. Any other folder of MIDI files is
a data set too; its works are split by a hash of their names.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ondes.errors import UserError, nearest

SPLITS = ("train", "validation", "test")
MANIFEST = "manifest.jsonl"
MIDI_SUFFIXES = (".mid", ".midi")

VALIDATION_SHARE, TEST_SHARE = 0.05, 0.10


@dataclass(frozen=True)
class ScoreEntry:
    """One score of a data set.

    Args:
        id: Name that is unique within the data set.
        path: The MIDI file.
        collection: Group of scores that came together.
        licence: Terms of the score.
        composer: May be empty.
        title: May be empty.
        split: One of `SPLITS`.
        parts: Name, program, is_drum and notes of each part, as far as the manifest says.
        seconds: Length, 0 where unknown.
    """

    id: str
    path: Path
    collection: str
    licence: str = "unknown"
    composer: str = ""
    title: str = ""
    split: str = "train"
    parts: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0


def data_home() -> Path:
    """Folder of the data sets: `ONDES_DATA`, or `ondes` in the place the system keeps a user's data."""
    named = os.environ.get("ONDES_DATA")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "ondes"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ondes"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ondes"


def dataset_names() -> list[str]:
    """Names of the data sets that have been added."""
    home = data_home()
    return sorted(path.parent.name for path in home.glob(f"*/{MANIFEST}")) if home.is_dir() else []


def dataset(spec: str | os.PathLike[str]) -> list[ScoreEntry]:
    """The scores of a data set.

    Args:
        spec: `name`, `name:split`, `folder` or `folder:split`. Names win over folders; write ./name for a
            folder of the same name.

    Raises:
        UserError: If there is no such data set or split, or its manifest is damaged.
    """
    stem, split = parse_spec(spec)
    return in_split(folder_entries(dataset_folder(stem)), spec, split)


def parse_spec(spec: str | os.PathLike[str]) -> tuple[str, str]:
    """Name or folder, and the split; empty for all of them.

    Raises:
        UserError: If there is no such split.
    """
    text = os.fspath(spec)
    stem, colon, split = text.rpartition(":")
    if not colon or Path(text).is_dir() or "/" in split or "\\" in split:
        stem, split = text, ""
    if split and split not in SPLITS:
        raise UserError(f"unknown split {split!r} in {text!r}; {nearest(split, SPLITS)}")
    return stem, split


def in_split(entries: list[ScoreEntry], spec: str | os.PathLike[str], split: str) -> list[ScoreEntry]:
    """The scores of a split; all where it is empty.

    Args:
        entries: Scores of the data set.
        spec: What the user typed.
        split: One of `SPLITS`, or empty.

    Raises:
        UserError: If none is left.
    """
    chosen = [entry for entry in entries if not split or entry.split == split]
    if not chosen:
        raise UserError(f"{os.fspath(spec)} holds no scores; of {len(entries)} there none is in that split")
    return chosen


def folder_entries(folder: Path) -> list[ScoreEntry]:
    """All scores of a folder: by its manifest, or else every MIDI file in it and below, in order of path.

    Raises:
        UserError: If the folder has neither, or the manifest is damaged.
    """
    manifest = folder / MANIFEST
    if manifest.is_file():
        return [_entry(folder, row, number) for number, row in enumerate(read_manifest(manifest), 1)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI_SUFFIXES)
    if not paths:
        raise UserError(f"{folder} holds neither a {MANIFEST} nor MIDI files; give a folder of .mid files")
    plain = ScoreEntry(id="", path=folder, collection=folder.resolve().name)
    return [
        replace(
            plain,
            id=path.relative_to(folder).with_suffix("").as_posix(),
            path=path,
            title=path.stem,
            split=split_of(path.stem),
        )
        for path in paths
    ]


def split_of(work: str) -> str:
    """The split of a work: 5 % validation and 10 % test, by the SHA-256 of its name, the same everywhere."""
    place = int.from_bytes(hashlib.sha256(work.encode()).digest()[:8], "big") / 2**64
    if place < TEST_SHARE:
        return "test"
    return "validation" if place < TEST_SHARE + VALIDATION_SHARE else "train"


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Rows of a manifest.

    Raises:
        UserError: If it cannot be read, or a line is no JSON object.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not a manifest ({error}); it needs one JSON object a line") from None
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} is not a manifest; it needs one JSON object a line")
    return rows


def inside(folder: Path, relative: str) -> Path:
    """A path that must stay within a folder.

    Raises:
        UserError: If it leads out of the folder.
    """
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(
            f"the path {relative!r} leads out of {folder}; a data set may only name its own files"
        )
    return path


def dataset_folder(name: str) -> Path:
    """The folder of a data set, by its name or its path.

    Raises:
        UserError: If there is none.
    """
    known = data_home() / name
    if (known / MANIFEST).is_file() and name not in ("", ".", ".."):
        return known
    if Path(name).is_dir():
        return Path(name)
    hint = f"; {nearest(name, dataset_names())}" if dataset_names() else ""
    raise UserError(
        f"there is no data set {name!r} in {data_home()} and no such folder{hint}; "
        f"add one with 'ondes data add {name or 'NAME'} FOLDER_OR_ARCHIVE'"
    )


def _entry(folder: Path, row: dict[str, Any], number: int) -> ScoreEntry:
    try:
        split = str(row["split"])
        if split not in SPLITS:
            raise ValueError(f"split {split!r}")
        return ScoreEntry(
            id=str(row["id"]),
            path=inside(folder, str(row["path"])),
            collection=str(row["collection"]),
            licence=str(row.get("licence", "unknown")),
            composer=str(row.get("composer") or ""),
            title=str(row.get("title") or ""),
            split=split,
            parts=tuple(row.get("parts", ())),
            seconds=float(row.get("seconds", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / MANIFEST}: row {number} has a wrong or missing field ({error}); "
            "it needs id, collection, path and split"
        ) from None
