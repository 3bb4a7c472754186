"""Files that appear whole or not at all, and their fingerprints."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
