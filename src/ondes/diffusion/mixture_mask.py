"""Explicit guidance by a mixture: what is diffused lives where the mixture sounds, at every step.

Han et al. (2022), arXiv 2209.02696: with data x that are zero outside a mask m, m * (alpha x + sigma noise) is
diffusion in the space of what the mask holds. The published DDPM sampler forgets the mask, and its DDIM sampler lets
the network's answer leak out of it; here every answer and every state is projected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ondes.diffusion.guidance import Denoiser
from ondes.diffusion.timesteps import Generators, take_step


def within(denoiser: Denoiser, mask: Tensor) -> Denoiser:
    """The same denoiser, zero wherever the mask is.

    Args:
        denoiser: Of any prediction that is zero where data and noise are: noise, data or velocity.
        mask: 0 and 1; broadcasts to the examples.
    """

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        return mask * denoiser(mask * noisy, level)

    return denoise


def within_steps(
    denoiser: Denoiser,
    noise: Tensor,
    mask: Tensor,
    *,
    scheduler: Any,
    steps: int,
    generators: Generators | None = None,
) -> Iterator[Tensor]:
    """The examples after each step, all of them zero outside the mask; the last are the data.

    Args:
        denoiser: As of `ondes.diffusion.timesteps.denoise_steps`.
        noise: Standard normal (batch, ...).
        mask: As of `within`.
        scheduler: As of `denoise_steps`.
        steps: How many times the network is asked.
        generators: One an example, of the noise that is added on the way.
    """
    scheduler.set_timesteps(steps)
    guided = within(denoiser, mask)
    noisy = mask * noise * float(scheduler.init_noise_sigma)
    for timestep in scheduler.timesteps:
        noisy = mask * take_step(guided, noisy, timestep, scheduler=scheduler, generators=generators)
        yield noisy
