"""Whether a data set was downloaded whole: its files against the checksums that mirdata keeps.

The readers of these data sets go through mirdata's loaders where they are told to, see `mirdata_sets`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondes.datasets.mirdata_sets import open_mirdata, require_mirdata
from ondes.errors import UserError, nearest

READ_KEYS = {
    "guitarset": {"tracks": ("jams", "audio_mic")},
    "slakh": {"tracks": ("audio", "midi", "metadata"), "multitracks": ("mix", "midi", "metadata")},
}
"""The files in mirdata's indexes that our readers read."""


@dataclass(frozen=True)
class Checked:
    """The files of a data set: how many there should be, and which are missing or damaged."""

    files: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    licence: str


def check_dataset(
    kind: str,
    folder: str | os.PathLike[str],
    *,
    download_index: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Compare every file that the reader needs with its MD5 sum.

    Args:
        kind: `guitarset` or `slakh`.
        folder: Where the data set is; for Slakh the folder that holds `slakh2100_flac_redux`, or that folder.
        download_index: Fetch mirdata's index (a few MB from Zenodo) if it is not there yet.
        progress: Told of files done and in total.

    Raises:
        UserError: If mirdata is missing or does not know the kind, the folder does not exist, or the index is missing.
    """
    if kind not in READ_KEYS:
        raise UserError(
            f"mirdata has no checksums of {kind!r} as it is read here; {nearest(kind, READ_KEYS)}"
        )
    home = Path(folder)
    if not home.is_dir():
        raise UserError(f"the folder {home} does not exist; give the folder of {kind}")
    if kind == "slakh" and home.resolve().name.startswith("slakh2100"):
        home = home.resolve().parent
    dataset = open_mirdata(kind, home, download_index=download_index)
    index = json.loads(Path(dataset.index_path).read_text(encoding="utf-8"))
    files = sorted(set(_files(index, kind)))
    validate = require_mirdata("mirdata.validate").validate
    missing, damaged = [], []
    for number, (path, md5) in enumerate(files, 1):
        exists, same = validate(str(home / path), md5)
        if not exists:
            missing.append(path)
        elif not same:
            damaged.append(path)
        if progress:
            progress(number, len(files))
    licence = " ".join(require_mirdata(f"mirdata.datasets.{kind}").LICENSE_INFO.split())
    return Checked(len(files), tuple(missing), tuple(damaged), licence)


def _files(index: dict[str, Any], kind: str) -> Iterator[tuple[str, str]]:
    """Path and MD5 sum of each file that is read."""
    for group, keys in READ_KEYS[kind].items():
        for row in index.get(group, {}).values():
            yield from ((row[key][0], row[key][1]) for key in keys if row.get(key) and row[key][0])
