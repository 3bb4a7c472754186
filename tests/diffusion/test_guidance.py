from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ondes.diffusion.guidance import guide, hold


def double(noisy: Tensor, level: Tensor) -> Tensor:
    return 2 * noisy + level[:, None]


def square(noisy: Tensor, level: Tensor) -> Tensor:
    return noisy.square() - level[:, None]


NOISY, LEVEL = torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([0.5])


def test_a_scale_of_one_is_the_conditional_denoiser_itself() -> None:
    assert guide(double, square, scale=1.0) is double


def test_a_scale_of_zero_ignores_the_condition() -> None:
    assert torch.equal(guide(double, square, scale=0.0)(NOISY, LEVEL), square(NOISY, LEVEL))


@pytest.mark.parametrize("scale", [0.3, 1.5, 4.0])
def test_guidance_is_the_combination_of_ho_and_salimans(scale: float) -> None:
    weight = scale - 1  # their w
    expected = (1 + weight) * double(NOISY, LEVEL) - weight * square(NOISY, LEVEL)
    assert torch.allclose(guide(double, square, scale=scale)(NOISY, LEVEL), expected)


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.0])
def test_guidance_between_equal_denoisers_changes_nothing(scale: float) -> None:
    assert torch.allclose(guide(double, double, scale=scale)(NOISY, LEVEL), double(NOISY, LEVEL))


def test_held_parts_always_look_clean() -> None:
    values, known = torch.tensor([[9.0, 8.0, 7.0]]), torch.tensor([[True, False, True]])
    seen = []

    def watching(noisy: Tensor, level: Tensor) -> Tensor:
        seen.append(noisy)
        return noisy

    hold(watching, values, known)(NOISY, LEVEL)
    assert seen[0].tolist() == [[9.0, -2.0, 7.0]]


def test_holding_nothing_changes_nothing() -> None:
    held = hold(double, torch.full_like(NOISY, torch.nan), torch.zeros(1, 1, dtype=torch.bool))
    assert torch.equal(held(NOISY, LEVEL), double(NOISY, LEVEL))
