from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ondes.diffusion.guidance import guide, guide_pairs, rescaled, within

NOISY = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
LEVEL = torch.full((3,), 0.5)


def conditional(noisy: Tensor, level: Tensor) -> Tensor:
    return 2 * noisy + level[:, None, None]


def unconditional(noisy: Tensor, level: Tensor) -> Tensor:
    return noisy.square() - level[:, None, None]


def pairs(noisy: Tensor, level: Tensor) -> Tensor:
    first, second = noisy.chunk(2)
    early, late = level.chunk(2)
    return torch.cat([conditional(first, early), unconditional(second, late)])


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_pairs_give_what_two_calls_give(scale: float) -> None:
    expected = guide(conditional, unconditional, scale=scale)(NOISY, LEVEL)
    assert torch.allclose(guide_pairs(pairs, scale=scale)(NOISY, LEVEL), expected, atol=1e-6)


def test_the_official_weight_is_the_scale() -> None:
    """The official code's w eps_c + (1 - w) eps_u."""
    expected = 2 * conditional(NOISY, LEVEL) - unconditional(NOISY, LEVEL)
    assert torch.allclose(guide_pairs(pairs, scale=2.0)(NOISY, LEVEL), expected, atol=1e-6)


@pytest.mark.parametrize(("level", "asked"), [(0.29, 3), (0.3, 6), (0.5, 6), (0.8, 6), (0.81, 3)])
def test_guidance_is_paid_for_in_its_interval_only(level: float, asked: int) -> None:
    examples = []

    def counting(noisy: Tensor, level: Tensor) -> Tensor:
        examples.append(len(noisy))
        return noisy

    guided = within(guide_pairs(counting, scale=2.0), counting, interval=(0.3, 0.8))
    guided(NOISY, torch.full((3,), level, dtype=torch.float64))
    assert examples == [asked]


def test_outside_the_interval_the_condition_is_obeyed_plainly() -> None:
    guided = within(guide_pairs(pairs, scale=3.0), conditional, interval=(0.6, 1.0))
    assert torch.equal(guided(NOISY, LEVEL), conditional(NOISY, LEVEL))


def test_rescaling_gives_the_spread_of_each_example_back() -> None:
    guided, plain = 3 * NOISY + 1, NOISY * torch.tensor([1.0, 2.0, 0.5])[:, None, None]
    whole = rescaled(guided, plain, share=1.0)
    assert torch.allclose(whole.std((1, 2)), plain.std((1, 2)), rtol=1e-5)
    half = rescaled(guided, plain, share=0.5)
    assert torch.allclose(half, (whole + guided) / 2, atol=1e-6)
    assert rescaled(guided, plain, share=0.0) is guided
