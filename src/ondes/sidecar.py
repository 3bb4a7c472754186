"""The small JSON file beside a piece of audio that says how it was made, so that it can be made again."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ondes
from ondes.errors import UserError, nearest
from ondes.files import written_whole

FORMAT = 1
"""Version of the layout."""

MARK = "ondes_sidecar"
"""The key under which it stands."""

WATCHED_PACKAGES = ("torch", "diffusers", "numpy", "soundfile")
"""Packages whose versions may change a rendering by a rounding."""


@dataclass(frozen=True)
class Source:
    """Something a rendering was made from: where it was found, and the SHA-256 of what was in it.

    A path is relative to the sidecar's folder; a bundled score reads `bundled:prelude`, a bundled model has
    its plain name.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Settings:
    """What a person may choose about a rendering; None leaves the choice to the model.

    An interval stands as it was typed, and a vocoder in a folder is named as a `Source` is.
    """

    seed: int
    steps: int | None
    sampler: str | None
    guidance_scale: float | None
    threads: int | None
    stems: bool = False
    temperature: float | None = None
    guidance_interval: str | None = None
    continuation: str | None = None
    vocoder: str | None = None
    int8: bool = False


@dataclass(frozen=True)
class Output:
    """The audio that was written.

    Attributes:
        file: Name of the file, beside the sidecar. For stems the mix.
        sha256: Of the file's bytes.
        sample_rate_hz: Rate.
        channels: 2 for stereo.
        duration_s: Length.
        stems: SHA-256 by file name, one a part; empty without `--stems`.
    """

    file: str
    sha256: str
    sample_rate_hz: int
    channels: int
    duration_s: float
    stems: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Sidecar:
    """What it takes to make a rendering again on the same machine, and to notice what has changed since."""

    score: Source
    model: Source
    settings: Settings
    output: Output
    versions: dict[str, str]

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_marked(self, path, mark=MARK, version=FORMAT)

    @classmethod
    def read(cls, path: Path) -> Sidecar:
        """Read what `write` wrote.

        Raises:
            UserError: If the file cannot be read, is no sidecar, or has missing, unknown or ill-typed fields.
        """
        data = _load(path)
        try:
            return cls(
                score=checked_fields(Source, data.pop("score")),
                model=checked_fields(Source, data.pop("model")),
                settings=checked_fields(Settings, data.pop("settings")),
                output=checked_fields(Output, data.pop("output")),
                versions=checked_fields(dict, data.pop("versions")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is a damaged sidecar: {_reason(error)}; render the score again"
            ) from error


def record_beside(output: Path) -> Path:
    """Where the record of a file goes: `song.json`, or `song.wav.json` where that is the record of another file.

    Raises:
        UserError: If a file is there that is no record.
    """
    plain = output.with_suffix(".json")
    if is_record(plain) and output.name not in _recorded_files(plain):
        return replaceable(output.with_name(f"{output.name}.json"))
    return replaceable(plain)


def replaceable(path: Path, *, option: str = "-o") -> Path:
    """Refuse to overwrite a JSON file that is somebody's own.

    Args:
        path: Where a record is to be written.
        option: Of the command line, that says where.

    Raises:
        UserError: If the file exists and is no record.
    """
    if path.exists() and not is_record(path):
        raise UserError(f"{path} exists and is no record of ondes; pass --no-sidecar or another {option}")
    return path


def is_record(path: Path) -> bool:
    """Whether this file is a record of ondes of any kind: a rendering, edited audio, a composition."""
    return any(str(key).startswith("ondes_") for key in _json_object(path))


def _recorded_files(path: Path) -> set[str]:
    """Names of the files that a record of any kind says were written; none if it is damaged."""
    data = _json_object(path)
    one, many = data.get("output"), data.get("outputs")
    files = {str(one.get("file"))} if isinstance(one, dict) else set()
    return files | ({str(name) for name in many} if isinstance(many, dict) else set())


def _json_object(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing if it is none, or no object."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_marked(record: Any, path: Path, *, mark: str, version: int) -> None:
    """Write a record of any kind as JSON, whole or not at all.

    Args:
        record: A data class.
        path: Where to.
        mark: The key that says what kind it is.
        version: Of its layout, under that key.
    """
    text = json.dumps({mark: version} | dataclasses.asdict(record), indent=2, ensure_ascii=False)
    with written_whole(path) as neighbour:
        neighbour.write_text(text + "\n", encoding="utf-8")


def is_marked(path: Path, mark: str) -> bool:
    """Whether a file is a record of this kind."""
    return mark in _json_object(path)


def read_marked(path: Path, *, mark: str, version: int, what: str) -> dict[str, Any]:
    """The fields of a record of which `is_marked` is true.

    Raises:
        UserError: If it has another version.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    found = data.pop(mark)
    if found != version:
        raise UserError(
            f"{path} has {what} format {found}, this version of ondes reads {version}; update ondes"
        )
    return data


def current_versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Versions of ondes, Python and the packages that take part in every rendering, and of more of them."""
    names = ("ondes", "python", *WATCHED_PACKAGES, *more)
    return {name: version for name in names if (version := version_of(name)) is not None}


def version_of(name: str) -> str | None:
    """The version of ondes, "python" or a package, without importing it; None if it is not installed."""
    import importlib.metadata  # noqa: PLC0415

    if name == "ondes":
        return ondes.__version__
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def portable_name(path: Path, folder: Path) -> str:
    """How a sidecar in `folder` names a file: relative, with forward slashes, so that both can move."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive of a Windows machine
        return path.resolve().as_posix()


def _load(path: Path) -> dict[str, Any]:
    """The JSON object of a sidecar, without its version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(
            f"{path} is not JSON; give the .json that 'ondes synth' or 'ondes demo' wrote"
        ) from error
    version = data.pop(MARK, None) if isinstance(data, dict) else None
    if version is None:
        raise UserError(
            f"{path} is not a sidecar of ondes; give the .json that 'ondes synth' or 'ondes demo' wrote"
        )
    if version != FORMAT:
        raise UserError(
            f"{path} has sidecar format {version}, this version of ondes reads {FORMAT}; update ondes"
        )
    return data


def checked_fields(kind: Any, data: object) -> Any:
    """Build a part of a sidecar from its JSON object, refusing names and types that do not belong."""
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} stands where an object belongs")
    if kind is dict:
        return {str(key): str(value) for key, value in data.items()}
    known = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    for key, value in data.items():
        if key not in known:
            raise ValueError(f"unknown field {key!r}, {nearest(key, known)}")
        if not _fits(value, known[key]):
            raise ValueError(f"{key} is {value!r}, which is no {known[key]}")
    return kind(**data)


def _fits(value: object, annotation: str) -> bool:
    """Whether a JSON value has the type that a field's annotation names."""
    allowed = [part.strip() for part in annotation.split("|")]
    for name in allowed:
        if name == "None" and value is None:
            return True
        if name == "float" and isinstance(value, int | float) and not isinstance(value, bool):
            return True
        if type(value).__name__ == name.split("[")[0]:
            return True
    return False


def _reason(error: Exception) -> str:
    """A missing key in words; other errors speak for themselves."""
    return f"it has no field {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
