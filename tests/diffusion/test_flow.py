from __future__ import annotations

import pytest
import torch

from ondes.diffusion.flow import mix, stratified, to_data, to_level, velocity


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 2, 5, generator=generator), torch.randn(3, 2, 5, generator=generator)


def test_the_path_leads_straight_from_data_to_noise(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    data, noise = pair
    level = torch.tensor([0.0, 0.25, 1.0])
    point = mix(data, noise, level)
    assert torch.equal(point[0], data[0])
    assert torch.allclose(point[1], 0.75 * data[1] + 0.25 * noise[1])
    assert torch.equal(point[2], noise[2])


def test_the_velocity_is_the_slope_of_the_path(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    data, noise = (item.double() for item in pair)
    step = 1e-4
    before, after = (
        mix(data, noise, torch.full((3,), level, dtype=torch.float64)) for level in (0.3, 0.3 + step)
    )
    assert torch.allclose((after - before) / step, velocity(data, noise), atol=1e-9)


def test_the_velocity_points_at_the_data_from_anywhere(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    data, noise = pair
    level = torch.tensor([0.1, 0.5, 1.0])
    assert torch.allclose(to_data(mix(data, noise, level), velocity(data, noise), level), data, atol=1e-6)


def test_stratified_numbers_lie_one_in_each_part() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = stratified(64, generator)
    assert torch.equal((drawn.sort().values * 64).long(), torch.arange(64))
    assert not torch.equal(drawn.sort().values, drawn)
    assert not torch.equal(drawn, stratified(64, generator))


def test_levels_are_shifted_by_equation_23_of_esser_et_al() -> None:
    uniform = torch.tensor([0.0, 0.2, 0.5, 1.0])
    assert torch.equal(to_level(uniform), uniform)
    assert torch.allclose(to_level(uniform, shift=3.0), torch.tensor([0.0, 0.6 / 1.4, 0.75, 1.0]))
