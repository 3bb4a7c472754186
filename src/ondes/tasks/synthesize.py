"""The task of playing a score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ondes.tasks.bench import Workbench
from ondes.tasks.task import (
    AudioFormat,
    Guidance,
    ModelName,
    Outcome,
    Reference,
    ReferenceField,
    Source,
    Steps,
    Task,
    VocoderName,
)


class Synthesize(Task):
    """Play a score with a diffusion model, as `ondes synth` does.

    Writes `audio.FORMAT`; with `stems` a file a part, and first `mix.wav`, their sum.
    """

    kind: Literal["synthesize"] = "synthesize"
    score: ReferenceField
    steps: Steps = None
    sampler: Annotated[
        Literal[
            "dpm++",
            "unipc",
            "euler",
            "heun",
            "ddim",
            "ancestral",
            "ancestral-small",
            "ancestral-medium",
            "port",
            "ddpm",
        ]
        | None,
        Field(description="How the steps are taken; the model's if missing."),
    ] = None
    guidance_scale: Guidance = None
    guidance_interval: Annotated[
        str | None,
        Field(max_length=40, description="Diffusion times between which there is guidance, as 0.1-0.8."),
    ] = None
    temperature: Annotated[
        float | None,
        Field(ge=0, le=2, allow_inf_nan=False, description="Variety; the model's if missing."),
    ] = None
    continuation: Annotated[
        Literal["context", "inpainting", "none"] | None,
        Field(description="How segments join, of models with a choice."),
    ] = None
    vocoder: VocoderName = None
    int8: Annotated[bool, Field(description="8-bit linear layers, of models that can.")] = False
    model: ModelName = "synth-small"
    stems: Annotated[bool, Field(description="One file a part, and mix.wav, which is their sum.")] = False
    format: AudioFormat = "wav"

    @model_validator(mode="after")
    def _fits(self) -> Synthesize:
        if self.stems and self.format != "wav":
            raise ValueError(f"stems are written as wav, not as {self.format}; leave out stems or format")
        return self

    def references(self) -> dict[str, Reference]:
        """The score."""
        return {"score": Reference(self.score, "score")}

    def models(self) -> tuple[str, ...]:
        """Model and vocoder."""
        return tuple(filter(None, (self.model, self.vocoder)))

    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        """See `Task.run`."""
        raise NotImplementedError
