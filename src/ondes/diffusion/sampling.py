"""The sampling loop: a denoiser, a scheduler of diffusers, and noise to begin with."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ondes.diffusion.guidance import Denoiser

Keep = Callable[[Tensor, str, Callable[[], tuple[Tensor, ...]]], tuple[Tensor, ...]]
"""Takes what a computation begins with, its name and itself; gives the results, computed now or kept from before.

Computations without a name come one after another, in the same order each time; those with one in any order.
"""

_keep: ContextVar[Keep | None] = ContextVar("_keep", default=None)


@contextmanager
def results_kept(keep: Keep) -> Iterator[None]:
    """Within, `keep` has all that goes through `kept`, such as calls of `denoise`; it may know their results."""
    token = _keep.set(keep)
    try:
        yield
    finally:
        _keep.reset(token)


def kept(
    begin: Tensor,
    compute: Callable[[], Tensor],
    *,
    name: str = "",
    generators: Sequence[torch.Generator] = (),
) -> Tensor:
    """The result of a computation that may be kept; see `kept_all`."""
    (made,) = kept_all(begin, lambda: (compute(),), name=name, generators=generators)
    return made


def kept_all(
    begin: Tensor,
    compute: Callable[[], tuple[Tensor, ...]],
    *,
    name: str = "",
    generators: Sequence[torch.Generator] = (),
) -> tuple[Tensor, ...]:
    """The results of a computation that may be kept.

    Args:
        begin: What it begins with.
        compute: What gives the results.
        name: Tells it from all others that begin with the same, where they run side by side and so in any order.
        generators: What it draws from, which afterwards stand where it leaves them though it was not computed.

    Returns:
        The results, contiguous either way, so that later sums are the same.
    """
    keep = _keep.get()
    if keep is None:
        return tuple(one.contiguous() for one in compute())
    made = keep(begin, name, lambda: (*compute(), *(one.get_state() for one in generators)))
    results = made[: len(made) - len(generators)]
    for generator, state in zip(generators, made[len(results) :], strict=True):
        generator.set_state(state.cpu())
    return tuple(one.contiguous() for one in results)


def begins_with(begin: Tensor, told: str) -> str:
    """A hash by which a kept result is found: of the values, kind and shape of what its computation begins with.

    Args:
        begin: What it begins with, on any device.
        told: All else that the result depends on.

    Returns:
        SHA-256 in hexadecimal.
    """
    whole = begin.detach().cpu().contiguous()
    words = f"{told} {whole.dtype} {tuple(whole.shape)}".encode()
    return hashlib.sha256(words + whole.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def denoise(denoiser: Denoiser, noise: Tensor, *, scheduler: Any, steps: int, level: float = 1.0) -> Tensor:
    """Data from noise, or from data with some noise.

    Args:
        denoiser: Predicts the velocity (see `ondes.diffusion.flow`).
        noise: Standard normal (batch, ...); with a lower level, the point of the path there.
        scheduler: Any flow-matching scheduler of diffusers, or DPM-Solver++ or UniPC with `use_flow_sigmas`.
        steps: Steps of the solver; a second-order solver such as Heun evaluates the network twice in a step.
        level: Where on the path to begin, above 0; all steps are taken from there (SDEdit: Meng et al. 2021, arXiv
            2108.01073).

    Returns:
        The data, of the noise's shape.

    Raises:
        ValueError: If there is no step to take.
    """
    if steps < 1:
        raise ValueError(f"{steps} steps: at least 1 is needed")
    return kept(noise, lambda: _denoised(denoiser, noise, scheduler=scheduler, steps=steps, level=level))


def _denoised(denoiser: Denoiser, noise: Tensor, *, scheduler: Any, steps: int, level: float) -> Tensor:
    """See `denoise`."""
    set_levels(scheduler, steps)
    if level != 1:
        # Solvers look the level up by the number of the step, so timesteps may keep their values.
        scheduler.sigmas = scheduler.sigmas * level
    noisy = noise
    # A scheduler's timesteps may be rounded to integers; its sigmas are the levels of the path themselves.
    for timestep, here in zip(scheduler.timesteps, scheduler.sigmas, strict=False):
        velocity = denoiser(noisy, here.float().expand(len(noise)).to(noise))
        noisy = scheduler.step(velocity, timestep, noisy, return_dict=False)[0]
    return noisy


def invert(denoiser: Denoiser, data: Tensor, *, steps: int, level: float = 1.0) -> Tensor:
    """The point of the path, and at level 1 the noise, that becomes the data when it is denoised.

    The same differential equation backwards, as DDIM inversion (Song et al. 2020, arXiv 2010.02502, section 4.3). Each
    step asks for the velocity in its middle, twice: networks that answer with data know none at level 0.

    Args:
        denoiser: As of `denoise`.
        data: What to find the noise of (batch, ...).
        steps: Evenly spaced levels to go through, each at two evaluations.
        level: Where on the path to end.
    """
    return kept(data, lambda: _inverted(denoiser, data, steps=steps, level=level))


def _inverted(denoiser: Denoiser, data: Tensor, *, steps: int, level: float) -> Tensor:
    """See `invert`."""
    size = level / steps
    for step in range(steps):
        middle = torch.full((len(data),), size * (step + 0.5)).to(data)
        halfway = data + size / 2 * denoiser(data, middle)
        data = data + size * denoiser(halfway, middle)
    return data


def set_levels(scheduler: Any, steps: int) -> None:
    """Give a scheduler evenly spaced noise levels from 1 to 1 / steps, where it lets itself be told.

    The default of diffusers' Euler scheduler takes its last step at level 0.001, which changes nothing.
    """
    if "sigmas" in inspect.signature(scheduler.set_timesteps).parameters:
        scheduler.set_timesteps(num_inference_steps=steps, sigmas=np.linspace(1, 1 / steps, steps))
    else:
        scheduler.set_timesteps(steps)
