"""The sampling loop over schedulers of diffusers that count in timesteps and keep the variance."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ondes.diffusion.guidance import Denoiser

Generators = Sequence[torch.Generator]
"""One an example, on the CPU, so that the noise of an example does not depend on its batch or device."""


def network_time(scheduler: Any, timestep: Tensor | float) -> float:
    """The time, 0 (data) to 1 (noise), that the network is told at a timestep.

    A scheduler with the `trained_betas` of `ondes.diffusion.log_snr.cosine_betas` has at index i the noise of time
    (i + 1) / n. For all others it is timestep / n, as in diffusers' own Spectrogram Diffusion, whose noise at a time
    differs a little from that of training.
    """
    exact = scheduler.config.get("trained_betas") is not None
    return (float(timestep) + exact) / float(scheduler.config["num_train_timesteps"])


def noise_level(scheduler: Any, timestep: Tensor | float) -> tuple[float, float]:
    """Shares alpha of data and sigma of noise in an example at a timestep."""
    if hasattr(scheduler, "alpha_sigma"):
        return scheduler.alpha_sigma(timestep)
    kept = float(scheduler.alphas_cumprod[int(timestep)])
    return kept**0.5, (1 - kept) ** 0.5


def denoise_steps(
    denoiser: Denoiser,
    noise: Tensor,
    *,
    scheduler: Any,
    steps: int,
    generators: Generators | None = None,
) -> Iterator[Tensor]:
    """The examples after each step; the last are the data.

    Args:
        denoiser: Answers as the scheduler's `prediction_type` says; its level is the time of `network_time`.
        noise: Standard normal (batch, ...).
        scheduler: Any of diffusers for the variance-preserving process, or ours.
        steps: How many times the network is asked.
        generators: Of the noise that a sampler adds on its way.
    """
    scheduler.set_timesteps(steps)
    noisy = noise * float(scheduler.init_noise_sigma)
    for timestep in scheduler.timesteps:
        noisy = take_step(denoiser, noisy, timestep, scheduler=scheduler, generators=generators)
        yield noisy


def take_step(
    denoiser: Denoiser, noisy: Tensor, timestep: Tensor, *, scheduler: Any, generators: Generators | None
) -> Tensor:
    """The examples at the scheduler's next timestep."""
    level = torch.full((len(noisy),), network_time(scheduler, timestep), device=noisy.device)
    answer = denoiser(scheduler.scale_model_input(noisy, timestep), level)
    chance = {}
    if generators is not None and "generator" in inspect.signature(scheduler.step).parameters:
        chance = {"generator": list(generators)}
    return scheduler.step(answer, timestep, noisy, return_dict=False, **chance)[0]
