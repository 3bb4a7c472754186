from __future__ import annotations

import math

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from ondes.diffusion.log_snr import alpha_sigma, cosine_betas, cosine_log_snr


@pytest.mark.parametrize(
    ("time", "log_snr"), [(0.0, 20.0), (0.001, 12.855), (0.5, 0.0), (0.99, -8.301), (1.0, -20.0)]
)
def test_the_schedule_has_the_published_values(time: float, log_snr: float) -> None:
    for dtype in (torch.float32, torch.float64):
        assert float(cosine_log_snr(torch.tensor(time, dtype=dtype))) == pytest.approx(log_snr, abs=6e-4)


def test_shares_are_those_of_a_cosine_between_its_ends() -> None:
    times = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    alpha, sigma = alpha_sigma(cosine_log_snr(times))
    assert torch.allclose(alpha.square() + sigma.square(), torch.ones_like(times))
    assert torch.allclose(alpha, torch.cos(times * math.pi / 2), atol=5e-5)
    assert torch.allclose(torch.log(alpha.square() / sigma.square()), cosine_log_snr(times))


def test_betas_give_a_discrete_scheduler_the_continuous_schedule() -> None:
    scheduler = DDPMScheduler(trained_betas=cosine_betas(1000).tolist())
    times = torch.arange(1, 1001, dtype=torch.float64) / 1000
    expected = torch.sigmoid(cosine_log_snr(times))
    # The scheduler multiplies in single precision.
    assert torch.allclose(scheduler.alphas_cumprod.double(), expected, rtol=2e-3, atol=0)
    assert torch.allclose(scheduler.alphas_cumprod[:900].double(), expected[:900], rtol=1e-4, atol=0)
