"""How `separate` and `replay` turn an order into parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.cli import composing, rendering
from ondes.cli.composing import Order
from ondes.cli.composition import Composition
from ondes.cli.console import clock, complain, counting_notes, say, waiting
from ondes.cli.threads import SYMBOLIC, use_threads
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Settings, Source, current_versions, portable_name

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.separation import Separation
    from ondes.pipelines.separation_opening import AnySeparator

VERB = "separate"
"""In records, beside the verbs of the composer."""
DEFAULT_MODEL = "separate-small"
DEFAULT_SYNTHESISER = rendering.DEFAULT_MODEL


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
    names = composing.output_names(output, order.count)
    folder = output if order.count > 1 else output.parent
    beside = folder / f"{output.stem if order.count == 1 else 'separation'}.json" if sidecar else None
    _check_places(output, order, beside, report, audio)
    _check_wishes(order)
    score = composing.open_score(order.score)
    pipeline = load_separator(model, threads)
    made = _separated(
        order, score, pipeline, label=names[0] if len(names) == 1 else f"{len(names)} alternatives"
    )
    _tell(made)
    with rendering.staged(folder) as staging:
        written = {}
        for name, one in zip(names, made.scores, strict=True):
            (staging / name).write_bytes(one.dumps_midi())
            written[name] = file_sha256(staging / name)
        if beside is not None:
            _describe(order, pipeline, model, folder, written).write(staging / beside.name)
    if report is not None:
        from ondes.cli.separation_page import write_page  # noqa: PLC0415

        assert score is not None
        write_page(report, order.score.name, score, made)
        say(f"{report}: {len(made.scores)} alternatives, their rolls and how sure each note is")
    if audio is not None:
        _play([folder / name for name in names], audio, synthesiser, order, threads, sidecar=sidecar)


def _check_places(
    output: Path, order: Order, sidecar: Path | None, report: Path | None, audio: Path | None
) -> None:
    """Refuse what cannot be written.

    Raises:
        UserError: If an output has the wrong suffix or place, or would replace the score or somebody's own file.
    """
    from ondes.audio import FORMATS  # noqa: PLC0415

    composing.check_places(output, order.count, sidecar, None)
    if order.score is not None and output.exists() and order.score.exists() and output.samefile(order.score):
        raise UserError(f"{output} is the score itself; pass another -o")
    if report is not None and (report.suffix.lower() not in (".html", ".htm") or report.is_dir()):
        raise UserError(f"{report} has no HTML suffix; name it {report.stem or report}.html")
    if audio is not None and (audio.suffix.lower() in FORMATS or (audio.exists() and not audio.is_dir())):
        raise UserError(
            f"--audio names a folder of stems, and {audio} looks like a file; pass --audio {audio.stem}/"
        )


def _check_wishes(order: Order) -> None:
    """Read the parts and the known score before a model is loaded for nothing.

    Raises:
        UserError: If they make no sense.
    """
    from ondes.pipelines.separation_parts import asked  # noqa: PLC0415
    from ondes.score import read_score  # noqa: PLC0415

    asked(order.choices.get("into"))
    if (given := order.choices.get("given")) is not None and not read_score(Path(given)).note_num():
        raise UserError(f"{given} has no notes, so no part is known from it; leave out --given")


def run(
    order: Order, score: symusic.core.ScoreTick | None, pipeline: AnySeparator, *, label: str
) -> list[symusic.core.ScoreTick]:
    """The alternatives of an order, with a progress bar."""
    return _separated(order, score, pipeline, label=label).scores


def _separated(
    order: Order, score: symusic.core.ScoreTick | None, pipeline: AnySeparator, *, label: str
) -> Separation:
    choices = dict(order.choices)
    if "given" in choices:
        choices["given"] = Path(choices["given"])
    with rendering.timed() as elapsed_s, counting_notes(label) as progress:
        made = pipeline(score, n=order.count, progress=progress, **choices)
    say(f"{label}: {len(made.notes)} notes in {len(made.parts)} parts in {clock(elapsed_s())}")
    return made


def _tell(made: Separation) -> None:
    """What each part of the likeliest alternative has got."""
    counts = Counter(made.labels[0].tolist())
    rows = []
    for index, part in enumerate(made.parts):
        own = made.confidences[0][made.labels[0] == index]
        rows.append(f"{part.name} {counts[index]}" + (f" ({own.mean():.0%} sure)" if len(own) else ""))
    say(", ".join(rows))
    silent = [part.name for index, part in enumerate(made.parts) if not counts[index]]
    if silent:
        complain(f"no notes for {', '.join(silent)}")


def choices_of(record: Composition, folder: Path) -> dict[str, Any]:
    """Keyword arguments of a recorded separation; a known score is looked for beside the record.

    Raises:
        UserError: If the known score is gone or has changed.
    """
    choices = dict(record.choices)
    given = choices.get("given")
    if given is None:
        return choices
    path = folder / given["name"]
    if not path.is_file() or file_sha256(path) != given["sha256"]:
        raise UserError(f"the known parts {path} are gone or have changed; put the file back")
    return {**choices, "given": str(path)}


def _describe(
    order: Order, pipeline: AnySeparator, model: str, folder: Path, written: dict[str, str]
) -> Composition:
    """How the parts were made, with what was left to the model filled in."""
    import torch  # noqa: PLC0415

    assert order.score is not None
    choices = pipeline.defaults() | order.choices
    if "given" in choices:
        source = rendering.score_source(Path(choices["given"]), folder)
        choices["given"] = {"name": source.name, "sha256": source.sha256}
    local = Path(model).is_dir() and not rendering.is_bundled(model)
    return Composition(
        verb=order.verb,
        count=order.count,
        choices=choices,
        threads=torch.get_num_threads(),
        score=rendering.score_source(order.score, folder),
        model=Source(portable_name(Path(model), folder) if local else model, pipeline.model_hash),
        outputs=written,
        versions=current_versions(),
    )


def _play(
    scores: list[Path], audio: Path, synthesiser: str, order: Order, threads: int | None, *, sidecar: bool
) -> None:
    """Play each alternative into a folder of stems: the one named, or one inside it."""
    pipeline = rendering.load_pipeline(synthesiser, threads)
    settings = Settings(order.choices["seed"], None, None, None, threads, stems=True)
    for score in scores:
        folder = audio if order.count == 1 else audio / score.stem
        beside = rendering.check_sidecar(folder / "mix.json") if sidecar else None
        with rendering.staged(folder) as staging:
            made = rendering.play_to_stems(
                pipeline, rendering.open_notes(score), settings, staging, label=score.name
            )
            if beside is not None:
                rendering.describe(
                    folder,
                    pipeline=pipeline,
                    score=rendering.score_source(score, folder),
                    model=synthesiser,
                    settings=settings,
                    output=made,
                ).write(staging / beside.name)
