"""Samplers by name: diffusers schedulers set up for the straight path of flow matching."""

from __future__ import annotations

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


def make_scheduler(name: str) -> Any:
    """A scheduler for a sampler's name.

    Raises:
        UserError: If there is no such sampler.
    """
    if name not in SAMPLERS:
        raise UserError(f"there is no sampler {name!r}: {nearest(name, SAMPLERS)}")
    scheduler, settings = SAMPLERS[name]
    return scheduler(**settings)
