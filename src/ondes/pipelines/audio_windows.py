"""Windows of log-mel that the audio pipeline's network fills, given what is known of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ondes.diffusion.flow import mix
from ondes.diffusion.guidance import Denoiser, guide, hold
from ondes.diffusion.noise import position_noise
from ondes.diffusion.sampling import denoise, invert
from ondes.models.mel_unet import MelUNet
from ondes.models.note_denoiser import NoteDenoiser
from ondes.pipelines.loading import fast_arithmetic
from ondes.pipelines.samplers import (
    checked_guidance,
    checked_steps,
    checked_temperature,
    make_scheduler,
)
from ondes.representations.segments import Segment

Progress = Callable[[float, float], None]
"""Called with the seconds of audio made and to be made; it may raise to stop the work."""


class Meter:
    """Tells how far a job is, also in the middle of a window.

    Args:
        progress: Whom to tell, if anybody.
        total_s: Seconds of audio to make.
    """

    def __init__(self, progress: Progress | None, total_s: float) -> None:
        self.progress = progress
        self.total_s = total_s
        self.done_s = 0.0

    def tell(self, more_s: float) -> None:
        """So much is made beside what was counted."""
        if self.progress is not None:
            self.progress(min(self.done_s + more_s, self.total_s), self.total_s)

    def count(self, more_s: float) -> None:
        """So much more is made."""
        self.done_s += more_s
        self.tell(0.0)


@dataclass(frozen=True)
class Place:
    """Where a window lies.

    Attributes:
        start_frame: Its first frame, counted so that noise is the same at the same place.
        frames: Its length.
        since_start_s: Seconds from the beginning of the piece to the window.
        until_end_s: Seconds from the window's beginning to the end of the piece.
    """

    start_frame: int
    frames: int
    since_start_s: float = 0.0
    until_end_s: float = math.inf


def place_of(segment: Segment, *, frames_per_second: float, length_s: float, origin_frame: int = 0) -> Place:
    """The place of a segment of a piece.

    Args:
        segment: Frames, counted from `origin_frame` of the piece.
        frames_per_second: Their rate.
        length_s: Of the piece.
        origin_frame: Where counting begins.
    """
    first = origin_frame + segment.start
    since_s = first / frames_per_second
    return Place(first, segment.frames, max(since_s, 0.0), length_s - since_s)


class WindowMaker:
    """Makes features of windows by the network.

    Windows are made one by one, and noise is a function of seed and place, so what else is made changes nothing.

    Args:
        network: The network.
        scheduler: Of the model, where no sampler is named.
        steps: Solver steps.
        sampler: Name of another solver.
        guidance_scale: Weight of the style.
        temperature: Scale of the noise.
        style: Names that the network knows.
        seed: Of the noise.

    Raises:
        UserError: If a setting cannot be used.
    """

    def __init__(
        self,
        network: MelUNet | NoteDenoiser,
        scheduler: Any,
        *,
        steps: int,
        sampler: str | None,
        guidance_scale: float,
        temperature: float,
        style: str | Sequence[str],
        seed: int,
    ) -> None:
        self.network = network
        self.steps = checked_steps(steps)
        self.scale = checked_guidance(guidance_scale)
        self.heat = checked_temperature(temperature)
        self.scheduler = copy.deepcopy(scheduler) if sampler is None else make_scheduler(sampler)
        self.style = (style,) if isinstance(style, str) else tuple(style)
        self.seed = seed
        if isinstance(network, MelUNet):
            network.conditions(1, style=self.style)  # refuses unknown styles before any work

    def noise(self, place: Place) -> Float[Tensor, "1 2 bands frames"]:
        """Noise of a place, as hot as was asked for."""
        noise = position_noise(
            (2, self.network.spec.bands), start_frame=place.start_frame, frames=place.frames, seed=self.seed
        )
        return self.heat * noise[None].to(self.network.device)

    def noised(
        self, features: Float[Tensor, "1 2 bands frames"], place: Place, level: float
    ) -> Float[Tensor, "1 2 bands frames"]:
        """Features with the noise of their place, at a level of the path."""
        return mix(features, self.noise(place), torch.tensor([level], device=features.device))

    @torch.no_grad()
    def make(
        self,
        place: Place,
        values: Float[Tensor, "1 2 bands frames"],
        known: Bool[Tensor, " frames"],
        *,
        begin: Float[Tensor, "1 2 bands frames"] | None = None,
        level: float = 1.0,
        tell: Callable[[float], None] = lambda _: None,
    ) -> Float[Tensor, "1 2 bands frames"]:
        """Features of a window.

        Args:
            place: Where it lies.
            values: Features that are known.
            known: The frames in which they are.
            begin: The point of the path to begin at; the place's noise where missing.
            level: Where on the path that is; at 0 there is nothing to do.
            tell: Called with the share that is done.

        Returns:
            Features of all frames; the known ones as given.
        """
        fixed = known[None, None, None]
        denoiser = telling(
            self._denoiser(place, values, known), lambda calls: tell(calls / len(self.scheduler.timesteps))
        )
        start = self.noise(place) if begin is None else begin
        if level == 0:
            return torch.where(fixed, values, start)
        with fast_arithmetic(self.network.device):
            made = denoise(denoiser, start, scheduler=self.scheduler, steps=self.steps, level=level)
        return torch.where(fixed, values, made.float())

    @torch.no_grad()
    def invert(
        self,
        place: Place,
        features: Float[Tensor, "1 2 bands frames"],
        known: Bool[Tensor, " frames"],
        level: float,
    ) -> Float[Tensor, "1 2 bands frames"]:
        """The point of the path that becomes these features; their known frames are context."""
        with fast_arithmetic(self.network.device):
            denoiser = self._denoiser(place, features, known)
            return invert(denoiser, features, steps=self.steps, level=level).float()

    def _denoiser(self, place: Place, values: Tensor, known: Tensor) -> Denoiser:
        since_s, until_s = place.since_start_s, place.until_end_s
        told = self.network.conditions(1, style=self.style, since_start_s=since_s, until_end_s=until_s)
        untold = self.network.conditions(1, since_start_s=since_s, until_end_s=until_s)
        given = known[None]

        def with_style(noisy: Tensor, level: Tensor) -> Tensor:
            return self.network(noisy, level, told, given)

        def without(noisy: Tensor, level: Tensor) -> Tensor:
            return self.network(noisy, level, untold, given)

        # Where no style is named both are the same.
        guided = guide(with_style, without, scale=self.scale if self.style else 1.0)
        return hold(guided, values, known[None, None, None])


def telling(denoiser: Denoiser, tell: Callable[[int], None]) -> Denoiser:
    """A denoiser that says how often it was called, before each answer but the first."""
    calls = 0

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        nonlocal calls
        if calls:
            tell(calls)
        calls += 1
        return denoiser(noisy, level)

    return denoise


def windows_between(
    first: int, stop: int, end: int, *, window: int, context: int, multiple: int
) -> list[Segment]:
    """Windows that make frames `first` to `stop` of `end`, one after another, with what is known around them.

    Frames before `first` and from `stop` on are known. The last window sees those on both sides.

    Args:
        first: First frame to make.
        stop: Frame after the last one.
        end: Frames there are.
        window: Most frames of a window.
        context: Frames of a window that are known, on a side where they are.
        multiple: All windows are whole multiples of this, so the last may reach beyond the end.

    Raises:
        ValueError: If a window has no room for new frames between two contexts, or sizes are not multiples.
    """
    if not 0 <= 2 * context < window or window % multiple or context % multiple:
        raise ValueError(f"windows of {window}, {context} known, in multiples of {multiple}: no such plan")
    found: list[Segment] = []
    made = first
    while made < stop:
        start = max(0, made - context)
        reach = min(end, stop + context)
        if reach - start <= window:
            frames = -(-(reach - start) // multiple) * multiple
            found.append(Segment(start, made - start, start + frames))
            break
        room = window - (made - start)
        # What is left fits into the next window only with the context after it.
        new = room if stop - made > room else (stop - made) // 2
        frames = -(-(made - start + new) // multiple) * multiple
        found.append(Segment(start, made - start, start + frames))
        made = start + frames
    return found


def mirrored(plan: Sequence[Segment], end: int) -> list[Segment]:
    """Windows of a plan for the same frames in reverse: what they know lies at their ends.

    A window that reached beyond the end now begins before the first frame.
    """
    return [Segment(end - one.stop, one.known, end - one.start) for one in plan]


def frames_of(samples: float, hop_samples: int) -> int:
    """Frames that hold so many samples."""
    return math.ceil(samples / hop_samples)
