"""How an order becomes new scores, and what a record of them says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Source, current_versions
from ondes.tasks.composition import Composition
from ondes.tasks.performing import portable

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.composer_opening import AnyComposer

DEFAULT_MODEL = "compose-small"
MIDI_SUFFIXES = (".mid", ".midi")

BELONGS = {
    "notes": ("generate", "extend"),
    "bars": ("generate", "extend", "infill"),
    "tempo": ("generate",),
    "metre": ("generate",),
    "ensemble": ("generate", "infill"),
    "track": ("infill",),
    "strength": ("vary",),
    "keep": ("vary",),
}
"""Which verbs an option has a meaning for, where not for all."""

DONE = {
    "generate": "write new pieces",
    "extend": "continue scores",
    "infill": "fill in bars or parts",
    "vary": "write variations",
}
"""What the verbs do."""


@dataclass(frozen=True)
class Order:
    """What to compose or separate.

    Attributes:
        verb: Of the pipeline: "generate", "extend", "infill" or "vary"; "separate" of a separator.
        score: The file to work on; None for new pieces.
        count: How many scores.
        choices: Keyword arguments of the verb, all of them JSON.
    """

    verb: str
    score: Path | None
    count: int
    choices: dict[str, Any]


def check_choices(verb: str, given: Collection[str], words: Mapping[str, str]) -> None:
    """Refuse options without a meaning, that contradict each other, or that are missing.

    Args:
        verb: What is asked for.
        given: Those options among `BELONGS` that are.
        words: How people say the options and the verbs.

    Raises:
        UserError: If there are such.
    """
    for name in sorted(given):
        if verb not in BELONGS[name]:
            where = " or ".join(words[other] for other in BELONGS[name])
            own = name in ("tempo", "metre", "ensemble")
            stays = " keeps the score's own" if own else " takes none"
            raise UserError(
                f"{words[name]} belongs to {where}; {words[verb]}{stays}, so leave out {words[name]}"
            )
    bars, track = words["bars"], words["track"]
    if verb == "infill" and not {"bars", "track"} & set(given):
        raise UserError(f"{words[verb]} needs to know what: add {bars} 9-12, or {track} 2, or both")
    if verb == "infill" and "ensemble" in given and "track" not in given:
        raise UserError(
            f"{words['ensemble']} names the instrument of a new part; add {track} with its number, or leave it out"
        )
    if {"notes", "bars"} <= set(given):
        raise UserError(f"{words['notes']} and {bars} both say how long; give one of them")


def output_names(output: Path, count: int) -> list[str]:
    """File names of the scores of an order."""
    width = max(2, len(str(count)))
    return [output.name] if count == 1 else [f"{number:0{width}}.mid" for number in range(1, count + 1)]


def check_wishes(order: Order) -> None:
    """Read key, metre and so on before a model is loaded for nothing.

    Raises:
        UserError: If one of them makes no sense.
    """
    from ondes.pipelines.composer_wishes import WISHES, parse_wishes  # noqa: PLC0415

    parse_wishes(**{name: value for name, value in order.choices.items() if name in WISHES})


def check_model(order: Order, pipeline: Any) -> None:
    """Refuse what a model cannot do, as some only write new pieces of one kind.

    Raises:
        UserError: If there is such.
    """
    if order.verb not in pipeline.verbs:
        able = " and ".join(DONE[verb] for verb in pipeline.verbs)
        raise UserError(
            f"this model cannot {DONE[order.verb]}, only {able}; choose another model, such as {DEFAULT_MODEL}"
        )
    unknown = [name for name in order.choices if name not in getattr(pipeline, "choices", order.choices)]
    if unknown:
        raise UserError(
            f"this model was told nothing of {' and '.join(name.replace('_', ' ') for name in unknown)} in training; "
            f"leave that out, or choose another model, such as {DEFAULT_MODEL}"
        )


def composed(
    order: Order,
    score: symusic.core.ScoreTick | None,
    pipeline: AnyComposer,
    progress: Callable[[float, float], None],
) -> list[symusic.core.ScoreTick]:
    """The scores of an order; the progress is in notes.

    Raises:
        UserError: If it cannot be done, or the model never learned what is asked for.
    """
    check_model(order, pipeline)
    choices: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in order.choices.items()
    }
    if score is None:
        return pipeline.generate(order.count, progress=progress, **choices)
    verb: Callable[..., list[symusic.core.ScoreTick]] = getattr(pipeline, order.verb)
    return verb([score] * order.count, progress=progress, **choices)


def write_scores(
    scores: Sequence[symusic.core.ScoreTick], names: Sequence[str], folder: Path
) -> dict[str, str]:
    """Write scores as MIDI; gives the hashes of the files by name."""
    written = {}
    for name, score in zip(names, scores, strict=True):
        (folder / name).write_bytes(score.dumps_midi())
        written[name] = file_sha256(folder / name)
    return written


def describe(
    order: Order,
    source: Source | None,
    pipeline: Any,
    model: str,
    folder: Path,
    written: dict[str, str],
) -> Composition:
    """How scores were made, with what was left to the model filled in.

    Args:
        order: What was asked for.
        source: The score that was worked on.
        pipeline: The composer or separator.
        model: What the person called it.
        folder: Where the record will lie.
        written: As `write_scores` gives it.
    """
    import torch  # noqa: PLC0415

    return Composition(
        verb=order.verb,
        count=order.count,
        choices=pipeline.defaults() | order.choices,
        threads=torch.get_num_threads(),
        score=source,
        model=Source(portable(model, folder), pipeline.model_hash),
        outputs=written,
        versions=current_versions(),
    )
