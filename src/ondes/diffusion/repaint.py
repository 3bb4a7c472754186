"""RePaint: an unconditional model fills holes, going back and forth in noise so that both sides agree.

Lugmayr et al. (2022), arXiv 2201.09865. For networks that learned to be given a part there is
`ondes.diffusion.guidance.hold`, at a tenth of the price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from diffusers.schedulers.scheduling_repaint import RePaintScheduler
from torch import Tensor

from ondes.diffusion.ddim import (
    Generators,
    NoiseDenoiser,
    add_noise,
    ddim_step,
    draw_like,
    whole_timesteps,
)


def repaint_path(steps: int, *, jump_length: int = 10, jumps: int = 10) -> list[int]:
    """Places in a grid of timesteps, 0 being the last: falling ones ask the network, rising ones add noise.

    Args:
        steps: Of the grid.
        jump_length: Steps that are taken back at a time.
        jumps: How often each stretch of this length is denoised.

    Raises:
        ValueError: If one of them is less than 1.
    """
    if min(steps, jump_length, jumps) < 1:
        raise ValueError(f"{steps} steps, jumps of {jump_length}, {jumps} times: each must be 1 or more")
    scheduler = RePaintScheduler(num_train_timesteps=steps)
    scheduler.set_timesteps(steps, jump_length=jump_length, jump_n_sample=jumps)
    return scheduler.timesteps.tolist()


def evaluations(path: Sequence[int]) -> int:
    """How often the network is asked on a path."""
    before = [path[0] + 1, *path[:-1]]
    return sum(place < last for place, last in zip(path, before, strict=True))


def repaint_steps(
    denoiser: NoiseDenoiser,
    noisy: Tensor,
    values: Tensor,
    known: Tensor,
    timesteps: Sequence[int],
    path: Sequence[int],
    *,
    kept: Sequence[float],
    eta: float = 0.0,
    clip: float | None = 1.0,
    generators: Generators | None = None,
) -> Iterator[Tensor]:
    """The examples after each evaluation of the network; the last hold the known values untouched.

    Args:
        denoiser: Of the noise.
        noisy: Standard normal (batch, ...).
        values: What is given, of the same shape.
        known: True where it is given; broadcasts to the examples.
        timesteps: A grid, noisiest first; `ondes.diffusion.ddim`.
        path: Over that grid; `repaint_path`.
        kept: Of every timestep of the schedule.
        eta: As of `ondes.diffusion.ddim.ddim_step`.
        clip: As of `ondes.diffusion.ddim.ddim_step`.
        generators: One an example, of the noise that is added on the way.
    """
    levels = [kept[timestep] for timestep in reversed(timesteps)]
    rising = list(reversed(timesteps))
    last = path[0] + 1
    for place in path:
        if place > last:
            # After a step from `last` the examples are one level lower, and come back to it.
            ratio = levels[last] / (levels[last - 1] if last else 1.0)
            noisy = ratio**0.5 * noisy + (1 - ratio) ** 0.5 * draw_like(noisy, generators)
        else:
            answer = denoiser(noisy, whole_timesteps(rising[place], noisy))
            lower = levels[place - 1] if place else 1.0
            noise = draw_like(noisy, generators)
            settings = {"eta": eta, "clip": clip, "generators": generators}
            made = ddim_step(noisy, answer, levels[place], lower, **settings)
            noisy = torch.where(known, add_noise(values, noise, lower), made)
            yield noisy
        last = place


def published_repaint_steps(
    denoiser: NoiseDenoiser,
    noisy: Tensor,
    values: Tensor,
    known: Tensor,
    scheduler: Any,
    *,
    steps: int,
    jump_length: int = 10,
    jumps: int = 10,
    eta: float = 0.0,
    generators: Generators | None = None,
) -> Iterator[Tensor]:
    """The same by diffusers' RePaintScheduler, as published: its grid, and its noise, that of a stretch too high.

    Args:
        denoiser: As of `repaint_steps`.
        noisy: As of `repaint_steps`.
        values: As of `repaint_steps`.
        known: As of `repaint_steps`.
        scheduler: Any of diffusers, for its schedule.
        steps: Of the grid.
        jump_length: As of `repaint_path`.
        jumps: As of `repaint_path`.
        eta: As of `ondes.diffusion.ddim.ddim_step`.
        generators: As of `repaint_steps`.
    """
    names = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "clip_sample")
    repaint = RePaintScheduler(eta=eta, **{name: scheduler.config[name] for name in names})
    repaint.set_timesteps(steps, jump_length=jump_length, jump_n_sample=jumps)
    chance: Any = None if generators is None else list(generators)
    mask = known.expand_as(noisy).to(noisy.dtype)
    last = int(repaint.timesteps[0]) + 1
    for timestep in repaint.timesteps.tolist():
        if timestep < last:
            answer = denoiser(noisy, whole_timesteps(timestep, noisy))
            made: Any = repaint.step(answer, timestep, noisy, values, mask, chance)
            noisy = made.prev_sample
            yield noisy
        else:
            noisy = repaint.undo_step(noisy, last, chance)  # pyright: ignore[reportArgumentType]
        last = timestep
