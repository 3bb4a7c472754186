from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_heun_discrete import FlowMatchHeunDiscreteScheduler
from torch import Tensor

from ondes.diffusion.sampling import denoise
from ondes.pipelines.samplers import SAMPLERS, make_scheduler

MEAN, DEVIATION = 1.5, 0.4


def gaussian_velocity(noisy: Tensor, level: Tensor) -> Tensor:
    """The exact velocity where the data are normal: E[noise - data | noisy]."""
    share = level[:, None]
    variance = ((1 - share) * DEVIATION) ** 2 + share**2
    return (noisy - (1 - share) * MEAN) * (share - (1 - share) * DEVIATION**2) / variance - MEAN


@pytest.fixture(scope="module")
def noise() -> Tensor:
    return torch.randn(2, 500, generator=torch.Generator().manual_seed(0))


def error(scheduler: Any, noise: Tensor, steps: int) -> float:
    """Largest distance from where the exact flow leads noise: the line through mean and deviation."""
    made = denoise(gaussian_velocity, noise, scheduler=scheduler, steps=steps)
    return float((made - (MEAN + DEVIATION * noise)).abs().max())


@pytest.mark.parametrize(
    ("name", "at_8", "at_64"),
    [("euler", 0.31, 0.042), ("heun", 0.017, 3e-4), ("dpm++", 0.099, 0.0065), ("unipc", 0.075, 0.0022)],
)
def test_every_sampler_leads_noise_where_the_exact_flow_does(
    name: str, at_8: float, at_64: float, noise: Tensor
) -> None:
    scheduler = make_scheduler(name)
    errors = [error(scheduler, noise, steps) for steps in (4, 8, 16, 64)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < at_8
    assert errors[3] < at_64


def test_euler_is_first_order(noise: Tensor) -> None:
    scheduler = make_scheduler("euler")
    few, many = error(scheduler, noise, 32), error(scheduler, noise, 128)
    assert 3.5 < few / many < 4.5


def test_heun_is_second_order(noise: Tensor) -> None:
    scheduler = make_scheduler("heun")
    few, many = error(scheduler, noise, 16), error(scheduler, noise, 64)
    assert 13 < few / many < 20


def test_one_step_of_euler_leads_to_the_mean(noise: Tensor) -> None:
    made = denoise(gaussian_velocity, noise, scheduler=make_scheduler("euler"), steps=1)
    assert torch.allclose(made, torch.full_like(made, MEAN), atol=1e-6)


def test_euler_takes_even_steps_from_pure_noise() -> None:
    levels = []

    def watching(noisy: Tensor, level: Tensor) -> Tensor:
        levels.append(float(level[0]))
        return noisy

    denoise(watching, torch.zeros(1, 2), scheduler=FlowMatchEulerDiscreteScheduler(), steps=4)
    assert levels == [1.0, 0.75, 0.5, 0.25]


def test_heun_asks_twice_a_step_except_the_last() -> None:
    levels = []

    def watching(noisy: Tensor, level: Tensor) -> Tensor:
        levels.append(float(level[0]))
        return noisy

    denoise(watching, torch.zeros(1, 2), scheduler=FlowMatchHeunDiscreteScheduler(), steps=3)
    assert len(levels) == 5
    assert levels[0] == 1.0
    assert levels[1] == levels[2]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_finite_and_a_scheduler_can_be_used_again(name: str, steps: int, noise: Tensor) -> None:
    scheduler = make_scheduler(name)
    first = denoise(gaussian_velocity, noise, scheduler=scheduler, steps=steps)
    assert bool(first.isfinite().all())
    assert torch.equal(denoise(gaussian_velocity, noise, scheduler=scheduler, steps=steps), first)


def test_a_straight_path_is_exact_in_one_step(noise: Tensor) -> None:
    data = torch.full_like(noise, 3.0)
    made = denoise(lambda *_: noise - data, noise, scheduler=make_scheduler("euler"), steps=1)
    assert torch.allclose(made, data, atol=1e-6)


@pytest.mark.parametrize("steps", [0, -3])
def test_no_step_is_refused(steps: int, noise: Tensor) -> None:
    with pytest.raises(ValueError, match=f"{steps} steps: at least 1"):
        denoise(gaussian_velocity, noise, scheduler=make_scheduler("euler"), steps=steps)
