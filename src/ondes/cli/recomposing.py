"""How `replay` makes a composition again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ondes.cli import composing, separating
from ondes.cli.replay import (
    Target,
    check_hash,
    conclude,
    mention_versions,
    place_of,
    rename_staged,
)
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.tasks.audio_writing import staged
from ondes.tasks.composing import MIDI_SUFFIXES, Order, write_scores
from ondes.tasks.composition import Composition
from ondes.tasks.separating import VERB, choices_of


def recompose(sidecar: Path, output: Path | None, *, score: Path | None, model: str | None) -> None:
    """Compose again what a record describes, and compare the bytes.

    Args:
        sidecar: The record.
        output: Where to write: a file, or a folder for several scores; where they were if None.
        score: The score that was edited, if it has moved.
        model: The model, if it has moved.

    Raises:
        UserError: If anything has changed or gone that the composition was made from.
        Exit: With status 1 if the bytes differ.
    """
    record = Composition.read(sidecar)
    source = _source(record, sidecar.parent, score)
    target = _target(record, sidecar.parent, output)
    separates = record.verb == VERB
    choices = choices_of(record, sidecar.parent) if separates else record.choices
    order = Order(record.verb, source, record.count, choices)
    given = composing.open_score(source)
    with staged(target.folder) as staging:
        load: Callable[..., Any] = separating.load_separator if separates else composing.load_composer
        pipeline = load(model or place_of(record.model.name, sidecar.parent), record.threads)
        mention_versions(record.versions)
        check_hash(f"model {record.model.name}", record.model.sha256, pipeline.model_hash, option="--model")
        made = (separating if separates else composing).run(order, given, pipeline, label="replay")
        same = write_scores(made, list(record.outputs), staging) == record.outputs
        written = rename_staged(staging, target, same=same)
    conclude(sidecar, written, same=same)


def _source(record: Composition, folder: Path, given: Path | None) -> Path | None:
    """The score that was edited, if it is still the same; None for new pieces.

    Raises:
        UserError: If it is gone or has changed.
    """
    if record.score is None:
        return None
    path = given or folder / record.score.name
    if not path.is_file():
        raise UserError(f"the score {path} is not there any more; pass --score with its new place")
    check_hash(f"score {path}", record.score.sha256, file_sha256(path), option="--score")
    return path


def _target(record: Composition, folder: Path, given: Path | None) -> Target:
    """Where to write, checked before any work.

    Raises:
        UserError: If a file there is not ours to replace, or the name cannot be used.
    """
    names = list(record.outputs)
    for name in names:
        if Path(name).name != name:
            raise UserError(f"the record names the file {name!r}, which is no plain file name; compose again")
    if given is not None and len(names) > 1:
        if given.suffix.lower() in MIDI_SUFFIXES or given.is_file():
            raise UserError(f"the record is of {len(names)} scores; give a folder, not {given}")
        return Target(given, {name: name for name in names}, chosen=True)
    if given is not None:
        if given.suffix.lower() not in MIDI_SUFFIXES:
            raise UserError(f"{given} has no MIDI suffix; name it {given.stem}.mid")
        return Target(given.parent, {names[0]: given.name}, chosen=True)
    for name, sha256 in record.outputs.items():
        if (folder / name).exists() and file_sha256(folder / name) != sha256:
            raise UserError(f"{folder / name} has changed since it was composed; pass -o with another name")
    return Target(folder, {name: name for name in names}, chosen=False)
