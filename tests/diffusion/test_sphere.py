from __future__ import annotations

import math

import torch

from ondes.diffusion.sphere import slerp


def test_a_quarter_turn_goes_along_the_circle() -> None:
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    third = slerp(east, north, 1 / 3)
    assert torch.allclose(third, torch.tensor([[math.cos(math.pi / 6), math.sin(math.pi / 6)]]))


def test_noise_stays_as_noisy_where_a_straight_way_would_not() -> None:
    one, other = torch.randn(2, 3, 2, 64, 50, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(slerp(one, other, 0.5).flatten(1).std(1), torch.ones(3), atol=0.02)
    assert float(torch.lerp(one, other, 0.5).std()) < 0.72
    assert torch.allclose(slerp(one, other, 0.0), one)
    assert torch.allclose(slerp(one, other, 1.0), other)


def test_between_equal_points_the_way_is_straight() -> None:
    point = torch.randn(2, 5)
    assert torch.allclose(slerp(point, 3 * point, 0.25), 1.5 * point)
    assert not slerp(torch.zeros(1, 4), torch.zeros(1, 4), 0.5).any()
