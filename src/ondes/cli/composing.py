"""How `compose` and `replay` turn an order into files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ondes.cli import rendering
from ondes.cli.console import clock, complain, counting_notes, say, waiting
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.sidecar import Settings, record_beside, replaceable
from ondes.tasks import performing
from ondes.tasks.audio_writing import staged
from ondes.tasks.composing import (
    MIDI_SUFFIXES,
    Order,
    check_wishes,
    composed,
    describe,
    output_names,
    write_scores,
)

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.composer_opening import AnyComposer

DEFAULT_SYNTHESISER = performing.DEFAULT_MODEL


def load_composer(model: str, threads: int | None) -> AnyComposer:
    """A composer by bundled name, folder or Hub id, after telling torch how many threads it may use.

    Raises:
        UserError: If there is no such model, or its weights are damaged.
    """
    with waiting(f"Loading {model}"):
        from ondes.pipelines.composer_opening import open_composer  # noqa: PLC0415

        use_threads(threads)  # for pieces side by side: each is composed on one
        return open_composer(model)


def carry_out(
    order: Order,
    output: Path,
    *,
    model: str,
    threads: int | None,
    sidecar: bool,
    audio: Path | None,
    synthesiser: str,
) -> None:
    """Write the scores of an order, and their sidecar and audio; all that can be wrong is looked at first.

    Raises:
        UserError: If anything that was asked for cannot be done.
    """
    names = output_names(output, order.count)
    folder = output if order.count > 1 else output.parent
    check_places(output, order.count, audio)
    beside = score_record(output, order.count, "composition") if sidecar else None
    if sidecar and audio is not None:
        for played in _audio_files(names, audio, order.count):
            replaceable(_audio_record(played), option="--audio")
    check_wishes(order)
    given = open_score(order.score)
    pipeline = load_composer(model, threads)
    with _made(order, given, pipeline, names, folder) as (staging, written):
        if beside is not None:
            source = None if order.score is None else performing.score_source(order.score, folder)
            describe(order, source, pipeline, model, folder, written).write(staging / beside.name)
    if audio is not None:
        _play([folder / name for name in names], audio, synthesiser, order, threads, sidecar=sidecar)


def score_record(output: Path, count: int, folder_record: str) -> Path:
    """Where the record of scores goes: beside a single one, or under this name in the folder of several.

    Raises:
        UserError: If a file is there that is no record.
    """
    return record_beside(output) if count == 1 else replaceable(output / f"{folder_record}.json")


def check_places(output: Path, count: int, audio: Path | None) -> None:
    """Refuse what cannot be written.

    Raises:
        UserError: If an output has the wrong suffix or place.
    """
    from ondes.audio import FORMATS, check_output  # noqa: PLC0415

    if count > 1:
        for place in filter(None, (output, audio)):
            if place.suffix.lower() in (*MIDI_SUFFIXES, *FORMATS) or (place.exists() and not place.is_dir()):
                raise UserError(f"-n {count} writes a folder, and {place} looks like a file; give a folder")
    elif output.suffix.lower() not in MIDI_SUFFIXES:
        raise UserError(f"{output} has no MIDI suffix; name it {output.stem or output}.mid")
    elif output.is_dir():
        raise UserError(f"{output} is a folder; give the name of a file, or -n above 1")
    if audio is not None and count == 1:
        check_output(audio)


def open_score(path: Path | None) -> symusic.core.ScoreTick | None:
    """The score to work on, after saying what had to be repaired."""
    from ondes.score import read_score_with_report  # noqa: PLC0415

    if path is None:
        return None
    score, report = read_score_with_report(path)
    if report:
        complain(f"{path}: {report}")
    return score


def run(
    order: Order, score: symusic.core.ScoreTick | None, pipeline: AnyComposer, *, label: str
) -> list[symusic.core.ScoreTick]:
    """The scores of an order, with a progress bar."""
    with rendering.timed() as elapsed_s, counting_notes(label) as report:
        made = composed(order, score, pipeline, report)
    notes = sum(one.note_num() for one in made)
    say(f"{label}: {notes} notes in {clock(elapsed_s())}")
    return made


@contextmanager
def _made(
    order: Order,
    score: symusic.core.ScoreTick | None,
    pipeline: AnyComposer,
    names: list[str],
    folder: Path,
) -> Iterator[tuple[Path, dict[str, str]]]:
    """Compose into a folder that replaces what is in `folder` at the end; gives it, and hashes by file name."""
    with staged(folder) as staging:
        label = names[0] if len(names) == 1 else f"{len(names)} scores"
        yield staging, write_scores(run(order, score, pipeline, label=label), names, staging)


def _play(
    scores: list[Path], audio: Path, synthesiser: str, order: Order, threads: int | None, *, sidecar: bool
) -> None:
    """Play scores into one file, or into a folder."""
    pipeline = rendering.load_pipeline(synthesiser, threads)
    settings = Settings(order.choices["seed"], None, None, None, threads)
    for score, path in zip(
        scores, _audio_files([one.name for one in scores], audio, order.count), strict=True
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = rendering.play_to_file(pipeline, rendering.open_notes(score), settings, path, label=path.name)
        if sidecar:
            performing.describe(
                path.parent,
                pipeline=pipeline,
                score=performing.score_source(score, path.parent),
                model=synthesiser,
                settings=settings,
                output=made,
            ).write(_audio_record(path))


def _audio_files(names: list[str], audio: Path, count: int) -> list[Path]:
    """Where the sound of each score goes: into one file, or into a folder."""
    return [audio] if count == 1 else [audio / f"{Path(name).stem}.wav" for name in names]


def _audio_record(path: Path) -> Path:
    """Where the record of a played score goes; `piece.json` is the composition's."""
    return path.with_name(f"{path.name}.json")
