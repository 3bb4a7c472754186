"""Sounds in blocks at the rate of the model and back, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ondes.pipelines.audio_inputs import SoundSource
from ondes.representations.mel import MelSpec
from ondes.representations.mel_stream import stream_log_mel


def resampled(
    blocks: Iterable[Float32[np.ndarray, "channels _"]], from_hz: int, to_hz: int
) -> Iterator[Float32[np.ndarray, "channels _"]]:
    """A sound in blocks at another rate, without a shift in time."""
    if from_hz == to_hz:
        yield from blocks
        return
    import soxr  # noqa: PLC0415

    stream, channels = None, 0
    for block in blocks:
        if stream is None:
            channels = len(block)
            stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="HQ")
        yield stream.resample_chunk(np.ascontiguousarray(block.T)).T
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).T


def exactly(
    blocks: Iterable[Float32[np.ndarray, "channels _"]], first: int, count: int, channels: int
) -> Iterator[Float32[np.ndarray, "channels _"]]:
    """So many samples from the first on, followed by zeros where there are fewer."""
    for block in blocks:
        kept = block[:, first : first + count]
        first = max(0, first - block.shape[1])
        count -= kept.shape[1]
        if kept.shape[1]:
            yield kept
    if count:
        yield np.zeros((channels, count), np.float32)


class MelReader:
    """Reads the log-mel of a sound from its beginning to its end, and silence after it.

    Args:
        sound: Mono or stereo.
        spec: The front end; the sound is brought to its rate.
    """

    def __init__(self, sound: SoundSource, spec: MelSpec) -> None:
        self.spec = spec
        self.pieces = stream_log_mel(self._blocks(sound), spec=spec)
        self.held = torch.zeros(2, spec.bands, 0)

    def _blocks(self, sound: SoundSource) -> Iterator[Float32[np.ndarray, "2 _"]]:
        stereo = (np.repeat(block, 3 - len(block), axis=0) for block in sound.blocks())
        done = 0
        for block in resampled(stereo, sound.sample_rate_hz, self.spec.sample_rate_hz):
            done += block.shape[1]
            yield block
        # Whole hops, and enough of them to be reflected.
        wanted = max(-(-done // self.spec.hop_samples), 4) * self.spec.hop_samples
        yield np.zeros((2, wanted - done), np.float32)

    def take(self, frames: int) -> Float[Tensor, "2 bands {frames}"]:
        """The next frames."""
        while self.held.shape[-1] < frames:
            piece = next(self.pieces, None)
            if piece is None:
                missing = frames - self.held.shape[-1]
                floor = float(np.log(self.spec.floor))
                self.held = torch.nn.functional.pad(self.held, (0, missing), value=floor)
            else:
                self.held = torch.cat([self.held, torch.from_numpy(np.ascontiguousarray(piece))], -1)
        taken, self.held = self.held[..., :frames], self.held[..., frames:]
        return taken
