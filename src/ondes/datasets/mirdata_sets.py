"""The loaders of mirdata (Bittner et al. 2019), where they fit what was published: GuitarSet and Slakh2100 redux.

mirdata 1.0, the newest, knows MAESTRO as version 2.0.0 only (other files, other splits), and neither MusicNet nor URMP.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ondes.errors import UserError, nearest

FILES, MIRDATA = "files", "mirdata"
"""Who says which recordings a data set has: the files that are there, or mirdata's index of what was published."""


def checked_loader(loader: str) -> str:
    """The name of a loader.

    Raises:
        UserError: If there is none of this name.
    """
    if loader not in (FILES, MIRDATA):
        raise UserError(f"there is no loader {loader!r}; {nearest(loader, (FILES, MIRDATA))}")
    return loader


def open_mirdata(kind: str, home: Path, *, download_index: bool = False) -> Any:
    """The loader of a data set, with its index at hand.

    Args:
        kind: `guitarset` or `slakh`.
        home: The folder that the paths of the index begin in.
        download_index: Fetch the index (a few MB from Zenodo) if it is not there yet.

    Raises:
        UserError: If mirdata or its index is missing.
    """
    dataset = require_mirdata("mirdata").initialize(kind, data_home=str(home))
    if Path(dataset.index_path).is_file():
        return dataset
    if not download_index:
        raise UserError(
            f"mirdata's index of {kind} is not on this machine; fetch it with 'ondes data check {home} --kind {kind} "
            "--download-index'"
        )
    try:
        dataset.download(partial_download=["index"])
    except (OSError, ValueError) as error:
        raise UserError(f"mirdata could not fetch its index of {kind} ({error}); try again later") from None
    return dataset


def require_mirdata(module: str) -> Any:
    """Import a module of mirdata.

    Raises:
        UserError: If it, or a package that it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the package {error.name!r} is missing; mirdata's loaders and checksums need it: pip install 'ondes[data]'"
        ) from None
