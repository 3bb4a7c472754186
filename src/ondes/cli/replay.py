"""`ondes replay`: make a rendering again from its sidecar, and compare the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ondes.cli import rendering
from ondes.cli.console import complain, say
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.scores import bundled_score
from ondes.sidecar import Output, Sidecar, version_of
from ondes.tasks import audio_writing, performing
from ondes.tasks.audio_record import is_audio_record
from ondes.tasks.composition import is_composition

EXIT_DIFFERENT = 1

SidecarArgument = Annotated[
    Path, typer.Argument(metavar="SIDECAR", help="The .json beside a rendering.", show_default=False)
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Where to write: a file, or a folder for stems. [default: where the rendering was]",
        show_default=False,
    ),
]
ScoreOption = Annotated[Path | None, typer.Option(help="The score, if it has moved.", show_default=False)]
InputOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--input",
        help="The sound that was edited, if it has moved; for the second of two repeat it.",
        show_default=False,
    ),
]
ModelOption = Annotated[str | None, typer.Option(help="The model, if it has moved.", show_default=False)]
VocoderOption = Annotated[str | None, typer.Option(help="The vocoder, if it has moved.", show_default=False)]


@dataclass(frozen=True)
class Target:
    """Where a replay goes: each file of the rendering by its path now."""

    folder: Path
    names: dict[str, str]
    chosen: bool
    """Whether a person said so; otherwise an earlier rendering is replaced by the same bytes only."""


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="Make a rendering again, to the byte.")(replay)


def replay(
    sidecar: SidecarArgument,
    output: OutputOption = None,
    *,
    score: ScoreOption = None,
    input_: InputOption = None,
    model: ModelOption = None,
    vocoder: VocoderOption = None,
) -> None:
    """Make something again from its .json: the same bytes on the same machine, or exit status 1."""
    if is_composition(sidecar):
        from ondes.cli.recomposing import recompose  # noqa: PLC0415

        recompose(sidecar, output, score=score, model=model)
        return
    if is_audio_record(sidecar):
        from ondes.cli.audio_replay import remake  # noqa: PLC0415

        remake(sidecar, output, inputs=input_ or [], model=model, vocoder=vocoder)
        return
    record = Sidecar.read(sidecar)
    played = _score(record, sidecar, score)
    target = target_of(record.output, sidecar.parent, output)
    mention_versions(record.versions)
    notes = rendering.open_notes(played)
    named = vocoder or (record.settings.vocoder and place_of(record.settings.vocoder, sidecar.parent))
    with audio_writing.staged(target.folder) as staging:
        pipeline = rendering.load_pipeline(
            model or place_of(record.model.name, sidecar.parent),
            record.settings.threads,
            vocoder=named,
            int8=record.settings.int8,
        )
        option = "--model or --vocoder" if named else "--model"
        check_hash(f"model {record.model.name}", record.model.sha256, pipeline.model_hash, option=option)
        play = rendering.play_to_stems if record.settings.stems else rendering.play_to_file
        into = staging if record.settings.stems else staging / record.output.file
        made = play(pipeline, notes, record.settings, into, label=played.name)
        same = (made.sha256, made.stems) == (record.output.sha256, record.output.stems)
        written = rename_staged(staging, target, same=same)
    conclude(sidecar, written, same=same)


def conclude(sidecar: Path, written: list[Path], *, same: bool) -> None:
    """Say whether the replay is the same, and where it is.

    Raises:
        Exit: With status 1 if it is not.
    """
    listed = ", ".join(str(path) for path in written)
    if not same:
        complain(f"the bytes differ from those that {sidecar} describes; the replay is in {listed}")
        raise typer.Exit(EXIT_DIFFERENT)
    say(f"The same bytes again: {listed}")


def _score(record: Sidecar, sidecar: Path, given: Path | None) -> Path:
    """The score on disk, if it is still the one that was played.

    Raises:
        UserError: If it is gone or has changed.
    """
    name = record.score.name
    if given is None and name.startswith(performing.BUNDLED_PREFIX):
        path = bundled_score(name.removeprefix(performing.BUNDLED_PREFIX)).path
    else:
        path = given or sidecar.parent / name
    if not path.is_file():
        raise UserError(f"the score {path} is not there any more; pass --score with its new place")
    check_hash(f"score {path}", record.score.sha256, file_sha256(path), option="--score")
    return path


def place_of(name: str, folder: Path) -> str:
    """A model or vocoder as `load_pipeline` wants it: a place relative to the sidecar, or a name."""
    local = folder / name
    return str(local) if local.exists() and not performing.is_bundled(name) else name


def check_hash(what: str, recorded: str, found: str, *, option: str) -> None:
    """Refuse to play something else than was played.

    Raises:
        UserError: If the hashes differ.
    """
    if recorded != found:
        raise UserError(
            f"the {what} is not the one that was played (SHA-256 {found[:12]}, then {recorded[:12]}); "
            f"pass the original with {option}"
        )


def target_of(output: Output, folder: Path, given: Path | None) -> Target:
    """Where to write, checked before any work.

    Raises:
        UserError: If a file there is not ours to replace, or the name cannot be used.
    """
    files = {output.file: output.sha256} | output.stems
    for name in files:
        if Path(name).name != name:
            raise UserError(
                f"the sidecar names the file {name!r}, which is not a plain file name; render again"
            )
    if given is not None and output.stems:
        rendering.check_stem_folder(given)
        return Target(given, {name: name for name in files}, chosen=True)
    if given is not None:
        return Target(given.parent, {output.file: _same_suffix(given, output.file)}, chosen=True)
    for name, sha256 in files.items():
        if (folder / name).exists() and file_sha256(folder / name) != sha256:
            raise UserError(f"{folder / name} has changed since it was rendered; pass -o with another name")
    return Target(folder, {name: name for name in files}, chosen=False)


def _same_suffix(given: Path, recorded: str) -> str:
    """The name to write, if it asks for the recorded file format.

    Raises:
        UserError: If it asks for another, whose bytes could never be the same.
    """
    from ondes.audio import check_output  # noqa: PLC0415

    if given.suffix.lower() != Path(recorded).suffix.lower():
        raise UserError(f"{given} would be another file format; {recorded} can only be replayed as its own")
    check_output(given)
    return given.name


def mention_versions(versions: Mapping[str, str]) -> None:
    """Warn about packages that have changed since then, because a rounding may have changed with them."""
    for name, then in versions.items():
        now = version_of(name)
        if now != then:
            complain(f"{name} was {then} and is {now or 'not known'}; the bytes may differ")


def rename_staged(staging: Path, target: Target, *, same: bool) -> list[Path]:
    """Give the staged files their final names; what differs never replaces a rendering unasked."""
    written = []
    for name, wanted in target.names.items():
        final = target.folder / wanted
        if not same and not target.chosen and final.exists():
            final = final.with_stem(f"{final.stem}.replay")
        (staging / name).rename(staging / final.name)
        written.append(final)
    return written
