"""Vocoding between two sounds: phases go on from the one, and arrive at the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ondes.models.griffin_lim import transform
from ondes.models.overlap_add import OverlapAdd
from ondes.models.vocoder import BLOCK_FRAMES, TONE_KNOT_FRAMES, Vocoder, to_unit
from ondes.representations.mel import MelSpec, to_log_mel

STEER_FRAMES = TONE_KNOT_FRAMES
"""Frames over which phases are turned from what they must be at a join to what the vocoder would have them be. A turn
by half a period over so many moves a tone by 0.9 Hz."""

LEAST_MAGNITUDE = 1e-2
MOST_GAIN = 2.0
"""Bins of -80 dB or less are as good as silent, and none is moved by more than two nepers, 17 dB."""

TOUCHING_FRAMES = 3
"""Frames whose windows reach over a join."""


class Surroundings(NamedTuple):
    """Frames of a sound on one side of what is to be vocoded.

    Attributes:
        log_mel: What the vocoder hears (2, bands, frames).
        spectrum: The short-time Fourier transform (2, bins, frames).
    """

    log_mel: Float[Tensor, "2 bands frames"]
    spectrum: Complex[Tensor, "2 bins frames"]

    def to(self, device: torch.device) -> Surroundings:
        """The same on a device."""
        return Surroundings(self.log_mel.to(device), self.spectrum.to(device))


def surroundings(samples: Float[Tensor, "2 time"], first: int, stop: int, *, spec: MelSpec) -> Surroundings:
    """Frames `first` to `stop` of a sound of whole hops."""
    begin = max(0, first - 2) * spec.hop_samples
    around = samples[:, begin : (stop + 2) * spec.hop_samples]
    inside = slice(first - max(0, first - 2), stop - max(0, first - 2))
    return Surroundings(to_log_mel(around, spec=spec)[..., inside], transform(around, spec)[..., inside])


def voiced_between(
    vocoder: Any,
    pieces: Iterable[Float[Tensor, "2 bands _"]],
    frames: int,
    *,
    before: Surroundings | None,
    after: Surroundings | None,
) -> Iterator[Float[Tensor, "2 _"]]:
    """The sound of log-mel pieces that lie between two sounds.

    A `Vocoder` begins with the phases of the sound before, channel by channel, and turns its last phases to those of
    the sound after, so that both can be faded into without any part of a tone being cancelled. Others only hear what
    lies on both sides.

    Args:
        vocoder: A `Vocoder`, or another with a stream.
        pieces: Log-mel that follow one another.
        frames: Of all pieces.
        before: The sound that ends where the pieces begin.
        after: The sound that begins where they end.

    Yields:
        frames * hop samples in all.
    """
    before, after = (None if side is None else side.to(vocoder.device) for side in (before, after))
    if isinstance(vocoder, Vocoder):
        blocks = _JoinedStream(vocoder, frames, before, after).run(pieces)
        lead = 0 if before is None else min(TOUCHING_FRAMES, before.log_mel.shape[-1])
    else:
        blocks = _heard(vocoder, pieces, before, after)
        lead = 0 if before is None else before.log_mel.shape[-1]
    skip, left = lead * vocoder.spec.hop_samples, frames * vocoder.spec.hop_samples
    for block in blocks:
        kept = block[:, skip:][:, :left]
        skip, left = max(0, skip - block.shape[1]), left - kept.shape[1]
        if kept.shape[1]:
            yield kept.cpu()


def _heard(
    vocoder: Any, pieces: Iterable[Tensor], before: Surroundings | None, after: Surroundings | None
) -> Iterator[Tensor]:
    """The sound of all three."""
    stream = vocoder.stream()
    waiting = None if before is None else before.log_mel
    for piece in [*pieces, *([] if after is None else [after.log_mel])]:
        if waiting is not None:
            yield stream.push(waiting.to(vocoder.device)).cpu().float()
        waiting = piece
    if waiting is not None:
        yield stream.push(waiting.to(vocoder.device), last=True).cpu().float()


class _JoinedStream:
    """The work of `voiced_between` for a `Vocoder`, in blocks as those of its own stream."""

    def __init__(
        self, vocoder: Vocoder, frames: int, before: Surroundings | None, after: Surroundings | None
    ) -> None:
        self.vocoder, self.frames, self.before, self.after = vocoder, frames, before, after
        spec, reach = vocoder.spec, vocoder.reach_frames
        self.overlap = OverlapAdd(spec, vocoder.device)
        self.mel = torch.zeros(2, spec.bands, 0, device=vocoder.device)
        self.phasors: Tensor | None = None
        # The frame before the first is made as well, to find out how far its phases are off.
        self.done = 0
        if before is not None:
            self.mel = before.log_mel[..., -reach - 1 :]
            self.done = -1
        self.first = -self.mel.shape[-1]
        self.stop = frames + (after is not None)
        self.turn: Tensor | None = None
        self.waiting = torch.zeros(2, vocoder.bins, 0, dtype=torch.complex64, device=vocoder.device)

    def run(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Samples from the touching frames before to those after."""
        if self.before is not None:
            yield self.overlap.push(self.before.spectrum[..., -TOUCHING_FRAMES:])
        for piece in pieces:
            yield from self._push(piece)
        if self.after is not None:
            yield from self._push(self.after.log_mel[..., : self.vocoder.reach_frames + 1])
        while self.done < self.stop:
            yield self._block(min(self.stop, self.done + BLOCK_FRAMES))
        if self.after is not None:
            yield self.overlap.push(self.after.spectrum[..., :TOUCHING_FRAMES])
        yield self.overlap.finish()

    def _push(self, piece: Tensor) -> Iterator[Tensor]:
        self.mel = torch.cat([self.mel, piece.to(self.vocoder.device)], -1)
        reach = self.vocoder.reach_frames
        while self.done + BLOCK_FRAMES + reach <= min(self.first + self.mel.shape[-1], self.stop + reach - 1):
            yield self._block(self.done + BLOCK_FRAMES)

    @torch.no_grad()
    def _block(self, stop: int) -> Tensor:
        """Samples that are certain once the frames up to `stop` are made."""
        vocoder, start = self.vocoder, self.done
        reach = vocoder.reach_frames
        window = self.mel[None, ..., : stop + reach - self.first]
        predictions = vocoder.predict(window).frames(slice(start - self.first, stop - self.first))
        if start == -1 and self.before is not None:
            state = to_unit(self.before.spectrum.sum(0)[None, : vocoder.tonal_bins, -1])
            rest = predictions.frames(slice(1, None))
            phasors = torch.cat([state[..., None], vocoder.integrate(rest, state)], -1)
        else:
            phasors = vocoder.integrate(predictions, self.phasors)
        self.phasors = phasors[..., -1]
        spectrum = vocoder.spectrum(predictions, phasors, start_frame=start)[0]
        if start == -1 and self.before is not None:
            self.turn = _difference(self.before.spectrum[..., -1], spectrum[..., 0])
            spectrum = spectrum[..., 1:]
        kept = max(self.first, stop - reach)
        self.mel, self.first, self.done = self.mel[..., kept - self.first :], kept, stop
        self.waiting = torch.cat([self.waiting, self._from_before(spectrum, max(start, 0))], -1)
        return self._ready(stop)

    def _from_before(self, spectrum: Tensor, start: int) -> Tensor:
        """Frames from `start` on, with the phases of the sound before, which they lose little by little."""
        if self.turn is None:
            return spectrum
        return spectrum * _turned(self.turn, torch.arange(start, start + spectrum.shape[-1]) + 1, self.frames)

    def _ready(self, stop: int) -> Tensor:
        """Samples of the frames that the sound after does not touch; of all of them once its first frame is made."""
        if self.after is None:
            ready, self.waiting = self.waiting, self.waiting[..., :0]
            return self.overlap.push(ready) if ready.shape[-1] else ready.real[:, 0, :0]
        if stop < self.stop:
            count = max(0, self.waiting.shape[-1] - STEER_FRAMES - 1)
            ready, self.waiting = self.waiting[..., :count], self.waiting[..., count:]
            return self.overlap.push(ready) if count else ready.real[:, 0]
        turn = _difference(self.after.spectrum[..., 0], self.waiting[..., -1])
        ready = self.waiting[..., :-1]
        away = torch.arange(ready.shape[-1], 0, -1)
        return self.overlap.push(ready * _turned(turn, away, self.frames))


def _difference(wanted: Tensor, made: Tensor) -> Tensor:
    """Logarithm of what bins of a frame are to be multiplied with to be those that are wanted, up to a limit."""
    louder = ((wanted.abs() + LEAST_MAGNITUDE) / (made.abs() + LEAST_MAGNITUDE)).log()
    limit = MOST_GAIN
    return torch.complex(louder.clamp(-limit, limit), (wanted * made.conj()).angle())


def _turned(turn: Tensor, away: Tensor, frames: int) -> Tensor:
    """Factors that bring frames to what is wanted at a join, the less the farther away they are from it."""
    reach = min(STEER_FRAMES, frames) + 1
    share = (1 + torch.cos(math.pi * (away / reach).clamp(max=1))) / 2
    return (turn[..., None] * share.to(turn.device)).exp()
