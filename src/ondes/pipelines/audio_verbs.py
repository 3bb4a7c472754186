"""What the audio pipeline does to sounds, in blocks: its verbs after their arguments are looked at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ondes.audio import Audio
from ondes.errors import UserError, nearest
from ondes.pipelines.audio_canvas import Canvas
from ondes.pipelines.audio_editing import Sizes, fill
from ondes.pipelines.audio_inputs import (
    Sound,
    SoundSource,
    checked_length,
    checked_ratio,
    checked_strength,
    open_sound,
)
from ondes.pipelines.audio_making import checked_loudness
from ondes.pipelines.audio_model import Regions
from ondes.pipelines.audio_variation import METHODS, blended, revoiced
from ondes.pipelines.audio_windows import Meter, Progress, WindowMaker
from ondes.representations.regions import Region, to_regions

if TYPE_CHECKING:
    from ondes.pipelines.audio import AudioPipeline

log = logging.getLogger(__name__)


def unchanged(sound: SoundSource) -> Iterator[Audio]:
    """A sound as it is."""
    for block in sound.blocks():
        yield Audio(block, sound.sample_rate_hz)


def varied(
    pipeline: AudioPipeline,
    sound: Sound,
    maker: WindowMaker,
    *,
    strength: float,
    loudness_lufs: float | None,
    progress: Progress | None,
) -> Iterator[Audio]:
    """See `AudioPipeline.stream_vary`."""
    strength, loudness = checked_strength(strength), checked_loudness(loudness_lufs)
    source = open_sound(sound)
    if strength == 0:
        log.warning("a strength of 0 changes nothing: the sound comes back as it is")
        return unchanged(source)
    if strength == 1:
        log.warning("a strength of 1 keeps nothing of the sound; 0.2 to 0.7 is useful")
    return revoiced(
        blended([source], 0.0, maker, strength),
        maker,
        pipeline.vocoder,
        pipeline.plan,
        strength=strength,
        samples=source.samples,
        sample_rate_hz=source.sample_rate_hz,
        channels=source.channels,
        loudness_lufs=loudness,
        meter=Meter(progress, source.duration_s),
    )


def between(
    pipeline: AudioPipeline,
    sounds: tuple[Sound, Sound],
    maker: WindowMaker,
    *,
    ratio: float,
    strength: float,
    method: str,
    loudness_lufs: float | None,
    progress: Progress | None,
) -> Iterator[Audio]:
    """See `AudioPipeline.stream_interpolate`."""
    strength, ratio, loudness = (
        checked_strength(strength),
        checked_ratio(ratio),
        checked_loudness(loudness_lufs),
    )
    if method not in METHODS:
        raise UserError(f"there is no method {method!r}: {nearest(method, METHODS)}")
    first, second = (open_sound(sound) for sound in sounds)
    length_s = min(first.duration_s, second.duration_s)
    if first.duration_s != second.duration_s:
        log.warning(
            "the sounds last %.2f s and %.2f s: what lies between them lasts as long as the shorter",
            first.duration_s,
            second.duration_s,
        )
    if strength == 0:
        log.warning("a strength of 0 asks the model nothing: the spectra are mixed")
    return revoiced(
        METHODS[method if strength else "noise"]([first, second], ratio, maker, strength),
        maker,
        pipeline.vocoder,
        pipeline.plan,
        strength=strength,
        samples=min(first.samples, round(length_s * first.sample_rate_hz)),
        sample_rate_hz=first.sample_rate_hz,
        channels=max(first.channels, second.channels),
        loudness_lufs=loudness,
        meter=Meter(progress, length_s),
    )


def mended(
    pipeline: AudioPipeline,
    sound: Sound,
    maker: WindowMaker,
    *,
    regions: Regions,
    strength: float,
    progress: Progress | None,
) -> Iterator[Audio]:
    """See `AudioPipeline.stream_inpaint`."""
    checked_strength(strength)
    source = open_sound(sound)
    found = to_regions(regions, sample_rate_hz=source.sample_rate_hz, length_samples=source.samples)
    canvas = Canvas(source, offset=0, length=source.samples, regions=found)
    return _filled(pipeline, canvas, maker, progress, strength=strength)


def lengthened(
    pipeline: AudioPipeline,
    sound: Sound,
    maker: WindowMaker,
    *,
    before_s: float,
    after_s: float,
    strength: float,
    progress: Progress | None,
) -> Iterator[Audio]:
    """See `AudioPipeline.stream_outpaint`."""
    checked_strength(strength)
    source = open_sound(sound)
    before, after = (
        round(checked_length(length_s, f"an addition {where}", least_s=0.0) * source.sample_rate_hz)
        for length_s, where in ((before_s, "before"), (after_s, "after"))
    )
    if not before and not after:
        log.warning("0 s before and 0 s after are to be added: the sound comes back as it is")
        return unchanged(source)
    last = before + source.samples
    edges = ((0, before), (last, last + after))
    regions = [Region(start, stop) for start, stop in edges if start < stop]
    canvas = Canvas(source, offset=before, length=last + after, regions=regions)
    return _filled(pipeline, canvas, maker, progress, strength=strength)


def _filled(
    pipeline: AudioPipeline,
    canvas: Canvas,
    maker: WindowMaker,
    progress: Progress | None,
    *,
    strength: float,
) -> Iterator[Audio]:
    """The timeline with its regions filled."""
    window, context = (int(pipeline.config[name]) for name in ("window_frames", "context_frames"))
    sizes = Sizes(window, min(context, window // 4), int(pipeline.network.multiple), strength)
    total_s = sum(region.samples for region in canvas.regions) / canvas.rate_hz
    for block in fill(canvas, maker, pipeline.vocoder, sizes, Meter(progress, total_s)):
        yield Audio(block, canvas.rate_hz)
