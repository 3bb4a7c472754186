"""What the tasks that make and edit audio have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from ondes.tasks.audio_orders import (
    DEFAULT_MODEL,
    Engine,
    Order,
    Sound,
    blocks_of,
    describe,
    exact_encoding,
    look_at,
    seeds,
    together,
)
from ondes.tasks.audio_writing import write_blocks
from ondes.tasks.bench import Workbench
from ondes.tasks.task import (
    RECORD,
    AudioFormat,
    Guidance,
    Made,
    ModelName,
    Outcome,
    Source,
    Steps,
    Task,
    VocoderName,
)
from ondes.tasks.threads import computing_with
from ondes.tasks.working import at_work, heard, recorded, remarks

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

    own: ClassVar[tuple[str, ...]] = ()
    """Options of this task alone, which are keyword arguments of the pipeline's verb."""

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
    style: Annotated[
        tuple[Style, ...],
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
        Field(max_length=100, description="Some of the model's styles."),
    ] = ()
    model: ModelName = DEFAULT_MODEL
    vocoder: VocoderName = None
    format: AudioFormat = "wav"

    def models(self) -> tuple[str, ...]:
        """Model and vocoder."""
        engine = self.engine(None)
        return tuple(filter(None, (engine.model, engine.vocoder)))

    def engine(self, threads: int | None) -> Engine:
        """What makes the audio."""
        return Engine(self.model, self.vocoder, threads)

    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        """See `Task.run`."""
        inputs = [name for name, one in self.references().items() if one.kind == "audio"]
        score, engine = sources.get("score"), self.engine(bench.shelf.threads)
        with remarks() as odd, computing_with(bench.shelf.threads):
            sounds = tuple(look_at(sources[name].path) for name in inputs)
            self.check(sounds)
            kind = "synthesiser" if engine.plays else "audio"
            pipeline = engine.checked(bench.shelf.pipeline(kind, engine.model, vocoder=engine.vocoder))
            told = [recorded(sources[name]) for name in inputs]
            played = None if score is None else recorded(score)
            orders = [replace(one, score=score and score.path) for one in self.orders(sounds, stem)]
            total = len(orders)
            with at_work(self, sources, bench, pipeline) as progress, together(orders):
                for number, order in enumerate(orders):

                    def share(done_s: float, each_s: float, number: int = number) -> None:
                        progress(number * each_s + done_s, total * each_s)

                    blocks = heard(blocks_of(order, pipeline, share), bench.on_block)
                    made = write_blocks(blocks, folder / order.name, encoding=order.encoding)
                    place = bench.home or folder
                    record = describe(order, told, made, place, engine, pipeline, score=played)
                    record.write(folder / self._record(order, stem, total))
        files = [Made(order.name, "audio") for order in orders]
        records = [Made(self._record(order, stem, total), "record") for order in orders]
        return Outcome(files + records, odd)

    def check(self, sounds: tuple[Sound, ...]) -> None:
        """Refuse inputs that the options do not fit, before a model is loaded for nothing.

        Raises:
            UserError: If so.
        """

    def variants(self, choices: dict[str, Any]) -> list[dict[str, Any]]:
        """The choices of each result."""
        return seeds(choices, self.seed, self.n)

    def orders(self, sounds: tuple[Sound, ...], stem: str) -> list[Order]:
        """An order for each result."""
        shared = ("steps", "sampler", "guidance_scale", "temperature", "style")
        chosen = self.model_dump(mode="json", include={*shared, *self.own}, exclude_none=True)
        choices = {name: chosen[name] for name in (*self.own, *shared) if chosen.get(name) not in (None, [])}
        variants = self.variants(choices)
        width = max(2, len(str(len(variants))))
        numbers = [f"{number:0{width}}" for number in range(1, len(variants) + 1)]
        names = [f"{stem or 'audio'}.{self.format}"]
        if len(variants) > 1:
            names = [f"{number}.{self.format}" for number in numbers]
        return [
            Order(self.kind, sounds, variant, name, exact_encoding(sounds, name))
            for variant, name in zip(variants, names, strict=True)
        ]

    def _record(self, order: Order, stem: str, total: int) -> str:
        """Name of the record of a result."""
        return RECORD if total == 1 and not stem else str(Path(order.name).with_suffix(".json"))

    @model_validator(mode="after")
    def _has_seeds(self) -> AudioTask:
        if self.seed + self.n > 2**32:
            raise ValueError(
                f"seed {self.seed} for {self.n} results goes beyond the last seed, {2**32 - 1}; begin lower"
            )
        return self
