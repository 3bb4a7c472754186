"""Samplers of Spectrogram Diffusion by name: schedulers for its cosine schedule, and the choices of a caller."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from ondes.diffusion.ancestral import AncestralScheduler
from ondes.diffusion.log_snr import cosine_betas
from ondes.errors import UserError, nearest
from ondes.pipelines.spectrogram_judge import Transcriber
from ondes.pipelines.spectrogram_segments import Sampling

TRAIN_STEPS = 1000

LONGEST_STEPS = 10_000
"""Of a sampler in continuous time; the others have no more than their schedule."""

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
    "ancestral-medium": lambda prediction: AncestralScheduler(
        prediction_type=prediction, variance_type="medium:0.5"
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

"ancestral" is the official sampler, "port" that of its PyTorch port, "ddpm" that of diffusers, with their own steps and
noise levels. The others need 10 to 50 steps.
"""


SAMPLER_STEPS = {
    "ancestral": 1000,
    "ancestral-small": 1000,
    "ancestral-medium": 1000,
    "port": 1000,
    "ddpm": 100,
}
"""What the samplers of other programs take where nobody says how many, since with a few they make noise."""


def make_spectrogram_scheduler(name: str, *, prediction_type: str = "epsilon") -> Any:
    """A scheduler for a sampler's name.

    Raises:
        UserError: If there is no such sampler.
    """
    if name not in SPECTROGRAM_SAMPLERS:
        raise UserError(f"there is no sampler {name!r} for this model: {nearest(name, SPECTROGRAM_SAMPLERS)}")
    return SPECTROGRAM_SAMPLERS[name](prediction_type)


def choose_sampling(
    own: Any,
    *,
    default_steps: int,
    default_guidance: float,
    seed: int = 0,
    steps: int | None = None,
    sampler: str | None = None,
    guidance_scale: float | None = None,
    guidance_interval: tuple[float, float] | None = None,
    guidance_rescale: float = 0.0,
    visits: int = 1,
    transcriber: Transcriber | None = None,
    transcriber_scale: float = 1.0,
) -> Sampling:
    """The choices of a caller, checked, with those of the model filled in.

    Args:
        own: The scheduler of the model, which is copied.
        default_steps: Those of the model, for samplers without steps of their own.
        default_guidance: The same of the guidance scale.
        seed: This and all others as of `SpectrogramDiffusionPipeline.stream`.
        steps: See there.
        sampler: See there.
        guidance_scale: See there.
        guidance_interval: See there.
        guidance_rescale: See there.
        visits: See there.
        transcriber: See there.
        transcriber_scale: See there.

    Raises:
        UserError: If one is not allowed.
    """
    prediction = str(own.config.get("prediction_type", "epsilon"))
    scheduler = functools.partial(copy.deepcopy, own)
    if sampler is not None:
        scheduler = functools.partial(make_spectrogram_scheduler, sampler, prediction_type=prediction)
    solver = scheduler()
    steps = SAMPLER_STEPS.get(sampler or "", default_steps) if steps is None else steps
    discrete = not isinstance(solver, AncestralScheduler)
    most = int(solver.config["num_train_timesteps"]) if discrete else LONGEST_STEPS
    if not 1 <= steps <= most:
        raise UserError(f"{steps} steps: 1 to {most} are allowed with this sampler, 10 to 1000 are useful")
    scale = float(default_guidance if guidance_scale is None else guidance_scale)
    for number, what in ((scale, "guidance"), (transcriber_scale, "transcriber")):
        if not math.isfinite(number) or number < 0:
            raise UserError(f"a {what} scale of {number}: 0 or more is allowed, 1 to 5 are useful")
    low, high = guidance_interval or (0.0, 1.0)
    if not 0 <= low <= high <= 1:
        raise UserError(f"a guidance interval from {low} to {high}: times from 0 to 1 are allowed, rising")
    if not 0 <= guidance_rescale <= 1:
        raise UserError(f"a guidance rescale of {guidance_rescale}: 0 to 1 are allowed")
    if visits < 1 or (visits > 1 and hasattr(solver, "step_index")):
        raise UserError(
            f"{visits} visits of each step: 1 is allowed, and more with a sampler that has no memory, as 'ddim'"
        )
    return Sampling(
        seed,
        steps,
        scheduler,
        scale,
        guidance_interval,
        float(guidance_rescale),
        int(visits),
        transcriber,
        float(transcriber_scale),
    )
