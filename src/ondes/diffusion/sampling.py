"""The sampling loop: a denoiser, a scheduler of diffusers, and noise to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor

from ondes.diffusion.guidance import Denoiser


class Scheduler(Protocol):
    """What the loop needs of a diffusers scheduler that predicts flow."""

    config: Any
    timesteps: Tensor
    sigmas: Tensor

    def set_timesteps(self, *args: Any, **settings: Any) -> None:
        """Choose the levels."""
        ...

    def step(self, *args: Any, **settings: Any) -> Any:
        """One step of the solver."""
        ...


def denoise_steps(denoiser: Denoiser, noise: Tensor, *, scheduler: Scheduler, steps: int) -> Iterator[Tensor]:
    """The batch after each evaluation of the network, from pure noise to data.

    Args:
        denoiser: Predicts the velocity (see `ondes.diffusion.flow`).
        noise: Standard normal (batch, ...).
        scheduler: Any flow-matching scheduler of diffusers, or DPM-Solver++ or UniPC with `use_flow_sigmas`.
        steps: Steps of the solver; a second-order solver such as Heun evaluates the network twice in a step.

    Raises:
        ValueError: If there is no step to take.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps: at least 1 is needed")
    scheduler.set_timesteps(steps)
    levels_per_timestep = scheduler.config.get("num_train_timesteps", 1000)
    noisy = noise
    for timestep in scheduler.timesteps:
        level = (timestep.float() / levels_per_timestep).expand(len(noise)).to(noise.device)
        noisy = scheduler.step(denoiser(noisy, level), timestep, noisy, return_dict=False)[0]
        yield noisy


def denoise(denoiser: Denoiser, noise: Tensor, *, scheduler: Scheduler, steps: int) -> Tensor:
    """Data from noise; the last batch of `denoise_steps`."""
    *_, data = denoise_steps(denoiser, noise, scheduler=scheduler, steps=steps)
    return data
