"""The task of giving every note of a score its part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ondes.tasks.bench import Workbench
from ondes.tasks.task import ModelName, Outcome, Reference, ReferenceField, Source, Steps, Task

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
        Literal["diffusion", "classifier"], Field(description="classifier: each note by itself, all at once.")
    ] = "diffusion"
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
    model: ModelName = "separate-small"
    report: Annotated[bool, Field(description="Write a page of the alternatives, too.")] = False

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
        raise NotImplementedError
