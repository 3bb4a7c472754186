"""The task of writing music."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ondes.tasks.bench import Workbench
from ondes.tasks.task import Guidance, ModelName, Outcome, Reference, Source, Steps, Task

Words = Annotated[str | None, Field(max_length=2000)]


class Compose(Task):
    """Write a new piece, or go on with, fill in or vary a score, as `ondes compose` does.

    Writes `score.mid`, or `01.mid` and so on for several.
    """

    kind: Literal["compose"] = "compose"
    verb: Annotated[
        Literal["generate", "extend", "infill", "vary"],
        Field(description="A new piece, or what to do with the score."),
    ] = "generate"
    score: Annotated[
        str | None,
        Field(min_length=1, max_length=4096, description="The score to work on; none is new music."),
    ] = None
    n: Annotated[int, Field(ge=1, le=10_000, description="How many, each with the next seed.")] = 1
    notes: Annotated[int | None, Field(ge=1, le=1_000_000, description="How many new notes.")] = None
    bars: Annotated[
        int | tuple[int, int] | None,
        Field(description="How many new bars; to infill the first and the last, from 1."),
    ] = None
    key: Annotated[Words, Field(description="As D minor, F# major, Bb or Am.")] = None
    tempo: Annotated[
        float | None, Field(ge=10, le=500, allow_inf_nan=False, description="Quarter notes a minute.")
    ] = None
    metre: Annotated[Words, Field(description="As 3/4 or 6/8.")] = None
    ensemble: Annotated[Words, Field(description="As string quartet, or a list: violin, cello.")] = None
    density: Annotated[
        float | None,
        Field(gt=0, le=64, allow_inf_nan=False, description="Notes a quarter note, all parts together."),
    ] = None
    style: Annotated[Words, Field(description="One of the model's styles.")] = None
    chords: Annotated[Words, Field(description="A bar each, over and over: C | Am | F G | C.")] = None
    scale: Annotated[
        Literal["free", "strict"], Field(description="strict: no note outside the scale of the key.")
    ] = "free"
    track: Annotated[
        int | None,
        Field(ge=1, description="To infill: which part, from 1, of those with notes; one more is a new one."),
    ] = None
    strength: Annotated[
        float | None, Field(ge=0, le=1, description="To vary: the share that is made anew; 0.5 if missing.")
    ] = None
    keep: Annotated[
        tuple[Literal["rhythm", "pitch", "instruments", "velocity", "nothing"], ...],
        Field(max_length=5, description="To vary: what stays as it is."),
    ] = ()
    steps: Steps = None
    guidance_scale: Guidance = None
    temperature: Annotated[
        float | None,
        Field(ge=0, le=5, allow_inf_nan=False, description="Below 1 likelier notes; the model's if missing."),
    ] = None
    model: ModelName = "compose-small"

    def references(self) -> dict[str, Reference]:
        """The score, if one is worked on."""
        return {} if self.score is None else {"score": Reference(self.score, "score")}

    def models(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)

    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        """See `Task.run`."""
        raise NotImplementedError
