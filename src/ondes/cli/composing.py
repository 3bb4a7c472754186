"""How `compose` and `replay` turn an order into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.cli import rendering
from ondes.cli.composition import Composition, is_composition
from ondes.cli.console import clock, complain, counting_notes, say, waiting
from ondes.cli.threads import SYMBOLIC, use_threads
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Settings, Source, current_versions

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.composer import ComposerPipeline

DEFAULT_MODEL = "compose-small"
DEFAULT_SYNTHESISER = rendering.DEFAULT_MODEL
MIDI_SUFFIXES = (".mid", ".midi")


@dataclass(frozen=True)
class Order:
    """What to compose.

    Attributes:
        verb: Of the pipeline: "generate", "extend", "infill" or "vary".
        score: The file to work on; None for new pieces.
        count: How many scores.
        choices: Keyword arguments of the verb, all of them JSON.
    """

    verb: str
    score: Path | None
    count: int
    choices: dict[str, Any]


def load_composer(model: str, threads: int | None) -> ComposerPipeline:
    """A composer by bundled name, folder or Hub id, after telling torch how many threads it may use.

    Raises:
        UserError: If there is no such model, or its weights are damaged.
    """
    with waiting(f"Loading {model}"):
        from ondes.pipelines.composer import ComposerPipeline  # noqa: PLC0415

        use_threads(threads, usual=SYMBOLIC)
        return ComposerPipeline.from_pretrained(model)


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
    beside = folder / f"{output.stem if order.count == 1 else 'composition'}.json" if sidecar else None
    check_places(output, order.count, beside, audio)
    _check_wishes(order)
    given = open_score(order.score)
    pipeline = load_composer(model, threads)
    with _made(order, given, pipeline, names, folder) as (staging, written):
        if beside is not None:
            source = None if order.score is None else rendering.score_source(order.score, folder)
            _describe(order, source, pipeline, model, folder, written).write(staging / beside.name)
    if audio is not None:
        _play([folder / name for name in names], audio, synthesiser, order, threads, sidecar=sidecar)


def output_names(output: Path, count: int) -> list[str]:
    """File names of the scores of an order."""
    width = max(2, len(str(count)))
    return [output.name] if count == 1 else [f"{number:0{width}}.mid" for number in range(1, count + 1)]


def check_places(output: Path, count: int, sidecar: Path | None, audio: Path | None) -> None:
    """Refuse what cannot be written.

    Raises:
        UserError: If an output has the wrong suffix or place, or would replace somebody's own file.
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
    if sidecar is not None and sidecar.exists() and not is_composition(sidecar):
        raise UserError(
            f"{sidecar} exists and is not a composition of ondes; pass --no-sidecar or another -o"
        )
    if audio is not None and count == 1:
        check_output(audio)


def _check_wishes(order: Order) -> None:
    """Read key, metre and so on before a model is loaded for nothing.

    Raises:
        UserError: If one of them makes no sense.
    """
    from ondes.pipelines.composer_wishes import WISHES, parse_wishes  # noqa: PLC0415

    parse_wishes(**{name: value for name, value in order.choices.items() if name in WISHES})


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
    order: Order, score: symusic.core.ScoreTick | None, pipeline: ComposerPipeline, *, label: str
) -> list[symusic.core.ScoreTick]:
    """The scores of an order, with a progress bar."""
    choices: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in order.choices.items()
    }
    with rendering.timed() as elapsed_s, counting_notes(label) as report:
        if score is None:
            made = pipeline.generate(order.count, progress=report, **choices)
        else:
            verb: Callable[..., list[symusic.core.ScoreTick]] = getattr(pipeline, order.verb)
            made = verb([score] * order.count, progress=report, **choices)
    notes = sum(one.note_num() for one in made)
    say(f"{label}: {notes} notes in {clock(elapsed_s())}")
    return made


@contextmanager
def _made(
    order: Order,
    score: symusic.core.ScoreTick | None,
    pipeline: ComposerPipeline,
    names: list[str],
    folder: Path,
) -> Iterator[tuple[Path, dict[str, str]]]:
    """Compose into a folder that replaces what is in `folder` at the end; gives it, and hashes by file name."""
    with rendering.staged(folder) as staging:
        label = names[0] if len(names) == 1 else f"{len(names)} scores"
        written = {}
        for name, made in zip(names, run(order, score, pipeline, label=label), strict=True):
            (staging / name).write_bytes(made.dumps_midi())
            written[name] = file_sha256(staging / name)
        yield staging, written


def _describe(
    order: Order,
    source: Source | None,
    pipeline: ComposerPipeline,
    model: str,
    folder: Path,
    written: dict[str, str],
) -> Composition:
    """How the scores were made, with what was left to the model filled in."""
    import torch  # noqa: PLC0415

    from ondes.sidecar import portable_name  # noqa: PLC0415

    local = Path(model).is_dir() and not rendering.is_bundled(model)
    return Composition(
        verb=order.verb,
        count=order.count,
        choices=pipeline.defaults() | order.choices,
        threads=torch.get_num_threads(),
        score=source,
        model=Source(portable_name(Path(model), folder) if local else model, pipeline.model_hash),
        outputs=written,
        versions=current_versions(),
    )


def _play(
    scores: list[Path], audio: Path, synthesiser: str, order: Order, threads: int | None, *, sidecar: bool
) -> None:
    """Play scores into one file, or into a folder."""
    pipeline = rendering.load_pipeline(synthesiser, threads)
    settings = Settings(order.choices["seed"], None, None, None, threads)
    for score in scores:
        path = audio if order.count == 1 else audio / f"{score.stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = rendering.play_to_file(pipeline, rendering.open_notes(score), settings, path, label=path.name)
        if sidecar:
            rendering.describe(
                path.parent,
                pipeline=pipeline,
                score=rendering.score_source(score, path.parent),
                model=synthesiser,
                settings=settings,
                output=made,
            ).write(rendering.check_sidecar(path.with_name(f"{path.name}.json")))
