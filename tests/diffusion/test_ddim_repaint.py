"""Grids of timesteps, DDIM on them, and RePaint: against diffusers, and against what is known in closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from ondes.diffusion.ddim import add_noise, ddim_steps, even_timesteps, published_timesteps
from ondes.diffusion.repaint import evaluations, published_repaint_steps, repaint_path, repaint_steps

SCHEDULER = DDIMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
KEPT: list[float] = SCHEDULER.alphas_cumprod.tolist()


def gaussian(noisy: Tensor, timestep: Tensor) -> Tensor:
    """The exact denoiser of data that are normal with mean 0.2 and deviation 0.1."""
    kept = SCHEDULER.alphas_cumprod[timestep].reshape(-1, *[1] * (noisy.ndim - 1))
    return (1 - kept).sqrt() * (noisy - kept.sqrt() * 0.2) / (kept * 0.01 + 1 - kept)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(item) for item in range(count)]


@pytest.mark.parametrize(
    ("steps", "strength", "first", "count"),
    [
        (20, 1.0, 950, 20),
        (50, 1.0, 980, 50),
        (100, 1.0, 990, 100),
        (200, 1.0, 995, 200),
        (300, 1.0, 897, 300),
        (400, 1.0, 798, 400),
        (501, 1.0, 500, 501),
        (600, 1.0, 599, 600),
        (999, 1.0, 998, 999),
        (1000, 1.0, 999, 1000),
        (20, 0.1, 95, 20),
        (200, 0.1, 99, 100),
        (20, 0.33, 304, 20),
        (20, 0.9, 855, 20),
    ],
)
def test_the_published_grid_begins_where_it_was_measured(
    steps: int, strength: float, first: int, count: int
) -> None:
    grid = published_timesteps(steps, strength=strength)
    assert (grid[0], len(grid), grid[-1]) == (first, count, 0)
    # The scheduler of diffusers is given `total` steps, and the last of its own are taken.
    total = min(round(count / strength), 1000)
    scheduler = DDIMScheduler(num_train_timesteps=1000)
    scheduler.set_timesteps(total)
    assert scheduler.timesteps[-count:].tolist() == grid


@pytest.mark.parametrize("steps", [1, 7, 501, 1000])
@pytest.mark.parametrize("strength", [1.0, 0.33])
def test_the_even_grid_begins_at_the_strength_whatever_the_steps(steps: int, strength: float) -> None:
    grid = even_timesteps(steps, strength=strength)
    assert grid[0] == round(strength * 1000) - 1
    assert len(grid) == min(steps, round(strength * 1000))
    jumps = [high - low for high, low in zip(grid, [*grid[1:], -1], strict=True)]
    assert max(jumps) - min(jumps) <= 1
    assert min(jumps) >= 1


@pytest.mark.parametrize("grid", [published_timesteps, even_timesteps])
@pytest.mark.parametrize(("steps", "strength"), [(0, 1.0), (5, 0.0), (5, 1.1)])
def test_grids_of_nothing_are_refused(grid: Any, steps: int, strength: float) -> None:
    with pytest.raises(ValueError, match="give 1 step or more, and above 0 to 1"):
        grid(steps, strength=strength)


@pytest.mark.parametrize(("steps", "strength", "eta"), [(20, 1.0, 0.7), (30, 1.0, 0.0), (20, 0.33, 0.0)])
def test_ddim_is_that_of_diffusers_on_the_published_grid(steps: int, strength: float, eta: float) -> None:
    grid = published_timesteps(steps, strength=strength)
    scheduler: Any = DDIMScheduler.from_config(SCHEDULER.config)
    scheduler.set_timesteps(min(round(len(grid) / strength), 1000))
    start = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(9))
    chance, theirs = generators(2), start
    for timestep in grid:
        answer = gaussian(theirs, torch.tensor([timestep] * 2))
        made = scheduler.step(answer, timestep, theirs, eta=eta, generator=chance, return_dict=False)
        theirs = made[0]
    walk = list(ddim_steps(gaussian, start, grid, kept=KEPT, eta=eta, generators=generators(2)))
    assert len(walk) == len(grid)
    assert torch.allclose(walk[-1], theirs, atol=2e-5)


@pytest.mark.parametrize(("grid", "right"), [(published_timesteps, False), (even_timesteps, True)])
def test_the_even_grid_makes_the_data_with_any_number_of_steps(grid, right: bool) -> None:
    noise = torch.randn(4, 5000, generator=torch.Generator().manual_seed(2))
    *_, made = ddim_steps(gaussian, noise, grid(501), kept=KEPT)
    deviation = float(made.std())
    assert (abs(deviation - 0.1) < 0.005) == right
    assert (abs(float(made.mean()) - 0.2) < 0.01) == right


@pytest.mark.parametrize(("steps", "count"), [(20, 110), (50, 410), (100, 910), (200, 1910), (250, 2410)])
def test_repaint_asks_the_network_as_often_as_was_measured(steps: int, count: int) -> None:
    assert evaluations(repaint_path(steps)) == count


def test_both_ways_of_repainting_ask_as_often_as_the_path_says() -> None:
    asked: list[int] = []

    def denoiser(noisy: Tensor, timestep: Tensor) -> Tensor:
        asked.append(int(timestep[0]))
        return noisy

    values, known = torch.zeros(1, 4), torch.tensor([True, False, False, True])
    list(published_repaint_steps(denoiser, torch.ones(1, 4), values, known, SCHEDULER, steps=20))
    theirs = list(asked)
    asked.clear()
    grid, path = published_timesteps(20), repaint_path(20)
    list(repaint_steps(denoiser, torch.ones(1, 4), values, known, grid, path, kept=KEPT))
    assert len(theirs) == 110
    assert asked == theirs


def test_without_jumps_both_ways_are_the_same() -> None:
    start = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(4))
    values, known = torch.full((2, 3, 8), 0.3), torch.arange(8) < 3
    ours = repaint_steps(
        gaussian,
        start,
        values,
        known,
        published_timesteps(25),
        repaint_path(25, jumps=1),
        kept=KEPT,
        generators=generators(2),
    )
    theirs = published_repaint_steps(
        gaussian, start, values, known, SCHEDULER, steps=25, jumps=1, generators=generators(2)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=2e-5)


def test_known_values_come_back_untouched_and_the_rest_is_the_data() -> None:
    noise = torch.randn(1, 3000, generator=torch.Generator().manual_seed(6))
    values, known = torch.linspace(-1, 1, 3000)[None], torch.arange(3000) < 100
    *_, made = repaint_steps(
        gaussian,
        noise,
        values,
        known,
        even_timesteps(250),
        repaint_path(250, jump_length=10, jumps=2),
        kept=KEPT,
        generators=generators(1),
    )
    assert torch.equal(made[:, :100], values[:, :100])
    assert float(made[:, 100:].std()) == pytest.approx(0.1, abs=0.01)
    assert float(made[:, 100:].mean()) == pytest.approx(0.2, abs=0.01)


def test_noise_added_on_the_way_back_has_the_level_of_the_grid() -> None:
    # A denoiser that knows the noise exactly: after each evaluation the examples are at the next level of the grid.
    data = torch.full((1, 20_000), 0.5)
    grid, path = even_timesteps(10), repaint_path(10, jump_length=3, jumps=2)

    def denoiser(noisy: Tensor, timestep: Tensor) -> Tensor:
        kept = KEPT[int(timestep[0])]
        noise = (noisy - kept**0.5 * data) / (1 - kept) ** 0.5
        assert float(noise.std()) == pytest.approx(1, abs=0.03)
        return noise

    start = add_noise(data, torch.randn(1, 20_000, generator=torch.Generator().manual_seed(7)), KEPT[999])
    *_, made = repaint_steps(
        denoiser, start, data, torch.tensor(False), grid, path, kept=KEPT, clip=None, generators=generators(1)
    )
    assert torch.allclose(made, data, atol=1e-3)


def test_a_path_needs_steps() -> None:
    with pytest.raises(ValueError, match="jumps of 0"):
        repaint_path(5, jump_length=0)
