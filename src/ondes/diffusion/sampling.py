"""The sampling loop: a denoiser, a scheduler of diffusers, and noise to begin with."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from torch import Tensor

from ondes.diffusion.guidance import Denoiser


def denoise(denoiser: Denoiser, noise: Tensor, *, scheduler: Any, steps: int) -> Tensor:
    """Data from noise.

    Args:
        denoiser: Predicts the velocity (see `ondes.diffusion.flow`).
        noise: Standard normal (batch, ...).
        scheduler: Any flow-matching scheduler of diffusers, or DPM-Solver++ or UniPC with `use_flow_sigmas`.
        steps: Steps of the solver; a second-order solver such as Heun evaluates the network twice in a step.

    Returns:
        The data, of the noise's shape.

    Raises:
        ValueError: If there is no step to take.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps: at least 1 is needed")
    set_levels(scheduler, steps)
    noisy = noise
    # A scheduler's timesteps may be rounded to integers; its sigmas are the levels of the path themselves.
    for timestep, level in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        velocity = denoiser(noisy, level.float().expand(len(noise)).to(noise))
        noisy = scheduler.step(velocity, timestep, noisy, return_dict=False)[0]
    return noisy


def set_levels(scheduler: Any, steps: int) -> None:
    """Give a scheduler evenly spaced noise levels from 1 to 1 / steps, where it lets itself be told.

    The default of diffusers' Euler scheduler takes its last step at level 0.001, which changes nothing.
    """
    if "sigmas" in inspect.signature(scheduler.set_timesteps).parameters:
        scheduler.set_timesteps(num_inference_steps=steps, sigmas=np.linspace(1, 1 / steps, steps))
    else:
        scheduler.set_timesteps(steps)
