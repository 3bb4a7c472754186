"""Data sets put into the user's data folder, from folders and archives that are not trusted."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ondes.datasets.named import (
    MANIFEST,
    MIDI_SUFFIXES,
    SPLITS,
    ScoreEntry,
    data_home,
    folder_entries,
    inside,
    read_manifest,
)
from ondes.errors import UserError

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
MOST_BYTES = 4 * 2**30
MOST_MEMBERS = 500_000
BLOCK_BYTES = 2**20
KEPT_NAMES = ("licence", "license", "copying", "readme", "notice")
"""Beside scores and manifest, files whose names begin so are kept."""

Member = tuple[str, int, Callable[[], IO[bytes] | None]]
"""Name, size, and a function that opens it."""


def add_dataset(name: str, source: Path) -> Path:
    """Copy a data set into `data_home()`.

    Args:
        name: What to call it: small letters, digits, hyphens and underscores.
        source: A folder with `manifest.jsonl` and its MIDI files, or with the manifest and one archive of
            them; an archive with the manifest inside or beside it; or any folder of MIDI files, which gets a
            manifest with splits by `split_of`.

    Returns:
        The folder of the data set. It appears complete or not at all.

    Raises:
        UserError: If the name is taken or not allowed, the source is missing, damaged, too large, tries to
            write elsewhere, or lacks files that its manifest names.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise UserError(f"a data set cannot be called {name!r}; use small letters, digits, - and _")
    home = data_home()
    final = home / name
    if final.exists():
        raise UserError(
            f"there is a data set {name!r} already in {final}; remove that folder or choose another name"
        )
    archive, manifest = _find(source)
    partial = home / f".adding-{secrets.token_hex(6)}"
    try:
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise UserError(
                f"{home} cannot be written ({error.strerror}); set ONDES_DATA to another folder"
            ) from None
        if archive is not None:
            unpack(archive, partial)
        else:
            _copy_scores(source, partial)
        if manifest is not None:
            shutil.copyfile(manifest, partial / MANIFEST)
        _complete(partial, source, name)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def unpack(archive: Path, folder: Path) -> None:
    """Take scores, manifest and licence texts out of an archive, and nothing else.

    Links, devices and absolute or climbing paths are never followed; such an archive is refused as a whole.

    Raises:
        UserError: If the archive is damaged, unsafe, or unpacks to more than `MOST_BYTES`.
    """
    total = 0
    try:
        for number, (name, size, opened) in enumerate(_members(archive)):
            total += size
            if total > MOST_BYTES or number >= MOST_MEMBERS:
                raise UserError(
                    f"{archive} unpacks to more than {MOST_BYTES >> 30} GiB or {MOST_MEMBERS} files; "
                    "give a smaller one"
                )
            target = inside(folder, name)
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UserError(
                    f"{archive} holds the path {name!r}, which leads out of it; give another archive"
                )
            if _is_kept(name):
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(opened, target, size)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        LZMAError,
        EOFError,
        OSError,
        zlib.error,
        RuntimeError,
    ) as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}); give a whole .tar.* or .zip archive"
        ) from None


def _members(archive: Path) -> Iterator[Member]:
    """Regular files of an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    yield info.filename, info.file_size, lambda info=info: zipped.open(info)
        return
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            if member.isreg():
                yield member.name, member.size, lambda member=member: tar.extractfile(member)
            elif not member.isdir():
                raise UserError(
                    f"{archive} holds {member.name!r}, which is a link or device; give plain files only"
                )


def _write(opened: Callable[[], IO[bytes] | None], target: Path, size: int) -> None:
    """Copy a member, and no more bytes than it said it had."""
    stream = opened()
    if stream is None:
        return
    left = size
    with stream, target.open("wb") as file:
        while left > 0 and (block := stream.read(min(BLOCK_BYTES, left))):
            file.write(block)
            left -= len(block)


def _is_kept(name: str) -> bool:
    base = PurePosixPath(name).name.lower()
    return base.endswith(MIDI_SUFFIXES) or base == MANIFEST or base.startswith(KEPT_NAMES)


def _find(source: Path) -> tuple[Path | None, Path | None]:
    """The archive, if there is one, and the manifest that lies beside it, if there is one."""
    if source.is_dir():
        manifest = source / MANIFEST
        archives = sorted(path for path in source.iterdir() if _is_archive(path))
        rows = read_manifest(manifest) if manifest.is_file() else []
        unpacked = not rows or inside(source, str(rows[0].get("path", ""))).is_file()
        if unpacked or len(archives) != 1:
            return None, None
        return archives[0], manifest
    if not source.is_file():
        raise UserError(
            f"{source} does not exist; give a folder or an archive ({', '.join(ARCHIVE_SUFFIXES)})"
        )
    if not _is_archive(source):
        raise UserError(
            f"{source} is no archive that is known; give {', '.join(ARCHIVE_SUFFIXES)} or a folder"
        )
    beside = source.with_name(MANIFEST)
    return source, beside if beside.is_file() else None


def _is_archive(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(ARCHIVE_SUFFIXES)


def _copy_scores(source: Path, folder: Path) -> None:
    """Manifest, scores and licence texts of a folder, links not followed out of it."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source).as_posix()
        if path.is_file() and _is_kept(relative):
            inside(source, relative)
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _complete(folder: Path, source: Path, name: str) -> None:
    """Lift what lies in a single folder, make a manifest where there is none, and check it."""
    inner = [path for path in folder.iterdir() if path.is_dir()]
    if not (folder / MANIFEST).is_file() and len(inner) == 1 and (inner[0] / MANIFEST).is_file():
        for path in inner[0].iterdir():
            path.rename(folder / path.name)
    if not (folder / MANIFEST).is_file():
        entries = folder_entries(folder)
        rows = [_row(entry, folder, name) for entry in entries]
        (folder / MANIFEST).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    entries = folder_entries(folder)
    missing = [entry for entry in entries if not entry.path.is_file()]
    if missing or not entries:
        example = f", such as {missing[0].path.relative_to(folder.resolve())}" if missing else ""
        raise UserError(
            f"{source} lacks {len(missing)} of the {len(entries)} scores that its manifest names{example}; "
            "give the folder or archive that belongs to it"
        )


def _row(entry: ScoreEntry, folder: Path, collection: str) -> dict[str, Any]:
    assert entry.split in SPLITS
    return {
        "id": entry.id,
        "collection": collection,
        "licence": entry.licence,
        "composer": entry.composer,
        "title": entry.title,
        "path": entry.path.relative_to(folder).as_posix(),
        "parts": [],
        "seconds": 0.0,
        "work": entry.title,
        "split": entry.split,
    }
