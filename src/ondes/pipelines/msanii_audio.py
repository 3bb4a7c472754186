"""Msanii behind the verbs of `AudioPipeline`, so that the same commands, reports and pages take either."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines.audio_inputs import (
    Sound,
    checked_length,
    checked_ratio,
    checked_strength,
    take_sound,
)
from ondes.pipelines.audio_making import Level, checked_loudness, levelled
from ondes.pipelines.audio_model import AudioModel, Regions
from ondes.pipelines.audio_windows import Progress
from ondes.pipelines.msanii import MsaniiPipeline

log = logging.getLogger(__name__)

SAMPLER = "ddim"
"""The only one."""


class MsaniiAudio(AudioModel):
    """A model of Msanii with the verbs of every model of audio.

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

    def stream(
        self,
        duration_s: float,
        *,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A new piece of music, as one block."""
        settings, wanted = _chosen(choices), checked_loudness(loudness_lufs)
        length_s = checked_length(duration_s, "a piece")
        told = _seconds(progress, length_s)
        (made,) = self.pipeline.sample(duration_s=length_s, seed=seed, progress=told, **settings)
        yield _levelled(made, wanted)

    def stream_vary(
        self,
        audio: Sound,
        strength: float = 0.3,
        *,
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound played again, as one block."""
        settings, wanted = _chosen(choices), checked_loudness(loudness_lufs)
        share, sound = checked_strength(strength), take_sound(audio)
        if share == 1:
            log.warning("a strength of 1: nothing of the sound remains")
        if share == 0:
            log.info("a strength of 0: the sound comes back as it is")
            yield sound
            return
        told = _seconds(progress, sound.duration_s)
        (made,) = self.pipeline.audio_to_audio([sound], strength=share, seed=seed, progress=told, **settings)
        yield _levelled(made, wanted)

    def stream_interpolate(
        self,
        first: Sound,
        second: Sound,
        *,
        ratio: float = 0.5,
        strength: float = 0.5,
        method: str = "noise",
        seed: int = 0,
        loudness_lufs: float | None = None,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound that lies between two and is as long as the shorter, as one block."""
        if method != "noise":
            raise UserError(
                f"Msanii has no method {method!r} to interpolate; leave it out, or choose 'noise'"
            )
        settings, wanted = _chosen(choices), checked_loudness(loudness_lufs)
        share = 1 - checked_ratio(ratio)
        one, two = take_sound(first), take_sound(second)
        length_s = min(one.duration_s, two.duration_s)
        one = Audio(one.samples[:, : round(length_s * one.sample_rate_hz)], one.sample_rate_hz)
        told = _seconds(progress, length_s)
        (made,) = self.pipeline.interpolate(
            [one], [two], ratio=share, strength=strength, seed=seed, progress=told, **settings
        )
        yield _levelled(made, wanted)

    def stream_inpaint(
        self,
        audio: Sound,
        regions: Regions,
        *,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """Regions made anew, as one block; with `compat` everything is synthesised again."""
        settings, sound = _chosen(choices), take_sound(audio)
        told = _seconds(progress, sound.duration_s)
        yield from self.pipeline.inpaint([sound], [regions], seed=seed, progress=told, **settings)

    def stream_outpaint(
        self,
        audio: Sound,
        *,
        before_s: float = 0.0,
        after_s: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
        **choices: Any,
    ) -> Iterator[Audio]:
        """A sound made longer at either end, as one block; itself unchanged, `compat` or not."""
        settings, sound = _chosen(choices), take_sound(audio)
        told = _seconds(progress, before_s + after_s)
        ends = {"before_s": before_s, "after_s": after_s}
        yield self.pipeline.extend(sound, **ends, seed=seed, progress=told, **settings)


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
    for name in ("guidance_scale", "temperature", "strength"):
        if given.get(name, 1.0) != 1:
            raise UserError(f"Msanii has no {name}; leave it out, or choose another model")
    ours = ("style", "sampler", "guidance_scale", "temperature", "strength")
    return {name: value for name, value in given.items() if name not in ours}


def _seconds(progress: Progress | None, total_s: float) -> Callable[[float, float], None] | None:
    """Turns work done into seconds of audio made."""
    if progress is None:
        return None
    return lambda done, total: progress(total_s * done / total, total_s)


def _levelled(audio: Audio, loudness_lufs: float | None) -> Audio:
    """Audio of a loudness, where there is one to have, with its peaks turned down."""
    block = torch.tensor(audio.samples)
    level = Level(loudness_lufs=loudness_lufs)
    made = levelled([block], audio.sample_rate_hz, level=level, length_s=audio.duration_s)
    return Audio.concatenate(made)
