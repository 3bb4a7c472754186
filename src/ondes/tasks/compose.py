"""The task of writing music."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ondes.errors import UserError
from ondes.tasks import composing
from ondes.tasks.bench import Workbench
from ondes.tasks.composing import Order
from ondes.tasks.task import RECORD, Guidance, Made, ModelName, Outcome, Reference, Source, Steps, Task
from ondes.tasks.threads import computing_with
from ondes.tasks.working import at_work, opened, recorded, remarks

Words = Annotated[str | None, Field(max_length=2000)]

WORDS = {name: name for name in composing.BELONGS} | {
    "generate": "a new piece",
    "extend": "the verb extend",
    "infill": "the verb infill",
    "vary": "the verb vary",
}
"""How the options and verbs are called here."""


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
    model: ModelName = composing.DEFAULT_MODEL

    @field_validator("key", "metre", "ensemble", "chords")
    @classmethod
    def _makes_sense(cls, text: str | None, info: Any) -> str | None:
        from ondes.pipelines.composer_wishes import parse_wishes  # noqa: PLC0415

        try:
            wish: dict[str, Any] = {str(info.field_name): text}
            parse_wishes(**wish)
        except UserError as error:
            raise ValueError(str(error)) from None
        return text

    @model_validator(mode="after")
    def _fits(self) -> Compose:
        if self.verb == "generate" and self.score is not None:
            raise ValueError(
                "a new piece needs no score; leave it out, or choose extend, infill or vary as verb"
            )
        if self.verb != "generate" and self.score is None:
            raise ValueError(f"{WORDS[self.verb]} works on a score, and none is given; give one as score")
        given = {name for name in composing.BELONGS if getattr(self, name) not in (None, ())}
        try:
            composing.check_choices(self.verb, given, WORDS)
        except UserError as error:
            raise ValueError(str(error)) from None
        return self._with_bars()

    def _with_bars(self) -> Compose:
        """Refuse bars that the verb has no use for."""
        if isinstance(self.bars, int):
            if self.verb == "infill":
                raise ValueError(
                    f"bars is {self.bars}: to infill the first and the last are needed, as [9, 12]"
                )
            if self.bars < 1:
                raise ValueError(
                    f"bars is {self.bars}: 1 or more is allowed; give another, or leave bars out"
                )
        elif self.bars is not None:
            first, last = self.bars
            if self.verb != "infill":
                raise ValueError(f"bars is {first} to {last}: to {self.verb} one number is allowed, as 16")
            if not 1 <= first <= last:
                raise ValueError(f"bars is {first} to {last}: they count from 1, the first before the last")
        return self

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
        source = sources.get("score") if self.score is not None else None
        order = Order(self.verb, None if source is None else source.path, self.n, self._choices())
        names = composing.output_names(Path(f"{stem or 'score'}.mid"), self.n)
        record = f"{stem}.json" if stem else RECORD
        with remarks() as odd, computing_with(bench.shelf.threads):
            score = None if source is None else opened(source, odd)
            pipeline = bench.shelf.pipeline("composer", self.model)
            with at_work(self, sources, bench, pipeline) as progress:
                written = composing.write_scores(
                    composing.composed(order, score, pipeline, progress), names, folder
                )
            told = None if source is None else recorded(source)
            made = composing.describe(order, told, pipeline, self.model, bench.home or folder, written)
            made.write(folder / record)
        return Outcome([*(Made(name, "score") for name in names), Made(record, "record")], odd)

    def _choices(self) -> dict[str, Any]:
        """The options as keyword arguments of the pipeline's verb, all of them JSON."""
        names = [
            *("notes", "bars", "key", "tempo", "metre", "ensemble", "track", "strength", "keep"),
            *("density", "style", "chords", "scale", "seed", "steps", "guidance_scale", "temperature"),
        ]
        chosen = self.model_dump(mode="json", include=set(names), exclude_none=True)
        idle = {"keep": [], "scale": "free"}
        return {name: chosen[name] for name in names if name in chosen and chosen[name] != idle.get(name)}
