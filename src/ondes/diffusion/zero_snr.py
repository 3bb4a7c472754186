"""The velocity objective on a schedule that ends in pure noise.

Lin et al. (2023), arXiv 2305.08891: the last level of training is the first of sampling, so nothing of the data may be
left in it, and the network answers with Salimans and Ho's (2022), arXiv 2202.00512, v = alpha noise - sigma data, which
is of use there too.
"""

from __future__ import annotations

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from jaxtyping import Bool, Float, Int
from torch import Tensor


def zero_snr_scheduler(steps: int = 1000) -> DDIMScheduler:
    """DDIM on the cosine schedule, rescaled so that it ends in pure noise; the network answers with v.

    Args:
        steps: Levels in training.
    """
    return DDIMScheduler(
        num_train_timesteps=steps,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
    )


def noisy_and_velocity(
    data: Float[Tensor, "batch ..."],
    noise: Float[Tensor, "batch ..."],
    timestep: Int[Tensor, " batch"],
    scheduler: DDIMScheduler,
) -> tuple[Tensor, Tensor]:
    """Examples at a timestep, and what the network should answer there."""
    kept = scheduler.alphas_cumprod.to(data.device)[timestep].reshape(-1, *[1] * (data.ndim - 1))
    alpha, sigma = kept.sqrt(), (1 - kept).clamp(min=0).sqrt()
    return alpha * data + sigma * noise, alpha * noise - sigma * data


def mean_squared(
    answer: Float[Tensor, "batch notes features"],
    truth: Float[Tensor, "batch notes features"],
    counted: Bool[Tensor, "batch notes"],
) -> Tensor:
    """Mean square of the difference over the notes that count; 0 where there are none."""
    weights = counted[..., None].to(answer.dtype)
    return ((answer - truth).square() * weights).sum() / (weights.sum() * answer.shape[-1]).clamp(min=1)


def to_level(timestep: Int[Tensor, " batch"], scheduler: DDIMScheduler) -> Float[Tensor, " batch"]:
    """What the network is told, 1 at the last timestep."""
    return (timestep.float() + 1) / torch.tensor(float(scheduler.config["num_train_timesteps"]))
