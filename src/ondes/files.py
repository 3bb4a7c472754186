"""Files and folders that appear whole or not at all, and their fingerprints."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ondes.errors import UserError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary neighbour to write, which takes the name of `path` on success and vanishes on any failure.

    Args:
        path: The file to make or to replace.

    Yields:
        The neighbour, with the same suffix; a reader of `path` never sees it half full.
    """
    neighbour = path.with_name(f".ondes-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield neighbour
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """A temporary neighbour to fill, which takes the name of `path` on success and vanishes on any failure.

    Args:
        path: The folder to make; it may exist if it is empty. Folders above it are made.

    Yields:
        The neighbour, an empty folder.

    Raises:
        UserError: If there is already something at `path`.
    """
    path = path.absolute()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} already exists; give the name of a folder that does not")
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".ondes-{secrets.token_hex(8)}")
    neighbour.mkdir()
    try:
        yield neighbour
        if path.exists():
            path.rmdir()
        neighbour.rename(path)
    finally:
        shutil.rmtree(neighbour, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
