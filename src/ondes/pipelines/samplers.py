"""Samplers by name: diffusers schedulers set up for the straight path of flow matching."""

from __future__ import annotations

import math
from typing import Any

from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_heun_discrete import FlowMatchHeunDiscreteScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from ondes.errors import UserError, nearest

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
"""What makes a general solver one for flow matching."""

SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "euler": (FlowMatchEulerDiscreteScheduler, {}),
    "heun": (FlowMatchHeunDiscreteScheduler, {}),
    "dpm++": (DPMSolverMultistepScheduler, FLOW),
    "unipc": (UniPCMultistepScheduler, FLOW),
}
"""Scheduler class and settings of each sampler."""


LONGEST_STEPS = 1000


def checked_steps(steps: int) -> int:
    """A number of solver steps.

    Raises:
        UserError: If there can be no such number.
    """
    if not 1 <= steps <= LONGEST_STEPS:
        raise UserError(f"{steps} steps: 1 to {LONGEST_STEPS} are allowed, 4 to 32 are useful")
    return steps


def checked_guidance(scale: float) -> float:
    """A guidance scale.

    Raises:
        UserError: If it is negative or no number.
    """
    if not math.isfinite(scale) or scale < 0:
        raise UserError(f"a guidance scale of {scale}: 0 or more is allowed, 1 to 3 are useful")
    return scale


def checked_temperature(temperature: float) -> float:
    """A scale of the noise that music is made from.

    Raises:
        UserError: If it lies outside of 0 to 2.
    """
    if not 0 <= temperature <= 2:
        raise UserError(f"a temperature of {temperature}: 0 to 2 is allowed, 0.3 to 1 is useful")
    return temperature


def make_scheduler(name: str) -> Any:
    """A scheduler for a sampler's name.

    Raises:
        UserError: If there is no such sampler.
    """
    if name not in SAMPLERS:
        raise UserError(f"there is no sampler {name!r}: {nearest(name, SAMPLERS)}")
    scheduler, settings = SAMPLERS[name]
    return scheduler(**settings)
