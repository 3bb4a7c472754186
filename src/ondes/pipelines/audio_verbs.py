"""What the audio pipeline does to sounds, one at a time: its verbs after their arguments are looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ondes.audio import Audio
from ondes.errors import UserError, nearest
from ondes.pipelines.audio_editing import Canvas, Sizes, fill
from ondes.pipelines.audio_inputs import (
    Sound,
    check_memory,
    checked_length,
    checked_ratios,
    checked_strength,
    take_sound,
)
from ondes.pipelines.audio_making import checked_loudness
from ondes.pipelines.audio_variation import METHODS, blended, revoiced
from ondes.pipelines.audio_windows import Meter, Progress, WindowMaker
from ondes.representations.regions import Region, to_regions

if TYPE_CHECKING:
    from ondes.pipelines.audio import AudioPipeline

log = logging.getLogger(__name__)

Regions = str | Sequence[Region] | Sequence[tuple[float, float]]
"""As `12.5-15,1:03-1:07.25`, as pairs of seconds, or in samples."""


def each(
    pipeline: AudioPipeline,
    verb: Callable[..., Audio],
    audio: Sound | list[Sound],
    seed: int,
    choices: dict[str, Any],
    **settings: Any,
) -> Audio | list[Audio]:
    """A verb for a sound, or for each of a list with a seed of its own."""
    if not isinstance(audio, list):
        return verb(pipeline, audio, pipeline.maker(seed, **choices), **settings)
    return [
        verb(pipeline, sound, pipeline.maker(seed + item, **choices), **settings)
        for item, sound in enumerate(audio)
    ]


def varied(
    pipeline: AudioPipeline,
    sound: Sound,
    maker: WindowMaker,
    *,
    strength: float,
    loudness_lufs: float | None,
    progress: Progress | None,
) -> Audio:
    """See `AudioPipeline.vary`."""
    strength, loudness = checked_strength(strength), checked_loudness(loudness_lufs)
    audio = take_sound(sound)
    if strength == 0:
        log.warning("a strength of 0 changes nothing: the sound comes back as it is")
        return audio
    if strength == 1:
        log.warning("a strength of 1 keeps nothing of the sound; 0.2 to 0.7 is useful")
    start = blended([audio], 0.0, maker, strength)
    blocks = revoiced(
        start,
        maker,
        pipeline.vocoder,
        pipeline.plan,
        strength=strength,
        samples=audio.samples.shape[1],
        sample_rate_hz=audio.sample_rate_hz,
        channels=audio.channels,
        loudness_lufs=loudness,
        meter=Meter(progress, audio.duration_s),
    )
    return Audio.concatenate(blocks)


def between(
    pipeline: AudioPipeline,
    sounds: tuple[Sound, Sound],
    maker: WindowMaker,
    *,
    ratios: Sequence[float],
    strength: float,
    method: str,
    loudness_lufs: float | None,
    progress: Progress | None,
) -> Iterator[Audio]:
    """See `AudioPipeline.interpolate`; one sound for each ratio."""
    strength, loudness, ratios = (
        checked_strength(strength),
        checked_loudness(loudness_lufs),
        checked_ratios(ratios),
    )
    if method not in METHODS:
        raise UserError(f"there is no method {method!r}: {nearest(method, METHODS)}")
    first, second = (take_sound(sound) for sound in sounds)
    length_s = min(first.duration_s, second.duration_s)
    if first.duration_s != second.duration_s:
        log.warning(
            "the sounds last %.2f s and %.2f s: what lies between them lasts as long as the shorter",
            first.duration_s,
            second.duration_s,
        )
    if strength == 0:
        log.warning("a strength of 0 asks the model nothing: the spectra are mixed")
    samples = min(first.samples.shape[1], round(length_s * first.sample_rate_hz))
    meter = Meter(progress, len(ratios) * length_s)
    for number, ratio in enumerate(ratios):
        meter.done_s = number * length_s
        start = METHODS[method if strength else "noise"]([first, second], ratio, maker, strength)
        blocks = revoiced(
            start,
            maker,
            pipeline.vocoder,
            pipeline.plan,
            strength=strength,
            samples=samples,
            sample_rate_hz=first.sample_rate_hz,
            channels=max(first.channels, second.channels),
            loudness_lufs=loudness,
            meter=meter,
        )
        yield Audio.concatenate(blocks)


def mended(
    pipeline: AudioPipeline, sound: Sound, maker: WindowMaker, *, regions: Regions, progress: Progress | None
) -> Audio:
    """See `AudioPipeline.inpaint`."""
    audio = take_sound(sound)
    length = audio.samples.shape[1]
    found = to_regions(regions, sample_rate_hz=audio.sample_rate_hz, length_samples=length)
    return _filled(pipeline, Canvas(audio, offset=0, length=length, regions=found), maker, progress)


def lengthened(
    pipeline: AudioPipeline,
    sound: Sound,
    maker: WindowMaker,
    *,
    before_s: float,
    after_s: float,
    progress: Progress | None,
) -> Audio:
    """See `AudioPipeline.outpaint`."""
    audio = take_sound(sound)
    rate_hz, own = audio.sample_rate_hz, audio.samples.shape[1]
    before, after = (
        round(checked_length(length_s, f"an addition {where}", least_s=0.0) * rate_hz)
        for length_s, where in ((before_s, "before"), (after_s, "after"))
    )
    if not before and not after:
        log.warning("0 s before and 0 s after are to be added: the sound comes back as it is")
        return audio
    length = before + own + after
    advice = "make it longer piece by piece"
    check_memory(length / rate_hz, rate_hz, channels=audio.channels, copies=3, advice=advice)
    edges = ((0, before), (before + own, length))
    regions = [Region(start, stop) for start, stop in edges if start < stop]
    return _filled(pipeline, Canvas(audio, offset=before, length=length, regions=regions), maker, progress)


def _filled(pipeline: AudioPipeline, canvas: Canvas, maker: WindowMaker, progress: Progress | None) -> Audio:
    """The timeline with its regions filled."""
    window, context = (int(pipeline.config[name]) for name in ("window_frames", "context_frames"))
    sizes = Sizes(window, min(context, window // 4), int(pipeline.network.multiple))
    total_s = sum(region.samples for region in canvas.regions) / canvas.rate_hz
    blocks = fill(canvas, maker, pipeline.vocoder, sizes, Meter(progress, total_s))
    return Audio.concatenate(Audio(block, canvas.rate_hz) for block in blocks)
