"""Sounds made anew from a sound, or from two: noise is added to what they are, and taken away by the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ondes.audio import Audio
from ondes.diffusion.sampling import begins_with
from ondes.diffusion.sphere import slerp
from ondes.pipelines.audio_editing import one_side
from ondes.pipelines.audio_inputs import SoundSource
from ondes.pipelines.audio_making import Level, cut, levelled, voiced
from ondes.pipelines.audio_rates import MelReader, exactly, resampled
from ondes.pipelines.audio_windows import Meter, Place, WindowMaker, frames_of, place_of
from ondes.pipelines.tensor_file import TensorFile
from ondes.representations.segments import Segment

Start = Callable[[Place, int], Tensor]
"""From a window's place and how many of its frames are made to the point of the path at which to begin it."""


def varied_mel(
    start: Start,
    maker: WindowMaker,
    plan: Sequence[Segment],
    strength: float,
    length_s: float,
    *,
    meter: Meter,
) -> Iterator[Float[Tensor, "2 bands _"]]:
    """Log-mel of each window, begun at a point of the path that is not all noise, and fitted to the one before.

    SDEdit (Meng et al. 2021, arXiv 2108.01073) in windows.
    """
    network = maker.network
    rate = network.spec.frames_per_second
    before = torch.zeros(1, 2, network.spec.bands, 0, device=network.device)
    for segment in plan:
        new_s = (segment.frames - segment.known) / rate

        def tell(share: float, new_s: float = new_s) -> None:
            meter.tell(share * new_s)

        values = torch.nn.functional.pad(
            before[..., before.shape[-1] - segment.known :], (0, segment.frames - segment.known)
        )
        known = torch.arange(segment.frames, device=network.device) < segment.known
        place = place_of(segment, frames_per_second=rate, length_s=length_s)
        begin = start(place, segment.known)
        before = maker.make(place, values, known, begin=begin, level=strength, tell=tell)
        meter.count(new_s)
        yield network.restore(before[0, ..., segment.known :]).cpu()


class Original:
    """Features of a sound, window by window.

    Args:
        sound: Mono or stereo.
        maker: Whose network standardises them.
    """

    def __init__(self, sound: SoundSource, maker: WindowMaker) -> None:
        self.reader = MelReader(sound, maker.network.spec)
        self.network = maker.network
        self.window = torch.zeros(1, 2, maker.network.spec.bands, 0, device=maker.network.device)

    def next(self, frames: int, known: int) -> Float[Tensor, "1 2 bands {frames}"]:
        """The next window, of which so many frames are the last of the one before."""
        fresh = self.network.standardise(self.reader.take(frames - known)[None].to(self.network.device))
        self.window = torch.cat([self.window[..., self.window.shape[-1] - known :], fresh], -1)
        return self.window


def blended(sounds: Sequence[SoundSource], ratio: float, maker: WindowMaker, strength: float) -> Start:
    """Sounds between which lies a ratio, with one and the same noise."""
    originals = [Original(sound, maker) for sound in sounds]

    def start(place: Place, known: int) -> Tensor:
        windows = [original.next(place.frames, known) for original in originals]
        features = windows[0] if len(windows) == 1 else torch.lerp(windows[0], windows[1], ratio)
        return maker.noised(features, place, strength)

    return start


def inverted(sounds: Sequence[SoundSource], ratio: float, maker: WindowMaker, strength: float) -> Start:
    """A point on the arc between those of the path that become the one sound and the other."""
    originals = [Original(sound, maker) for sound in sounds]
    keep = _inversions.get() or (lambda _, invert: invert())

    def start(place: Place, known: int) -> Tensor:
        given = torch.arange(place.frames, device=maker.network.device) < known
        points = []
        for original in originals:
            window = original.next(place.frames, known)

            def invert(window: Tensor = window) -> Tensor:
                return maker.invert(place, window, given, strength)

            told = f"{place} {known} {strength} {maker.steps} {maker.scale} {maker.style}"
            points.append(keep(begins_with(window, told), invert).to(window.device))
        return slerp(points[0], points[1], ratio)

    return start


@contextmanager
def inversions_kept() -> Iterator[None]:
    """Within, no window is inverted twice: a walk asks for the same of every step. They lie in a temporary file."""
    with TensorFile() as file:
        numbers: dict[str, int] = {}

        def keep(name: str, invert: Callable[[], Tensor]) -> Tensor:
            if name not in numbers:
                made = invert()
                numbers[name] = file.add(made)
                return made
            return file.read(numbers[name])

        token = _inversions.set(keep)
        try:
            yield
        finally:
            _inversions.reset(token)


_inversions: ContextVar[Callable[[str, Callable[[], Tensor]], Tensor] | None] = ContextVar(
    "_inversions", default=None
)


METHODS: dict[str, Callable[[Sequence[SoundSource], float, WindowMaker, float], Start]] = {
    "noise": blended,
    "inversion": inverted,
}
"""How two sounds meet."""


def revoiced(
    start: Start,
    maker: WindowMaker,
    vocoder: Any,
    plan: Callable[[int], Sequence[Segment]],
    *,
    strength: float,
    samples: int,
    sample_rate_hz: int,
    channels: int,
    loudness_lufs: float | None,
    meter: Meter,
) -> Iterator[Audio]:
    """The sound of `varied_mel` at any rate, in blocks.

    Args:
        start: Where each window begins.
        maker: Makes them.
        vocoder: Makes sound of them.
        plan: From frames to windows.
        strength: Level of the path at which windows begin.
        samples: Length of the result.
        sample_rate_hz: Its rate.
        channels: 1 or 2.
        loudness_lufs: Its loudness, if it is to have a certain one.
        meter: Is told what is made.
    """
    spec = maker.network.spec
    length_s = samples / sample_rate_hz
    frames = max(1, frames_of(length_s * spec.sample_rate_hz, spec.hop_samples))
    pieces = varied_mel(start, maker, plan(frames), strength, length_s, meter=meter)
    if channels == 1:
        pieces = (one_side(piece) for piece in pieces)
    sound = (block[:channels] for block in voiced(vocoder, pieces, frames))
    made = levelled(
        cut(sound, frames * spec.hop_samples),
        spec.sample_rate_hz,
        level=Level(loudness_lufs=loudness_lufs),
        length_s=length_s,
    )
    own = resampled((np.asarray(block.samples) for block in made), spec.sample_rate_hz, sample_rate_hz)
    for block in exactly(own, 0, samples, channels):
        yield Audio(block, sample_rate_hz)
