"""How a score is played as a person chose, and what a record of it says."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.sidecar import Output, Settings, Sidecar, Source, current_versions, portable_name

if TYPE_CHECKING:
    from ondes.pipelines.opening import Player

DEFAULT_MODEL = "synth-small"
BUNDLED_PREFIX = "bundled:"
"""How a sidecar marks a score that comes with the package."""


def parse_interval(text: str) -> tuple[float, float]:
    """Two diffusion times in one word: `0.1-0.8`.

    Raises:
        UserError: If it is not two numbers from 0 to 1 that rise.
    """
    match = re.fullmatch(r"([\d.]+)-([\d.]+)", text.strip())
    try:
        low, high = (float(number) for number in match.groups()) if match else (1.0, 0.0)
    except ValueError:
        low, high = 1.0, 0.0
    if not 0 <= low <= high <= 1:
        raise UserError(
            f"{text!r} is no guidance interval; two rising times from 0 (music) to 1 (noise) are, as in 0.1-0.8"
        )
    return low, high


def choices(pipeline: Player, settings: Settings, *, verb: str = "stream") -> dict[str, Any]:
    """The settings as keyword arguments of one of the pipeline's verbs.

    Raises:
        UserError: If the model has no such verb, or no such setting.
    """
    play = getattr(pipeline, verb, None)
    if play is None:
        raise UserError("this model plays all parts of a score at once; leave out stems")
    chosen = {
        "seed": settings.seed,
        "steps": settings.steps,
        "sampler": settings.sampler,
        "guidance_scale": settings.guidance_scale,
    }
    takers = inspect.signature(play).parameters.values()
    interval = settings.guidance_interval and parse_interval(settings.guidance_interval)
    for name, value in {
        "temperature": settings.temperature,
        "guidance_interval": interval,
        "continuation": settings.continuation,
    }.items():
        if value is None:
            continue
        if not any(taker.name == name or taker.kind is taker.VAR_KEYWORD for taker in takers):
            raise UserError(
                f"this model has no {name.replace('_', ' ')}; leave it out, or choose another model"
            )
        chosen[name] = value
    return chosen


def score_source(score: Path, folder: Path) -> Source:
    """How a sidecar in `folder` refers to a score."""
    return Source(portable_name(score, folder), file_sha256(score))


def is_bundled(model: str) -> bool:
    """Whether the name means a model of the package, which comes before any folder of the same name."""
    from ondes.pipelines.bundled import bundled_models  # noqa: PLC0415

    return model in {bundled.name for bundled in bundled_models()}


def describe(
    folder: Path,
    *,
    pipeline: Player,
    score: Source,
    model: str,
    settings: Settings,
    output: Output,
) -> Sidecar:
    """How a rendering was made, with every choice that was left to the model filled in.

    Args:
        folder: Where the sidecar will lie.
        pipeline: The model that played.
        score: What it played.
        model: What the person called the model.
        settings: What the person chose.
        output: What was written.
    """
    import torch  # noqa: PLC0415

    steps = settings.steps or pipeline.steps_for(settings.sampler)
    vocoder = settings.vocoder and portable(settings.vocoder, folder)
    return Sidecar(
        score=score,
        model=Source(portable(model, folder), pipeline.model_hash),
        settings=replace(settings, steps=steps, threads=torch.get_num_threads(), vocoder=vocoder),
        output=output,
        versions=current_versions(pipeline.packages),
    )


def portable(model: str, folder: Path) -> str:
    """How a sidecar in `folder` names a model or vocoder: a bundled name or Hub id stays as it is."""
    return portable_name(Path(model), folder) if Path(model).exists() and not is_bundled(model) else model
