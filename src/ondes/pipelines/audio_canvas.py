"""A timeline with a sound on it and regions to fill, read once from its beginning to its end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from ondes.pipelines.audio_inputs import SoundSource
from ondes.representations.regions import Region
from ondes.sound_files import BLOCK_SAMPLES

LEAST_CEILING_DB = -1.0
"""What is made may peak here, or as high as the sound it is put into."""


class Canvas:
    """A timeline with a sound on it and regions to fill.

    It is worked on from beginning to end. Only what somebody may still ask for is in memory: parts of the sound from
    where they are needed on, without what lies in regions, and the ends of what was made.

    Args:
        sound: The sound.
        offset: Sample of the timeline at which it begins.
        length: Samples of the timeline.
        regions: In order of time; those that touch are one.
    """

    def __init__(self, sound: SoundSource, *, offset: int, length: int, regions: Sequence[Region]) -> None:
        self.sound, self.offset, self.length = sound, offset, length
        self.rate_hz, self.channels = sound.sample_rate_hz, sound.channels
        self.regions = merged(regions)
        self.ceiling_db = self._ceiling_db()
        """How high what is made may peak."""
        self._arriving = sound.blocks()
        self._arrived = offset
        self._held: list[tuple[int, np.ndarray]] = []
        """Known parts: where each begins, and its samples; later ones lie over earlier ones."""

    def _ceiling_db(self) -> float:
        """As high as the sound outside of the regions, and that of a piece of our own at least."""
        peak, start = 0.0, self.offset
        for block in self.sound.blocks():
            peak = max(peak, float(np.abs(block[:, self._kept(start, block.shape[1])]).max(initial=0.0)))
            start += block.shape[1]
        return max(LEAST_CEILING_DB, 20 * math.log10(peak)) if peak else LEAST_CEILING_DB

    def _kept(self, start: int, count: int) -> np.ndarray:
        """Which of some samples are in no region."""
        kept = np.ones(count, bool)
        for region in self.regions:
            kept[max(0, region.start - start) : max(0, region.stop - start)] = False
        return kept

    def read(self, start: int, stop: int) -> Float32[np.ndarray, "channels samples"]:
        """The timeline as far as it is known; zeros elsewhere."""
        self._reach(stop)
        out = np.zeros((self.channels, max(0, stop - start)), np.float32)
        for first, samples in self._held:
            begin, end = max(start, first), min(stop, first + samples.shape[1])
            if begin < end:
                out[:, begin - start : end - start] = samples[:, begin - first : end - first]
        return out

    def blocks(self, start: int, stop: int, *, needed: int) -> Iterator[Float32[np.ndarray, "channels _"]]:
        """The timeline from `start` to `stop` in blocks; what lies before these and before `needed` is forgotten."""
        for first in range(start, stop, BLOCK_SAMPLES):
            last = min(first + BLOCK_SAMPLES, stop)
            yield self.read(first, last)
            self._forget(min(last, needed))
        self._forget(min(stop, needed))

    def add(self, first: int, samples: Float32[np.ndarray, "channels _"]) -> None:
        """Put what was made on the timeline."""
        self._reach(first + samples.shape[1])
        self._held.append((first, samples))

    def _reach(self, stop: int) -> None:
        """Read the sound up to a sample at least."""
        while self._arrived < stop:
            block = next(self._arriving, None)
            if block is None:
                return
            first, self._arrived = self._arrived, self._arrived + block.shape[1]
            # What lies in a region is not looked at.
            if self._kept(first, block.shape[1]).any():
                self._held.append((first, block))

    def _forget(self, before: int) -> None:
        self._held = [(first, rows) for first, rows in self._held if first + rows.shape[1] > before]


def merged(regions: Sequence[Region]) -> list[Region]:
    """Regions in order of time, of which none touches another."""
    found: list[Region] = []
    for region in sorted(regions):
        if found and region.start <= found[-1].stop:
            found[-1] = Region(found[-1].start, max(found[-1].stop, region.stop))
        else:
            found.append(region)
    return found
