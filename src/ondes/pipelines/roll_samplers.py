"""Samplers of Mixture2Music by name: schedulers of diffusers set up as published, or with a real cosine."""

from __future__ import annotations

from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from ondes.errors import UserError, nearest
from ondes.pipelines.dmc import LINEAR

SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddim": (DDIMScheduler, {"set_alpha_to_one": False}),
    "ddpm": (DDPMScheduler, {"variance_type": "fixed_small"}),
}
"""Scheduler and settings of each sampler; DDIM stops at the cleanest level of noise, as published."""

SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
"""The published schedule, which its code calls cosine, and the cosine (Nichol and Dhariwal 2021, arXiv 2102.09672)."""


def make_roll_scheduler(sampler: str, schedule: str = "linear") -> Any:
    """A scheduler by the names of a sampler and a noise schedule.

    Raises:
        UserError: If there is no such sampler or schedule.
    """
    if sampler not in SAMPLERS:
        raise UserError(f"there is no sampler {sampler!r}: {nearest(sampler, SAMPLERS)}")
    if schedule not in SCHEDULES:
        raise UserError(f"there is no noise schedule {schedule!r}: {nearest(schedule, SCHEDULES)}")
    scheduler, settings = SAMPLERS[sampler]
    shape = {**LINEAR, "beta_schedule": SCHEDULES[schedule], "timestep_spacing": "trailing"}
    return scheduler(**shape, **settings)
