"""DDIM between any two levels of a discrete schedule, and grids of timesteps for a part of it.

Song et al. (2020), arXiv 2010.02502. A denoiser here takes whole timesteps (batch,), not levels from 0 to 1, and
answers with the noise. `kept` is a schedule's `alphas_cumprod`; after the last timestep of a grid comes the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from diffusers.utils.torch_utils import randn_tensor
from jaxtyping import Float
from torch import Tensor

NoiseDenoiser = Callable[[Tensor, Tensor], Tensor]
"""Maps a noisy batch (batch, ...) and whole timesteps (batch,) to the noise in it."""

Generators = Sequence[torch.Generator]
"""One an example."""


def published_timesteps(steps: int, *, strength: float = 1.0, train_steps: int = 1000) -> list[int]:
    """The grid of Msanii, noisiest first: multiples of a whole ratio, from below the level that the strength asks for.

    Numbers of steps that do not divide the schedule begin far below it: 501 steps at strength 1 begin at 500.

    Args:
        steps: Of the sampler.
        strength: Share of the schedule, above 0 to 1.
        train_steps: Of the schedule.

    Raises:
        ValueError: If the strength or the number of steps is none.
    """
    _check(steps, strength)
    count = min(steps, round(strength * train_steps))
    total = min(round(count / strength), train_steps)
    ratio = train_steps // total
    return [ratio * place for place in reversed(range(count))]


def even_timesteps(steps: int, *, strength: float = 1.0, train_steps: int = 1000) -> list[int]:
    """An even grid that begins exactly at the level of the strength, at 1 with the last timestep of the schedule.

    The "trailing" spacing of Lin et al. (2023), arXiv 2305.08891, table 2, for any number of steps: as many as there
    are timesteps, at most.

    Args:
        steps: Of the sampler.
        strength: Share of the schedule, above 0 to 1.
        train_steps: Of the schedule.

    Raises:
        ValueError: If the strength or the number of steps is none.
    """
    _check(steps, strength)
    whole = max(1, round(strength * train_steps))
    count = min(steps, whole)
    return [round(whole * place / count) - 1 for place in range(count, 0, -1)]


def _check(steps: int, strength: float) -> None:
    if steps < 1 or not 0 < strength <= 1:
        raise ValueError(f"{steps} steps at strength {strength}: give 1 step or more, and above 0 to 1")


def add_noise(data: Tensor, noise: Tensor, kept: float) -> Tensor:
    """The data at a level."""
    return kept**0.5 * data + (1 - kept) ** 0.5 * noise


def ddim_step(
    noisy: Float[Tensor, "batch ..."],
    answer: Float[Tensor, "batch ..."],
    kept: float,
    next_kept: float,
    *,
    eta: float = 0.0,
    clip: float | None = 1.0,
    generators: Generators | None = None,
) -> Tensor:
    """Examples at a less noisy level: equation 12, the estimate of the data clipped.

    Args:
        noisy: At the first level.
        answer: The noise that the network found.
        kept: Share of the data's variance at the first level.
        next_kept: At the next.
        eta: Share of the noise that is new, from none (0) to that of ancestral sampling (1).
        clip: Largest value of the data; none where None.
        generators: Of the new noise.
    """
    data = (noisy - (1 - kept) ** 0.5 * answer) / kept**0.5
    if clip is not None:
        data = data.clamp(-clip, clip)
    variance = (1 - next_kept) / (1 - kept) * (1 - kept / next_kept)
    spread = eta * max(0.0, variance) ** 0.5
    made = next_kept**0.5 * data + max(0.0, 1 - next_kept - spread**2) ** 0.5 * answer
    return made + spread * draw_like(noisy, generators) if spread else made


def draw_like(examples: Tensor, generators: Generators | None) -> Tensor:
    """Standard normal noise of the examples' shape."""
    chance = None if generators is None else list(generators)
    return randn_tensor(examples.shape, generator=chance, device=examples.device, dtype=examples.dtype)


def ddim_steps(
    denoiser: NoiseDenoiser,
    noisy: Tensor,
    timesteps: Sequence[int],
    *,
    kept: Sequence[float],
    eta: float = 0.0,
    clip: float | None = 1.0,
    generators: Generators | None = None,
) -> Iterator[Tensor]:
    """The examples after each step; the last are the data. Equals diffusers' DDIMScheduler on its own grids.

    Args:
        denoiser: Of the noise.
        noisy: At the level of the first timestep.
        timesteps: Falling.
        kept: Of every timestep of the schedule.
        eta: As of `ddim_step`.
        clip: As of `ddim_step`.
        generators: As of `ddim_step`.
    """
    for number, timestep in enumerate(timesteps):
        answer = denoiser(noisy, whole_timesteps(timestep, noisy))
        lower = kept[timesteps[number + 1]] if number + 1 < len(timesteps) else 1.0
        settings = {"eta": eta, "clip": clip, "generators": generators}
        noisy = ddim_step(noisy, answer, kept[timestep], lower, **settings)
        yield noisy


def whole_timesteps(timestep: int, examples: Tensor) -> Tensor:
    """One timestep for all examples."""
    return torch.full((len(examples),), timestep, device=examples.device)
