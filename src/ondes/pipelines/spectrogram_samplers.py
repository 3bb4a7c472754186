"""Samplers of Spectrogram Diffusion by name: schedulers for its cosine schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from ondes.diffusion.ancestral import AncestralScheduler
from ondes.diffusion.log_snr import cosine_betas
from ondes.errors import UserError, nearest

TRAIN_STEPS = 1000

CLIPPED = {"thresholding": True, "sample_max_value": 1.0}
"""With a greatest value of 1, dynamic thresholding is clipping to [-1, 1], which the first steps cannot do without."""


def _solver(scheduler: Any, **settings: Any) -> Callable[[str], Any]:
    """A discrete scheduler on the exact schedule."""
    return lambda prediction: scheduler(
        trained_betas=cosine_betas(TRAIN_STEPS).tolist(), prediction_type=prediction, **settings
    )


SPECTROGRAM_SAMPLERS: dict[str, Callable[[str], Any]] = {
    "dpm++": _solver(DPMSolverMultistepScheduler, **CLIPPED),
    "unipc": _solver(UniPCMultistepScheduler, **CLIPPED),
    "ddim": _solver(DDIMScheduler, timestep_spacing="trailing"),
    "ancestral": lambda prediction: AncestralScheduler(prediction_type=prediction),
    "ancestral-small": lambda prediction: AncestralScheduler(
        prediction_type=prediction, variance_type="small"
    ),
    "port": lambda prediction: AncestralScheduler(
        prediction_type=prediction, variance_type="small", grid="points"
    ),
    "ddpm": lambda prediction: DDPMScheduler.from_config(
        {
            "beta_schedule": "squaredcos_cap_v2",
            "variance_type": "fixed_large",
            "prediction_type": prediction,
        }
    ),
}
"""What makes each from what the network predicts.

"ancestral" is the official sampler (1000 steps), "port" that of its PyTorch port (1000), "ddpm" that of diffusers
(100), with their own steps and noise levels. The others need 10 to 50.
"""


def make_spectrogram_scheduler(name: str, *, prediction_type: str = "epsilon") -> Any:
    """A scheduler for a sampler's name.

    Raises:
        UserError: If there is no such sampler.
    """
    if name not in SPECTROGRAM_SAMPLERS:
        raise UserError(f"there is no sampler {name!r} for this model: {nearest(name, SPECTROGRAM_SAMPLERS)}")
    return SPECTROGRAM_SAMPLERS[name](prediction_type)
