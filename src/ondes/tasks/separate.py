"""The task of giving every note of a score its part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ondes.errors import UserError
from ondes.tasks import composing, separating
from ondes.tasks.bench import Workbench
from ondes.tasks.composing import Order
from ondes.tasks.task import RECORD, Made, ModelName, Outcome, Reference, ReferenceField, Source, Steps, Task
from ondes.tasks.threads import SYMBOLIC, computing_with
from ondes.tasks.working import at_work, opened, recorded, remarks

Most = Annotated[int, Field(ge=0, le=10_000)]


class Separate(Task):
    """Give every note of a score its part, as `ondes separate` does.

    Writes `parts.mid`, or `01.mid` and so on for several alternatives, and with `report` the page `report.html`.
    """

    kind: Literal["separate"] = "separate"
    score: ReferenceField
    into: Annotated[
        str | None,
        Field(max_length=2000, description="string quartet, band, or a list: violin 1, violin 2, cello."),
    ] = None
    given: Annotated[
        str | None,
        Field(min_length=1, max_length=4096, description="A score with some of the notes in their parts."),
    ] = None
    keep: Annotated[bool, Field(description="Tracks whose instrument is asked for keep their notes.")] = False
    n: Annotated[int, Field(ge=1, le=1000, description="How many alternatives.")] = 1
    method: Annotated[
        Literal["auto", "diffusion", "classifier"],
        Field(description="classifier: each note by itself, all at once; auto: where no part is known."),
    ] = "auto"
    steps: Steps = None
    temperature: Annotated[
        float | None,
        Field(
            ge=0,
            le=5,
            allow_inf_nan=False,
            description="Of all alternatives; if missing the first is the likeliest.",
        ),
    ] = None
    allow_doubling: Annotated[bool, Field(description="A note may play in several parts.")] = False
    ranges: Annotated[bool, Field(description="Parts keep to their compass.")] = False
    polyphony: Annotated[
        Most | Annotated[tuple[Most, ...], Field(min_length=1, max_length=1000)] | None,
        Field(description="Most notes at once in each part, or in each of into in turn; 0 for any number."),
    ] = None
    no_crossing: Annotated[bool, Field(description="Higher parts stay higher.")] = False
    playable_hands: Annotated[
        bool, Field(description="Hands of keyboards keep to five fingers and a tenth.")
    ] = False
    model: ModelName = separating.DEFAULT_MODEL
    report: Annotated[bool, Field(description="Write a page of the alternatives, too.")] = False

    @field_validator("into")
    @classmethod
    def _makes_sense(cls, text: str | None) -> str | None:
        from ondes.pipelines.separation_parts import asked  # noqa: PLC0415

        try:
            asked(text)
        except UserError as error:
            raise ValueError(str(error)) from None
        return text

    def references(self) -> dict[str, Reference]:
        """The score, and the one with known parts if there is one."""
        named = {"score": self.score, "given": self.given}
        return {name: Reference(one, "score") for name, one in named.items() if one is not None}

    def models(self) -> tuple[str, ...]:
        """The model."""
        return (self.model,)

    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        """See `Task.run`."""
        from ondes.tasks.separation_page import write_page  # noqa: PLC0415

        source, given = sources["score"], sources["given"] if self.given is not None else None
        order = Order(separating.VERB, source.path, self.n, self._choices(given))
        names = composing.output_names(Path(f"{stem or 'parts'}.mid"), self.n)
        record, page = f"{stem}.json" if stem else RECORD, f"{stem or 'report'}.html"
        with remarks() as odd, computing_with(SYMBOLIC):
            separating.check_wishes(order)
            score = opened(source, odd)
            separating.check_score(score)
            pipeline = bench.shelf.pipeline("separator", self.model)
            with at_work(self, sources, bench, pipeline) as progress:
                made = separating.separated(order, score, pipeline, progress)
            odd.extend(f"no notes for {name}" for name in separating.silent_parts(made))
            written = composing.write_scores(made.scores, names, folder)
            if self.report:
                write_page(folder / page, Path(source.name).name, score, made)
            known = None if given is None else recorded(given)
            home = bench.home or folder
            told = separating.describe(order, recorded(source), known, pipeline, self.model, home, written)
            told.write(folder / record)
        files = [*(Made(name, "score") for name in names), *([Made(page, "page")] if self.report else [])]
        return Outcome([*files, Made(record, "record")], odd)

    def _choices(self, given: Source | None) -> dict[str, Any]:
        """The options as keyword arguments of the pipeline, all of them JSON."""
        names = ["into", "method", "steps", "temperature", "seed", "polyphony"]
        flags = ["keep", "allow_doubling", "ranges", "no_crossing", "playable_hands"]
        chosen = self.model_dump(mode="json", include={*names, *flags}, exclude_none=True)
        if given is not None:
            chosen["given"] = str(given.path)
        return {name: value for name, value in chosen.items() if name not in flags or value}
