from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch import Tensor

from ondes.diffusion.ancestral import AncestralScheduler
from ondes.diffusion.inpainting import inpaint_steps
from ondes.diffusion.log_snr import alpha_sigma, cosine_betas, cosine_log_snr
from ondes.diffusion.timesteps import denoise_steps

DEVIATION, CORRELATION = 0.2, 0.9
COVARIANCE = DEVIATION**2 * torch.tensor([[1.0, CORRELATION], [CORRELATION, 1.0]])
KNOWN = torch.tensor([[True, False]])
VALUE = 0.3
BETAS: dict[str, Any] = {"trained_betas": cosine_betas(1000).tolist()}


def exact_noise(noisy: Tensor, level: Tensor) -> Tensor:
    """The exact answer for two correlated normal numbers (batch, 2)."""
    alpha, sigma = (float(share) for share in alpha_sigma(cosine_log_snr(level[:1].double())))
    return noisy @ torch.linalg.inv(alpha**2 * COVARIANCE + sigma**2 * torch.eye(2)) * sigma


def inpaint(scheduler: Any, *, steps: int, count: int = 4000, visits: int = 1) -> Tensor:
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    values = torch.tensor([[VALUE, 9.0]]).expand(count, 2)
    torch.manual_seed(1)
    *_, made = inpaint_steps(
        exact_noise, noise, values, KNOWN, scheduler=scheduler, steps=steps, visits=visits
    )
    return made


@pytest.mark.parametrize(
    "scheduler",
    [
        AncestralScheduler(),
        DDPMScheduler(**BETAS),
        DDIMScheduler(**BETAS),
        DPMSolverMultistepScheduler(**BETAS),
    ],
    ids=lambda scheduler: type(scheduler).__name__,
)
def test_the_known_part_is_returned_untouched(scheduler: Any) -> None:
    made = inpaint(scheduler, steps=8, count=5)
    assert torch.equal(made[:, 0], torch.full((5,), VALUE))
    assert bool((made[:, 1].abs() < 1.5).all())


@pytest.mark.slow
def test_the_rest_is_drawn_to_what_it_belongs_to_and_more_visits_bring_it_there() -> None:
    """The exact conditional mean is correlation times value; without a known part the mean is 0."""
    exact = CORRELATION * VALUE
    once = float(inpaint(AncestralScheduler(), steps=60)[:, 1].mean())
    often = float(inpaint(AncestralScheduler(), steps=60, visits=8)[:, 1].mean())
    assert 0.5 * exact < once
    assert abs(often - exact) < min(0.04, abs(once - exact))


def test_with_nothing_known_it_is_plain_sampling() -> None:
    noise = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    generators = [torch.Generator() for _ in range(6)]
    made = []
    for plain in (True, False):
        for number, generator in enumerate(generators):
            generator.manual_seed(number)
        choices = {"scheduler": AncestralScheduler(), "steps": 5, "generators": generators}
        nothing = torch.zeros(1, 2, dtype=torch.bool)
        ways = (
            denoise_steps(exact_noise, noise, **choices)
            if plain
            else inpaint_steps(exact_noise, noise, torch.full_like(noise, 7.0), nothing, **choices)
        )
        *_, last = ways
        made.append(last)
    assert torch.equal(*made)


def test_solvers_with_a_memory_take_no_step_twice() -> None:
    with pytest.raises(ValueError, match="remembers its steps"):
        inpaint(DPMSolverMultistepScheduler(**BETAS), steps=4, visits=2)
    with pytest.raises(ValueError, match="0 visits"):
        inpaint(AncestralScheduler(), steps=4, visits=0)
