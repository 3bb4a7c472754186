"""Inpainting by replacement: the known part of an example, with the right noise, guides the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ondes.diffusion.guidance import Denoiser
from ondes.diffusion.timesteps import Generators, noise_level, take_step


def inpaint_steps(
    denoiser: Denoiser,
    noise: Tensor,
    values: Tensor,
    known: Tensor,
    *,
    scheduler: Any,
    steps: int,
    generators: Generators | None = None,
    visits: int = 1,
) -> Iterator[Tensor]:
    """The examples after each step, the known part replaced before it by alpha values + sigma noise.

    Lugmayr et al. (2022), arXiv 2201.09865, algorithm 1, with the first noise of the known part kept through all
    steps, so that solvers without chance see a smooth path. The last examples hold the known values untouched.

    Args:
        denoiser: As of `ondes.diffusion.timesteps.denoise_steps`, for any network.
        noise: Standard normal (batch, ...).
        values: What is given, of the noise's shape.
        known: True where it is given; broadcasts to the noise.
        scheduler: As of `denoise_steps`.
        steps: How many timesteps.
        generators: One an example, of the noise that is added on the way.
        visits: How often each step is taken, noise being added again in between: known and unknown parts fit better.

    Raises:
        ValueError: If steps are to be taken again with a solver that remembers the ones before.
    """
    if visits < 1:
        raise ValueError(f"{visits} visits: at least 1 is needed")
    if visits > 1 and hasattr(scheduler, "step_index"):
        raise ValueError(
            f"{type(scheduler).__name__} remembers its steps, so they cannot be taken {visits} times; "
            "use an ancestral sampler, DDPM or DDIM"
        )
    scheduler.set_timesteps(steps)
    noisy = noise * float(scheduler.init_noise_sigma)
    timesteps = scheduler.timesteps
    for number, timestep in enumerate(timesteps):
        level = noise_level(scheduler, timestep)
        last = number + 1 == len(timesteps)
        for visit in range(1 if last else visits):
            if visit:
                noisy = _add_noise(noisy, noise_level(scheduler, timesteps[number + 1]), level, generators)
            noisy = torch.where(known, level[0] * values + level[1] * noise, noisy)
            noisy = take_step(denoiser, noisy, timestep, scheduler=scheduler, generators=generators)
        yield torch.where(known, values, noisy) if last else noisy


def _add_noise(
    noisy: Tensor, level: tuple[float, float], more: tuple[float, float], generators: Generators | None
) -> Tensor:
    """Examples of one noise level, at a noisier one: a step of the process that makes noise of data."""
    ratio = more[0] / level[0]
    spread = max(0.0, more[1] ** 2 - (ratio * level[1]) ** 2) ** 0.5
    chance = None if generators is None else list(generators)
    return ratio * noisy + spread * randn_tensor(
        noisy.shape, generator=chance, device=noisy.device, dtype=noisy.dtype
    )
