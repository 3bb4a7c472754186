"""How `separate` and `replay` turn an order into files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ondes.cli import composing, rendering
from ondes.cli.console import clock, complain, counting_notes, say, waiting
from ondes.cli.threads import use_threads
from ondes.errors import UserError
from ondes.sidecar import Settings, replaceable
from ondes.tasks import performing
from ondes.tasks.audio_writing import MIX_FILE, staged
from ondes.tasks.composing import Order, output_names, write_scores
from ondes.tasks.separating import (
    check_score,
    check_wishes,
    describe,
    doubled_notes,
    separated,
    shares,
    silent_parts,
)
from ondes.tasks.threads import SYMBOLIC

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.separation import Separation
    from ondes.pipelines.separation_opening import AnySeparator

DEFAULT_SYNTHESISER = performing.DEFAULT_MODEL
STEMS_RECORD = Path(MIX_FILE).with_suffix(".json").name


def load_separator(model: str, threads: int | None) -> AnySeparator:
    """A separator by bundled name, folder or Hub id, after telling torch how many threads it may use.

    Raises:
        UserError: If there is no such model, or its weights are damaged.
    """
    with waiting(f"Loading {model}"):
        from ondes.pipelines.separation_opening import open_separator  # noqa: PLC0415

        use_threads(threads, usual=SYMBOLIC)
        return open_separator(model)


def carry_out(
    order: Order,
    output: Path,
    *,
    model: str,
    threads: int | None,
    sidecar: bool,
    report: Path | None,
    audio: Path | None,
    synthesiser: str,
) -> None:
    """Write the parts of an order, and their record, page and audio; all that can be wrong is looked at first.

    Raises:
        UserError: If anything that was asked for cannot be done.
    """
    assert order.score is not None
    names = output_names(output, order.count)
    folder = output if order.count > 1 else output.parent
    _check_places(output, order, report, audio)
    beside = composing.score_record(output, order.count, "separation") if sidecar else None
    if sidecar and audio is not None:
        for place in _stem_folders(names, audio, order.count):
            replaceable(place / STEMS_RECORD, option="--audio")
    check_wishes(order)
    score = composing.open_score(order.score)
    check_score(score)
    pipeline = load_separator(model, threads)
    made = _separated(
        order, score, pipeline, label=names[0] if len(names) == 1 else f"{len(names)} alternatives"
    )
    _tell(made)
    with staged(folder) as staging:
        written = write_scores(made.scores, names, staging)
        if beside is not None:
            source = performing.score_source(order.score, folder)
            known = order.choices.get("given")
            given = None if known is None else performing.score_source(Path(known), folder)
            describe(order, source, given, pipeline, model, folder, written).write(staging / beside.name)
    if report is not None:
        from ondes.tasks.separation_page import write_page  # noqa: PLC0415

        assert score is not None
        write_page(report, order.score.name, score, made)
        say(f"{report}: {len(made.scores)} alternatives, their rolls and how sure each note is")
    if audio is not None:
        _play([folder / name for name in names], audio, synthesiser, order, threads, sidecar=sidecar)


def _check_places(output: Path, order: Order, report: Path | None, audio: Path | None) -> None:
    """Refuse what cannot be written.

    Raises:
        UserError: If an output has the wrong suffix or place, or would replace the score.
    """
    from ondes.audio import FORMATS  # noqa: PLC0415

    composing.check_places(output, order.count, None)
    if order.score is not None and output.exists() and order.score.exists() and output.samefile(order.score):
        raise UserError(f"{output} is the score itself; pass another -o")
    if report is not None and (report.suffix.lower() not in (".html", ".htm") or report.is_dir()):
        raise UserError(f"{report} has no HTML suffix; name it {report.stem or report}.html")
    if audio is not None and (audio.suffix.lower() in FORMATS or (audio.exists() and not audio.is_dir())):
        raise UserError(
            f"--audio names a folder of stems, and {audio} looks like a file; pass --audio {audio.stem}/"
        )


def run(
    order: Order, score: symusic.core.ScoreTick | None, pipeline: AnySeparator, *, label: str
) -> list[symusic.core.ScoreTick]:
    """The alternatives of an order, with a progress bar."""
    return _separated(order, score, pipeline, label=label).scores


def _separated(
    order: Order, score: symusic.core.ScoreTick | None, pipeline: AnySeparator, *, label: str
) -> Separation:
    with rendering.timed() as elapsed_s, counting_notes(label) as progress:
        made = separated(order, score, pipeline, progress)
    say(f"{label}: {len(made.notes)} notes in {len(made.parts)} parts in {clock(elapsed_s())}")
    return made


def _tell(made: Separation) -> None:
    """What each part of the likeliest alternative has got."""
    say(shares(made))
    if several := doubled_notes(made):
        say(f"notes that play in several parts: {several}")
    if silent := silent_parts(made):
        complain(f"no notes for {', '.join(silent)}")


def _play(
    scores: list[Path], audio: Path, synthesiser: str, order: Order, threads: int | None, *, sidecar: bool
) -> None:
    """Play each alternative into a folder of stems: the one named, or one inside it."""
    pipeline = rendering.load_pipeline(synthesiser, threads)
    settings = Settings(order.choices["seed"], None, None, None, threads, stems=True)
    folders = _stem_folders([score.name for score in scores], audio, order.count)
    for score, folder in zip(scores, folders, strict=True):
        with staged(folder) as staging:
            made = rendering.play_to_stems(
                pipeline, rendering.open_notes(score), settings, staging, label=score.name
            )
            if sidecar:
                performing.describe(
                    folder,
                    pipeline=pipeline,
                    score=performing.score_source(score, folder),
                    model=synthesiser,
                    settings=settings,
                    output=made,
                ).write(staging / STEMS_RECORD)


def _stem_folders(names: list[str], audio: Path, count: int) -> list[Path]:
    """Where the stems of each alternative go: into the folder named, or into one inside it."""
    return [audio] if count == 1 else [audio / Path(name).stem for name in names]
