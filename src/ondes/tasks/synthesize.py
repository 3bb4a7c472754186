"""The task of playing a score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ondes.errors import UserError
from ondes.sidecar import Settings
from ondes.tasks import performing
from ondes.tasks.audio_writing import write_blocks, write_stems
from ondes.tasks.bench import Workbench
from ondes.tasks.task import (
    RECORD,
    AudioFormat,
    Guidance,
    Made,
    ModelName,
    Outcome,
    Reference,
    ReferenceField,
    Source,
    Steps,
    Task,
    VocoderName,
)
from ondes.tasks.threads import computing_with
from ondes.tasks.working import at_work, heard, opened, recorded, remarks


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
    model: ModelName = performing.DEFAULT_MODEL
    stems: Annotated[bool, Field(description="One file a part, and mix.wav, which is their sum.")] = False
    format: AudioFormat = "wav"

    @field_validator("guidance_interval")
    @classmethod
    def _is_interval(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                performing.parse_interval(text)
            except UserError as error:
                raise ValueError(str(error)) from None
        return text

    @model_validator(mode="after")
    def _fits(self) -> Synthesize:
        if self.stems and self.format != "wav":
            raise ValueError(f"stems are written as wav, not as {self.format}; leave out stems or format")
        if self.guidance_interval is not None and self.guidance_scale == 1:
            raise ValueError(
                "a guidance_scale of 1 guides nowhere, so guidance_interval changes nothing; leave one of them out"
            )
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
        from ondes.score import to_notes  # noqa: PLC0415

        with remarks() as odd, computing_with(bench.shelf.threads):
            notes = to_notes(opened(sources["score"], odd))
            if self.stems and not len(notes):
                raise UserError(
                    f"{sources['score'].path} has no notes, so there are no parts to write; leave out stems"
                )
            pipeline = bench.shelf.pipeline("synthesiser", self.model, vocoder=self.vocoder, int8=self.int8)
            settings = self._settings()
            with at_work(self, sources, bench, pipeline) as progress:
                if self.stems:
                    chosen = performing.choices(pipeline, settings, verb="stream_stems")
                    blocks = pipeline.stream_stems(notes, progress=progress, **chosen)
                    parts = [part.name for part in notes.parts]
                    made = write_stems(blocks, parts, folder, on_mix=bench.on_block)
                else:
                    chosen = performing.choices(pipeline, settings)
                    blocks = heard(pipeline.stream(notes, progress=progress, **chosen), bench.on_block)
                    made = write_blocks(blocks, folder / f"{stem or 'audio'}.{self.format}")
            performing.describe(
                bench.home or folder,
                pipeline=pipeline,
                score=recorded(sources["score"]),
                model=self.model,
                settings=settings,
                output=made,
            ).write(folder / (f"{stem}.json" if stem else RECORD))
        files = [Made(name, "audio") for name in (made.file, *made.stems)]
        return Outcome([*files, Made(f"{stem}.json" if stem else RECORD, "record")], odd)

    def _settings(self) -> Settings:
        """The options as a record has them."""
        return Settings(
            self.seed,
            self.steps,
            self.sampler,
            self.guidance_scale,
            None,
            self.stems,
            self.temperature,
            self.guidance_interval,
            self.continuation,
            self.vocoder,
            self.int8,
        )
