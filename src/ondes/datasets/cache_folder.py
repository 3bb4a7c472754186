"""What caches on disk share: their settings, the list of what they hold, and that a build goes on where one stopped.

A cache is a folder with `settings.json` (what must agree for a build to go on), `songs.jsonl` (one row a song, in the
order they were made, with at least data set, split and id) and files of plain numbers that rows point into. A row is
written after its numbers, so that whatever lies behind the last row is left over from a stopped build. Of rows with the
same name the last counts; a row with `removed` says that a song is no longer there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ondes.errors import UserError
from ondes.files import written_whole

log = logging.getLogger(__name__)

SETTINGS = "settings.json"
ROWS = "songs.jsonl"
REJECTED = "rejected.jsonl"

Name = tuple[str, str, str]
"""Data set, split and id of a song."""


def claim(place: Path, settings: dict[str, Any]) -> None:
    """Make the folder a cache with these settings, or find that it is one.

    Raises:
        UserError: If it cannot be written, or holds something else, or was made with other settings.
    """
    path = place / SETTINGS
    if place.exists() and not place.is_dir():
        raise UserError(f"{place} is a file; give a folder for the cache")
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if any(entry.name not in (ROWS, "lock") for entry in place.iterdir()):
                raise UserError(f"{place} holds other files; give a new or empty folder for the cache")
            with written_whole(path) as partial_file:
                partial_file.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        (place / ROWS).touch()
        before = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"the cache {place} cannot be written ({error.strerror}); choose another folder"
        ) from None
    except ValueError:
        raise UserError(f"{path} is damaged; remove the folder and make the cache again") from None
    changed = [name for name in settings if before.get(name) != settings[name]]
    if changed:
        name = changed[0]
        raise UserError(
            f"{place} was made with {name} {before.get(name)} instead of {settings[name]}; choose another folder"
        )


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """One build at a time, where the system can tell; the processes of a training wait for one another."""
    try:
        import fcntl  # noqa: PLC0415
    except ModuleNotFoundError:
        yield
        return
    with (place / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process builds the cache %s; waiting for it", place)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def resume(
    place: Path, ends: Callable[[dict[str, Any]], Iterable[tuple[Path, int]]]
) -> dict[Name, dict[str, Any]]:
    """The rows that count; cut off whatever a stopped build left behind them.

    Args:
        place: The cache.
        ends: The files (`*.bin`) that a row points into, and the byte where its numbers end.

    Raises:
        UserError: If a file is shorter than the rows say.
    """
    path = place / ROWS
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        with written_whole(path) as partial_file:
            partial_file.write_bytes(whole)
    last: dict[Path, int] = {}
    for row in read_all_rows(place):
        for file, end in ends(row):
            last[file] = max(last.get(file, 0), end)
    for file in place.glob("*.bin"):
        size, end = file.stat().st_size, last.get(file, 0)
        if size < end:
            raise UserError(f"{file} is cut off; remove the folder {place} and make the cache again")
        if size > end:
            log.info("%s: %d bytes of a stopped build are cut off", file, size - end)
            os.truncate(file, end)
    return read_rows(place)


def read_rows(folder: Path) -> dict[Name, dict[str, Any]]:
    """The songs of a cache's list by name, in order; of rows with one name the last counts.

    Raises:
        UserError: If the list is damaged.
    """
    rows: dict[Name, dict[str, Any]] = {}
    for row in _lines(folder):
        name = (row["dataset"], row["split"], row["id"])
        rows.pop(name, None)
        if "removed" not in row:
            rows[name] = row
    return rows


def read_all_rows(folder: Path) -> list[dict[str, Any]]:
    """All songs that ever took space in a cache, also those that others have replaced."""
    return [row for row in _lines(folder) if "removed" not in row]


def read_rejected(path: Path) -> dict[Name, dict[str, Any]]:
    """What was left out of a cache, by name; half a line at the end is not counted."""
    rejected: dict[Name, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            rejected[row["dataset"], row["split"], row["id"]] = row
        except (ValueError, KeyError, TypeError):
            continue
    return rejected


def _lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / ROWS
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); remove the folder and make the cache again") from None
    if not all(isinstance(row, dict) and {"dataset", "split", "id"} <= row.keys() for row in rows):
        raise UserError(f"{path} is damaged; remove the folder and make the cache again")
    return rows
