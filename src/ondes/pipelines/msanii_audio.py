"""Msanii behind the verbs of `AudioPipeline`, so that the same commands, reports and pages take either."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines.audio_inputs import (
    Sound,
    checked_length,
    checked_ratios,
    checked_strength,
    take_sound,
)
from ondes.pipelines.audio_making import Level, checked_loudness, levelled
from ondes.pipelines.audio_windows import Progress
from ondes.pipelines.msanii import MsaniiPipeline
from ondes.representations.regions import Region

log = logging.getLogger(__name__)

SAMPLER = "ddim"
"""The only one."""

Regions = str | Sequence[Region] | Sequence[tuple[float, float]]


class MsaniiAudio:
    """A model of Msanii with the surface of `ondes.pipelines.audio.AudioPipeline`.

    What Msanii does not have is refused: styles, guidance, temperature, other samplers. Everything is made at once.

    Args:
        pipeline: The model.
    """

    def __init__(self, pipeline: MsaniiPipeline) -> None:
        self.pipeline = pipeline

    @classmethod
    def from_pretrained(cls, name: str | Path, **settings: Any) -> MsaniiAudio:
        """Load a model; see `MsaniiPipeline.from_pretrained`."""
        return cls(MsaniiPipeline.from_pretrained(name, **settings))

    @property
    def default_steps(self) -> int:
        """Steps where the caller names none."""
        return int(self.pipeline.config["default_steps"])

    @property
    def styles(self) -> tuple[str, ...]:
        """None: the model is unconditional."""
        return ()

    @property
    def sample_rate_hz(self) -> int:
        """Rate of new music."""
        return self.pipeline.sample_rate_hz

    @property
    def model_hash(self) -> str:
        """As of the pipeline."""
        return self.pipeline.model_hash

    def generate(
        self,
        duration_s: float = 10.0,
        *,
        n: int = 1,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> list[Audio]:
        """New pieces of music, as of `AudioPipeline.generate`."""
        settings, wanted = _chosen(choices), checked_loudness(loudness_lufs)
        length_s = n * checked_length(duration_s, "a piece")
        told = _seconds(progress, length_s)
        made = self.pipeline.sample(n, duration_s=duration_s, seed=seed, progress=told, **settings)
        return [_levelled(audio, wanted) for audio in made]

    def stream(self, duration_s: float, **choices: Any) -> Iterator[Audio]:
        """The same as one block."""
        yield from self.generate(duration_s, **choices)

    def vary(
        self,
        audio: Sound | list[Sound],
        strength: float = 0.3,
        *,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Audio | list[Audio]:
        """A sound played again, as of `AudioPipeline.vary`."""
        settings, wanted = _chosen(choices), checked_loudness(loudness_lufs)
        share = checked_strength(strength)
        if share == 1:
            log.warning("a strength of 1: nothing of the sound remains")

        def one(sound: Audio, seed: int) -> Audio:
            if share == 0:
                log.info("a strength of 0: the sound comes back as it is")
                return sound
            told = _seconds(progress, sound.duration_s)
            (made,) = self.pipeline.audio_to_audio(
                [sound], strength=share, seed=seed, progress=told, **settings
            )
            return _levelled(made, wanted)

        return _each(one, audio, seed)

    def interpolate(
        self,
        first: Sound,
        second: Sound,
        *,
        ratio: float = 0.5,
        ratios: Sequence[float] | None = None,
        strength: float = 0.5,
        method: str = "noise",
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Audio | list[Audio]:
        """A sound that lies between two, as of `AudioPipeline.interpolate`, as long as the shorter."""
        if method != "noise":
            raise UserError(
                f"Msanii has no method {method!r} to interpolate; leave it out, or choose 'noise'"
            )
        settings, wanted = _chosen(choices), checked_loudness(loudness_lufs)
        places = checked_ratios([ratio] if ratios is None else list(ratios))
        one, two = take_sound(first), take_sound(second)
        length_s = min(one.duration_s, two.duration_s)
        one = Audio(one.samples[:, : round(length_s * one.sample_rate_hz)], one.sample_rate_hz)
        made = []
        for number, place in enumerate(places):
            told = _seconds(progress, length_s * len(places), start_s=length_s * number, length_s=length_s)
            (audio,) = self.pipeline.interpolate(
                [one], [two], ratio=1 - place, strength=strength, seed=seed, progress=told, **settings
            )
            made.append(_levelled(audio, wanted))
        return made[0] if ratios is None else made

    def inpaint(
        self,
        audio: Sound | list[Sound],
        regions: Regions,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Audio | list[Audio]:
        """Regions made anew, as of `AudioPipeline.inpaint`; with `compat` everything is synthesised again."""
        settings = _chosen(choices)

        def one(sound: Audio, seed: int) -> Audio:
            told = _seconds(progress, sound.duration_s)
            return self.pipeline.inpaint([sound], [regions], seed=seed, progress=told, **settings)[0]

        return _each(one, audio, seed)

    def outpaint(
        self,
        audio: Sound | list[Sound],
        *,
        before_s: float = 0.0,
        after_s: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Audio | list[Audio]:
        """A sound made longer at either end, as of `AudioPipeline.outpaint`; itself unchanged, `compat` or not."""
        settings = _chosen(choices)

        def one(sound: Audio, seed: int) -> Audio:
            told = _seconds(progress, before_s + after_s)
            ends = {"before_s": before_s, "after_s": after_s}
            return self.pipeline.extend(sound, **ends, seed=seed, progress=told, **settings)

        return _each(one, audio, seed)


def _chosen(choices: dict[str, Any]) -> dict[str, Any]:
    """Choices that Msanii has; those that change nothing are let pass.

    Raises:
        UserError: If one is not among them.
    """
    given = {name: value for name, value in choices.items() if value is not None}
    if given.get("style"):
        raise UserError("Msanii knows no styles; leave out the style, or choose another model")
    if given.get("sampler", SAMPLER) != SAMPLER:
        raise UserError(f"Msanii has no sampler {given['sampler']!r}; {SAMPLER!r} is its only one")
    for name in ("guidance_scale", "temperature"):
        if given.get(name, 1.0) != 1:
            raise UserError(f"Msanii has no {name}; leave it out, or choose another model")
    ours = ("style", "sampler", "guidance_scale", "temperature")
    return {name: value for name, value in given.items() if name not in ours}


def _seconds(
    progress: Progress | None, total_s: float, *, start_s: float = 0.0, length_s: float | None = None
) -> Callable[[float, float], None] | None:
    """Turns work done into seconds of audio made."""
    if progress is None:
        return None
    own_s = total_s if length_s is None else length_s
    return lambda done, total: progress(start_s + own_s * done / total, total_s)


def _each(verb: Callable[[Audio, int], Audio], audio: Sound | list[Sound], seed: int) -> Audio | list[Audio]:
    """A verb for a sound or each of a list, which have one seed more each."""
    if isinstance(audio, list):
        return [verb(take_sound(sound), seed + item) for item, sound in enumerate(audio)]
    return verb(take_sound(audio), seed)


def _levelled(audio: Audio, loudness_lufs: float | None) -> Audio:
    """Audio of a loudness, where there is one to have, with its peaks turned down."""
    block = torch.tensor(audio.samples)
    level = Level(loudness_lufs=loudness_lufs)
    made = levelled([block], audio.sample_rate_hz, level=level, length_s=audio.duration_s)
    return Audio.concatenate(made)
