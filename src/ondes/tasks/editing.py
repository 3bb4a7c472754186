"""The tasks of editing sounds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ondes.errors import UserError
from ondes.representations.regions import parse_regions
from ondes.tasks.audio_orders import DEFAULT_MODEL, SCORE_MODEL, Engine, Sound
from ondes.tasks.audio_task import AudioTask, Loudness, Strength
from ondes.tasks.task import Reference, ReferenceField

FASTEST_HZ = 768_000
"""No sound has a higher rate, so regions that are none at this one are none at all."""
FillStrength = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        description="0 fills in what repeats around, 1 leaves it to the model; the model's if missing.",
    ),
]
Added = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Vary(AudioTask):
    """Make variations of a sound, as `ondes vary` does."""

    own: ClassVar[tuple[str, ...]] = ("strength", "loudness_lufs")
    kind: Literal["vary"] = "vary"
    audio: ReferenceField
    strength: Strength = 0.3
    loudness_lufs: Loudness = None

    def references(self) -> dict[str, Reference]:
        """The sound."""
        return {"audio": Reference(self.audio, "audio")}


class Interpolate(AudioTask):
    """Make music between two sounds, as `ondes interpolate` does."""

    own: ClassVar[tuple[str, ...]] = ("strength", "method", "loudness_lufs")
    kind: Literal["interpolate"] = "interpolate"
    first: ReferenceField
    second: ReferenceField
    ratio: Annotated[
        float | None,
        Field(ge=0, le=1, description="How far from the first to the second; 0.5 if missing."),
    ] = None
    walk: Annotated[
        int | None,
        Field(ge=2, le=1000, description="So many files with evenly spaced ratios from 0 to 1."),
    ] = None
    strength: Strength = 0.5
    method: Annotated[
        Literal["noise", "inversion"],
        Field(description="The same noise for both, or the noise that each would come from."),
    ] = "noise"
    loudness_lufs: Loudness = None

    @model_validator(mode="after")
    def _fits(self) -> Interpolate:
        if self.walk is not None and self.ratio is not None:
            raise ValueError("walk goes through all ratios; leave out ratio, or walk")
        if self.walk is not None and self.n > 1:
            raise ValueError("n and walk both say how many files; give one of them, and other seeds by seed")
        return self

    def references(self) -> dict[str, Reference]:
        """Both sounds."""
        return {"first": Reference(self.first, "audio"), "second": Reference(self.second, "audio")}

    def variants(self, choices: dict[str, Any]) -> list[dict[str, Any]]:
        """One ratio with several seeds, or a walk with one seed."""
        if self.walk is None:
            ratio = 0.5 if self.ratio is None else self.ratio
            return super().variants(choices | {"ratio": ratio})
        last = self.walk - 1
        return [choices | {"ratio": step / last, "seed": self.seed} for step in range(self.walk)]


class Inpaint(AudioTask):
    """Make regions of a sound anew, as `ondes inpaint` does; not one sample elsewhere changes."""

    own: ClassVar[tuple[str, ...]] = ("regions", "strength")
    kind: Literal["inpaint"] = "inpaint"
    audio: ReferenceField
    regions: Annotated[
        str,
        Field(
            min_length=1,
            max_length=20_000,
            description="Seconds, or minutes:seconds, as 12.5-15,1:03-1:07.25; end is the sound's end.",
        ),
    ]
    strength: FillStrength = None
    score: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=4096,
            description="A score that begins with the sound: a synthesiser plays its notes in the regions.",
        ),
    ] = None

    @model_validator(mode="after")
    def _plays_or_invents(self) -> Inpaint:
        if self.score is not None and (self.strength is not None or self.style):
            raise ValueError(
                "strength and style are of music without a score, which says what to play; leave out one of them"
            )
        return self

    def engine(self, threads: int | None) -> Engine:
        """A synthesiser where there is a score."""
        if self.score is None:
            return super().engine(threads)
        model = SCORE_MODEL if self.model == DEFAULT_MODEL else self.model
        return Engine(model, self.vocoder, threads, plays=True)

    @field_validator("regions")
    @classmethod
    def _are_regions(cls, text: str) -> str:
        try:
            parse_regions(text, sample_rate_hz=FASTEST_HZ, length_samples=2**62)
        except UserError as error:
            raise ValueError(str(error)) from None
        return text

    def check(self, sounds: tuple[Sound, ...]) -> None:
        """Regions lie within the sound."""
        (sound,) = sounds
        parse_regions(self.regions, sample_rate_hz=sound.sample_rate_hz, length_samples=sound.samples)

    def references(self) -> dict[str, Reference]:
        """The sound, and the score if there is one."""
        score = {} if self.score is None else {"score": Reference(self.score, "score")}
        return {"audio": Reference(self.audio, "audio")} | score


class Outpaint(AudioTask):
    """Make a sound longer at either end, as `ondes outpaint` does; not one of its samples changes."""

    own: ClassVar[tuple[str, ...]] = ("before_s", "after_s", "strength")
    kind: Literal["outpaint"] = "outpaint"
    audio: ReferenceField
    before_s: Annotated[Added, Field(description="Seconds to add before.")] = 0.0
    after_s: Annotated[Added, Field(description="Seconds to add after.")] = 0.0
    strength: FillStrength = None

    @model_validator(mode="after")
    def _adds(self) -> Outpaint:
        if not self.before_s and not self.after_s:
            raise ValueError("before_s 0 and after_s 0 add nothing; give one of them more, as after_s 20")
        return self

    def references(self) -> dict[str, Reference]:
        """The sound."""
        return {"audio": Reference(self.audio, "audio")}

    def asked_s(self) -> float:
        """What is added to all results."""
        return self.n * (self.before_s + self.after_s)
