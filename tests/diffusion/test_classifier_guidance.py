"""On Gaussian data, a guided denoiser is the denoiser of the posterior."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from ondes.diffusion.classifier_guidance import guide_by_likelihood
from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr

SPREAD = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
CENTRE = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
WANTED = torch.tensor([2.0, 0.5, -1.0], dtype=torch.float64)
ERROR = torch.tensor([0.3, 1.0, 0.1], dtype=torch.float64)
"""Data are N(centre, spread^2); what is observed of them is N(data, error^2), and it is `WANTED`."""


def shares(level: Tensor) -> tuple[Tensor, Tensor]:
    return alpha_sigma(cosine_log_snr(level))


def moments(level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Alpha, sigma, and the variance of the noisy data, each (batch, 1) or (batch, 3)."""
    alpha, sigma = (share[:, None] for share in shares(level))
    return alpha, sigma, alpha**2 * SPREAD**2 + sigma**2


def best_noise(noisy: Tensor, level: Tensor) -> Tensor:
    """E[noise | noisy]: what a perfectly trained network answers."""
    alpha, sigma, variance = moments(level)
    return sigma * (noisy - alpha * CENTRE) / variance


def exact_likelihood(estimate: Tensor, level: Tensor) -> Tensor:
    """Of what is wanted, given the estimate with the uncertainty it has at this level."""
    _, sigma, variance = moments(level)
    width = SPREAD**2 * sigma**2 / variance + ERROR**2
    return (-0.5 * (WANTED - estimate) ** 2 / width).sum(1)


def posterior() -> tuple[Tensor, Tensor]:
    """Mean and variance of the data, given what is observed."""
    variance = 1 / (1 / SPREAD**2 + 1 / ERROR**2)
    return variance * (CENTRE / SPREAD**2 + WANTED / ERROR**2), variance


def posterior_noise(noisy: Tensor, level: Tensor) -> Tensor:
    alpha, sigma, _ = moments(level)
    mean, variance = posterior()
    return sigma * (noisy - alpha * mean) / (alpha**2 * variance + sigma**2)


LEVELS = torch.tensor([0.02, 0.3, 0.5, 0.8, 0.97], dtype=torch.float64)
NOISY = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_guided_score_is_that_of_the_posterior() -> None:
    guided = guide_by_likelihood(best_noise, exact_likelihood, shares=shares)
    torch.testing.assert_close(guided(NOISY, LEVELS), posterior_noise(NOISY, LEVELS), rtol=1e-9, atol=1e-9)
    assert (posterior_noise(NOISY, LEVELS) - best_noise(NOISY, LEVELS)).abs().amax() > 0.5


def test_guidance_is_linear_in_its_scale_and_0_is_none() -> None:
    plain, once = best_noise(NOISY, LEVELS), posterior_noise(NOISY, LEVELS)
    thrice = guide_by_likelihood(best_noise, exact_likelihood, shares=shares, scale=3.0)(NOISY, LEVELS)
    torch.testing.assert_close(thrice - plain, 3 * (once - plain), rtol=1e-9, atol=1e-9)
    assert guide_by_likelihood(best_noise, exact_likelihood, shares=shares, scale=0) is best_noise


def test_without_the_network_the_gradient_lacks_its_slope() -> None:
    plain = best_noise(NOISY, LEVELS)
    _, sigma, variance = moments(LEVELS)
    cheap = guide_by_likelihood(best_noise, exact_likelihood, shares=shares, through_network=False)
    slope = 1 - sigma**2 / variance  # d estimate / d noisy, times alpha
    full = posterior_noise(NOISY, LEVELS) - plain
    torch.testing.assert_close((cheap(NOISY, LEVELS) - plain) * slope, full, rtol=1e-8, atol=1e-9)


def test_sampling_with_guidance_gives_the_posterior() -> None:
    guided = guide_by_likelihood(best_noise, exact_likelihood, shares=shares)
    noise = torch.randn(3000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # The probability flow in small steps: z moves from one level to the next with the noise held.
    times = torch.linspace(0.999, 0.0, 300, dtype=torch.float64)
    noisy = noise
    with torch.no_grad():  # as pipelines call it
        for now, then in itertools.pairwise(times):
            level = now.expand(len(noisy))
            predicted = guided(noisy, level)
            (alpha, sigma), (next_alpha, next_sigma) = shares(now), shares(then)
            noisy = next_alpha * (noisy - sigma * predicted) / alpha + next_sigma * predicted
    mean, variance = posterior()
    torch.testing.assert_close(noisy.mean(0), mean, rtol=0, atol=0.03)
    torch.testing.assert_close(noisy.var(0), variance, rtol=0.1, atol=0)


def test_examples_do_not_see_each_other_and_nothing_is_left_to_differentiate() -> None:
    guided = guide_by_likelihood(best_noise, exact_likelihood, shares=shares)
    alone = torch.cat([guided(NOISY[k : k + 1], LEVELS[k : k + 1]) for k in range(5)])
    together = guided(NOISY, LEVELS)
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    assert not together.requires_grad


@pytest.mark.parametrize("most", [0.1, 100.0])
def test_a_limit_bounds_the_length_of_what_guidance_adds(most: float) -> None:
    guided = guide_by_likelihood(best_noise, exact_likelihood, shares=shares)
    limited = guide_by_likelihood(best_noise, exact_likelihood, shares=shares, most=most)(NOISY, LEVELS)
    plain = best_noise(NOISY, LEVELS)
    added, wanted = limited - plain, guided(NOISY, LEVELS) - plain
    share = added.norm(dim=1) / plain.norm(dim=1)
    assert share.max() <= most * (1 + 1e-9)
    torch.testing.assert_close(
        added / added.norm(dim=1, keepdim=True), wanted / wanted.norm(dim=1, keepdim=True)
    )
    if most == 100.0:
        torch.testing.assert_close(limited, guided(NOISY, LEVELS))
