"""How an order becomes the parts of a score, and what a record of them says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Source
from ondes.tasks import composing
from ondes.tasks.composing import Order
from ondes.tasks.composition import Composition

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.separation import Separation
    from ondes.pipelines.separation_opening import AnySeparator

VERB = "separate"
"""In records, beside the verbs of the composer."""
DEFAULT_MODEL = "separate-small"


def check_wishes(order: Order) -> None:
    """Read the parts and the known score before a model is loaded for nothing.

    Raises:
        UserError: If they make no sense.
    """
    from ondes.pipelines.separation_parts import asked  # noqa: PLC0415
    from ondes.score import read_score  # noqa: PLC0415

    asked(order.choices.get("into"))
    if (given := order.choices.get("given")) is not None and not read_score(Path(given)).note_num():
        raise UserError(f"{given} has no notes, so no part is known from it; give another, or none")


def check_score(score: symusic.core.ScoreTick | None) -> None:
    """Refuse a score without notes before a model is loaded for nothing.

    Raises:
        UserError: If it has none.
    """
    from ondes.pipelines.separation_notes import notes_to_separate  # noqa: PLC0415

    if score is not None:
        notes_to_separate(score)


def separated(
    order: Order,
    score: symusic.core.ScoreTick | None,
    pipeline: AnySeparator,
    progress: Callable[[float, float], None],
) -> Separation:
    """The alternatives of an order; the progress is in notes.

    Raises:
        UserError: If it cannot be done.
    """
    from ondes.pipelines.mixture2music import Mixture2MusicPipeline  # noqa: PLC0415

    choices = dict(order.choices)
    if "sampler" in choices and not isinstance(pipeline, Mixture2MusicPipeline):
        raise UserError(
            f"this model labels notes and has no sampler {choices['sampler']!r}; leave that out, or choose a model of "
            "rolls (Mixture2Music)"
        )
    if "given" in choices:
        choices["given"] = Path(choices["given"])
    return pipeline(score, n=order.count, progress=progress, **choices)


def shares(made: Separation) -> str:
    """What each part of the likeliest alternative has got."""
    counts = Counter(made.labels[0].tolist())
    rows = []
    for index, part in enumerate(made.parts):
        own = made.confidences[0][made.labels[0] == index]
        rows.append(f"{part.name} {counts[index]}" + (f" ({own.mean():.0%} sure)" if len(own) else ""))
    return ", ".join(rows)


def silent_parts(made: Separation) -> list[str]:
    """Names of the parts of the likeliest alternative that have got no note."""
    counts = Counter(made.labels[0].tolist())
    return [part.name for index, part in enumerate(made.parts) if not counts[index]]


def doubled_notes(made: Separation) -> int:
    """How many notes of the likeliest alternative play in several parts."""
    return int(made.doubled[0].any(1).sum())


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


def describe(
    order: Order,
    source: Source,
    given: Source | None,
    pipeline: AnySeparator,
    model: str,
    folder: Path,
    written: dict[str, str],
) -> Composition:
    """How the parts were made; `given` is the score with known parts. See `composing.describe`."""
    choices = dict(order.choices)
    if given is not None:
        choices["given"] = {"name": given.name, "sha256": given.sha256}
    told = Order(order.verb, order.score, order.count, choices)
    return composing.describe(told, source, pipeline, model, folder, written)
