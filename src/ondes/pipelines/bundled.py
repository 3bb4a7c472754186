"""Models that come with the package, and where any model's name leads."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ondes.errors import UserError, nearest
from ondes.files import file_sha256

WEIGHTS = Path(__file__).parent.parent / "weights"
"""Folder of the bundled models, one folder a model."""

CHECKSUMS = "checksums.json"
"""File in a saved model's folder with the SHA-256 of every weights file in it."""

WEIGHT_SUFFIXES = (".safetensors", ".onnx")
"""Files that hold weights."""

INDEX, NETWORK_CONFIG, SCHEDULER_CONFIG = "model_index.json", "config.json", "scheduler_config.json"
"""Files that make a folder a saved pipeline, network or scheduler."""


@dataclass(frozen=True)
class BundledModel:
    """A model in the package.

    Attributes:
        name: What `from_pretrained` takes.
        kind: "synthesiser", "vocoder", "composer", "separator" or "audio".
        path: Its folder.
        card: What its card.json says: data, licence, seconds trained, scores.
    """

    name: str
    kind: str
    path: Path
    card: dict[str, Any]


def bundled_models() -> list[BundledModel]:
    """All bundled models, by name."""
    models = []
    for card_file in sorted(WEIGHTS.glob("*/card.json")):
        card = json.loads(card_file.read_text())
        models.append(BundledModel(card_file.parent.name, card["kind"], card_file.parent, card))
    return models


def resolve(name: str | Path, *, kind: str, config: str) -> Path | str:
    """Where a model is: a bundled name or a local folder becomes a path, a Hub id stays as it is.

    Args:
        name: What the user typed.
        kind: Which bundled models are meant.
        config: File that makes a folder a saved model of this kind.

    Raises:
        UserError: If it is none of them.
    """
    names = {model.name: model.path for model in bundled_models() if model.kind == kind}
    if str(name) in names:
        return names[str(name)]
    folder = Path(name)
    if folder.is_dir():
        if not (folder / config).is_file():
            what = "audio model" if kind == "audio" else kind
            raise UserError(
                f"{folder} is not a saved {what}: it has no {config}; give the folder that was saved"
            )
        return folder
    if isinstance(name, str) and name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return name
    raise UserError(
        f"there is no {kind} {str(name)!r}: {nearest(str(name), names)}, a folder, or a Hub id as 'user/name'"
    )


def write_checksums(folder: Path) -> None:
    """Note the SHA-256 of every weights file of a saved model."""
    files = sorted(file for suffix in WEIGHT_SUFFIXES for file in folder.rglob(f"*{suffix}"))
    sums = {str(file.relative_to(folder)): file_sha256(file) for file in files}
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n")


def verify_saved(folder: Path, *, given: Collection[str] = ()) -> None:
    """Look for all that a saved pipeline or network consists of, and compare weights with their checksums.

    Libraries say in their own words what is missing, and not what to do.

    Args:
        folder: Where it was saved.
        given: Components that the caller brings, which may be missing.

    Raises:
        UserError: With the first thing that is missing or damaged.
    """
    for name, made in _components(folder):
        if name in given:
            continue
        if not (folder / name).is_dir():
            raise UserError(
                f"{folder} has no folder {name}, which its {INDEX} names; save or install the model again"
            )
        _verify_files(folder / name, made)
    if (folder / NETWORK_CONFIG).is_file() and not (folder / INDEX).is_file():
        _verify_files(folder, "")
    verify_checksums(folder)


def _components(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and classes of the parts of a saved pipeline; none of a network.

    Raises:
        UserError: If its index is damaged.
    """
    if not (folder / INDEX).is_file():
        return
    try:
        entries = dict(json.loads((folder / INDEX).read_bytes()))
    except (ValueError, TypeError):
        raise UserError(f"{folder / INDEX} is damaged; save or install the model again") from None
    for name, entry in entries.items():
        # Settings may be lists, too: only a component names a library.
        if isinstance(entry, list) and len(entry) == 2 and str(entry[0]).startswith(("diffusers", "ondes.")):
            yield name, str(entry[1])


def _verify_files(folder: Path, made: str) -> None:
    """Look for the settings and the weights of one component.

    Raises:
        UserError: If either is missing.
    """
    wanted = SCHEDULER_CONFIG if made.endswith("Scheduler") else NETWORK_CONFIG
    if any(folder.glob("*.onnx")):
        return
    if not (folder / wanted).is_file():
        raise UserError(f"{folder} has no {wanted}; save or install the model again")
    if wanted == NETWORK_CONFIG and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder} has no weights ({' or '.join(WEIGHT_SUFFIXES)}); save or install the model again"
        )


def verify_checksums(folder: Path) -> None:
    """Compare weights with what was noted when they were saved.

    Raises:
        UserError: If a file is missing or differs, or the note itself is damaged.
    """
    noted = folder / CHECKSUMS
    if not noted.is_file():
        return
    try:
        sums = dict(json.loads(noted.read_text()))
    except (ValueError, TypeError):
        raise UserError(f"{noted} is damaged; save or install the model again") from None
    for name, sum_ in sums.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder} lacks {name}; save or install the model again")
        if file_sha256(folder / name) != sum_:
            raise UserError(
                f"{folder / name} is damaged: its SHA-256 differs from {CHECKSUMS}; install the model again"
            )


def verify_names(folder: Path, names: Iterable[str]) -> None:
    """Compare the weights of a saved network with those its settings ask for; missing ones would stay random.

    Args:
        folder: Where config.json and the weights are.
        names: Of the weights of the network that was made from it.

    Raises:
        UserError: If there are fewer, more, or others.
    """
    stored: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "numpy") as opened:
            stored.update(opened.keys())
    if stored != set(names):
        raise UserError(
            f"{folder}: the weights are not those that its config.json asks for; install the model again"
        )
