"""What the tasks that make and edit audio have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ondes.tasks.bench import Workbench
from ondes.tasks.task import AudioFormat, Guidance, ModelName, Outcome, Source, Steps, Task, VocoderName

Style = Annotated[str, Field(min_length=1, max_length=200)]
Strength = Annotated[
    float,
    Field(ge=0, le=1, description="0 gives the input back, 1 leaves nothing of it; 0.2 to 0.6 are useful."),
]
Loudness = Annotated[
    float | None,
    Field(
        ge=-70,
        le=0,
        allow_inf_nan=False,
        description="Loudness of the result in LUFS, -24 to -12 are usual; as the model makes it if missing.",
    ),
]


class AudioTask(Task):
    """Make or edit audio. Writes `audio.FORMAT`, or `01.FORMAT` and so on, each with a record."""

    n: Annotated[int, Field(ge=1, le=10_000, description="How many, each with the next seed.")] = 1
    steps: Steps = None
    sampler: Annotated[
        Literal["euler", "heun", "dpm++", "unipc"] | None,
        Field(description="How the steps are taken; the model's if missing."),
    ] = None
    guidance_scale: Guidance = None
    temperature: Annotated[
        float | None,
        Field(ge=0, le=2, allow_inf_nan=False, description="Variety; the model's if missing."),
    ] = None
    style: Annotated[tuple[Style, ...], Field(max_length=100, description="Some of the model's styles.")] = ()
    model: ModelName = "audio-small"
    vocoder: VocoderName = None
    format: AudioFormat = "wav"

    def models(self) -> tuple[str, ...]:
        """Model and vocoder."""
        return tuple(filter(None, (self.model, self.vocoder)))

    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        """See `Task.run`."""
        raise NotImplementedError
