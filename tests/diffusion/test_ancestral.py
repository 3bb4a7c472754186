from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from ondes.diffusion.ancestral import AncestralScheduler, variance_share
from ondes.diffusion.guidance import Denoiser
from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.diffusion.timesteps import denoise_steps, network_time, noise_level

MEAN, DEVIATION = 0.25, 0.1


def levels(level: Tensor) -> tuple[Tensor, Tensor]:
    alpha, sigma = alpha_sigma(cosine_log_snr(level.double()))
    return alpha[:, None].float(), sigma[:, None].float()


def gaussian(kind: str) -> Denoiser:
    """The exact answer where the data are normal."""

    def answer(noisy: Tensor, level: Tensor) -> Tensor:
        alpha, sigma = levels(level)
        variance = (alpha * DEVIATION) ** 2 + sigma**2
        data = MEAN + alpha * DEVIATION**2 * (noisy - alpha * MEAN) / variance
        noise = sigma * (noisy - alpha * MEAN) / variance
        return {"sample": data, "epsilon": noise, "v_prediction": alpha * noise - sigma * data}[kind]

    return answer


def sample(scheduler: AncestralScheduler, steps: int, *, count: int = 20_000) -> Tensor:
    noise = torch.randn(1, count, generator=torch.Generator().manual_seed(1))
    chance = [torch.Generator().manual_seed(2)]
    kind = scheduler.config["prediction_type"]
    *_, made = denoise_steps(gaussian(kind), noise, scheduler=scheduler, steps=steps, generators=chance)
    return made[0]


def expected_moments(times: list[float], share: float) -> tuple[float, float]:
    """Mean and variance after the steps, by propagating both through the linear steps, in plain arithmetic."""
    mean, variance = 0.0, 1.0
    for number, now in enumerate(times):
        after = times[number + 1] if number + 1 < len(times) else None
        snr = 1 / math.tan(_angle(now)) ** 2
        alpha, sigma = math.cos(_angle(now)), math.sin(_angle(now))
        spread = (alpha * DEVIATION) ** 2 + sigma**2
        gain, offset = alpha * DEVIATION**2 / spread, MEAN * (1 - alpha**2 * DEVIATION**2 / spread)
        if after is None:
            return gain * mean + offset, gain**2 * variance
        next_snr = 1 / math.tan(_angle(after)) ** 2
        next_alpha, next_sigma = math.cos(_angle(after)), math.sin(_angle(after))
        ratio = snr / next_snr
        slope = ratio * next_alpha / alpha + (1 - ratio) * next_alpha * gain
        added = (1 - ratio) * (sigma**2) ** share * (next_sigma**2) ** (1 - share)
        mean = slope * mean + (1 - ratio) * next_alpha * offset
        variance = slope**2 * variance + added
    raise AssertionError


def _angle(time: float) -> float:
    first, last = math.atan(math.exp(-10)), math.atan(math.exp(10))
    return first + time * (last - first)


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("variance", ["large", "small", "medium:0.3"])
def test_samples_of_normal_data_have_the_moments_of_the_closed_form(kind: str, variance: str) -> None:
    scheduler = AncestralScheduler(variance_type=variance, prediction_type=kind)
    made = sample(scheduler, 12)
    mean, spread = expected_moments([(i + 1) / 12 for i in reversed(range(12))], variance_share(variance))
    assert float(made.mean()) == pytest.approx(mean, abs=4 * math.sqrt(spread / 20_000))
    assert float(made.var()) == pytest.approx(spread, rel=0.05)


def test_the_ports_grid_has_both_ends_and_its_own_moments() -> None:
    scheduler = AncestralScheduler(variance_type="small", grid="points")
    made = sample(scheduler, 12)
    mean, spread = expected_moments([i / 11 for i in reversed(range(12))], 0.0)
    assert float(made.mean()) == pytest.approx(mean, abs=4 * math.sqrt(spread / 20_000))
    assert float(made.var()) == pytest.approx(spread, rel=0.05)
    assert scheduler.timesteps[[0, -1]].tolist() == [1000, 0]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 300),
        pytest.param({"variance_type": "small"}, 1000, marks=pytest.mark.slow),
        pytest.param({"variance_type": "small", "grid": "points"}, 1000, marks=pytest.mark.slow),
    ],
)
def test_many_steps_sample_the_data(settings: dict[str, Any], steps: int) -> None:
    made = sample(AncestralScheduler(**settings), steps, count=4000)
    assert float(made.mean()) == pytest.approx(MEAN, abs=0.006)
    assert float(made.std()) == pytest.approx(DEVIATION, rel=0.04)


def test_variances_near_the_end_are_the_published_ones() -> None:
    """The step from time 0.001: deviations 1.6e-3 (large) and 4.5e-5 (small) of specification and port."""
    for variance, deviation in (("large", 1.6e-3), ("small", 4.54e-5)):
        scheduler = AncestralScheduler(variance_type=variance, prediction_type="sample", grid="points")
        scheduler.set_timesteps(1001)
        zero = torch.zeros(1, 4000)
        chance = torch.Generator().manual_seed(0)
        made = scheduler.step(zero, 1.0, zero, generator=chance, return_dict=False)[0]
        assert float(made.std()) == pytest.approx(deviation, rel=0.05)


def test_the_last_step_gives_the_clipped_estimate() -> None:
    scheduler = AncestralScheduler(prediction_type="sample")
    scheduler.set_timesteps(10)
    data = torch.tensor([[-3.0, 0.2, 1.7]])
    (made,) = scheduler.step(data, 100.0, torch.randn(1, 3), return_dict=False)
    assert made.tolist() == [[-1, pytest.approx(0.2), 1]]


def test_large_variance_is_that_of_diffusers_fixed_large() -> None:
    """On the same noise levels, DDPM's mean and `fixed_large` deviation are the official ones."""
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="fixed_large", clip_sample=True)
    theirs.set_timesteps(10)
    (alpha, sigma), (next_alpha, _) = noise_level(theirs, 500), noise_level(theirs, 400)
    share = 1 - alpha**2 / next_alpha**2
    assert float(theirs._get_variance(500)) == pytest.approx(share, rel=1e-5)
    ratio = (alpha / sigma) ** 2 / (next_alpha**2 / (1 - next_alpha**2))
    assert (1 - ratio) * sigma**2 == pytest.approx(share, rel=1e-5)


def test_the_schedule_of_the_diffusers_port_has_the_published_figures() -> None:
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    figures = {
        0: 0.99995869,
        1: 0.99991256,
        10: 0.99927884,
        100: 0.97157562,
        500: 0.49228504,
        900: 0.02361611,
        990: 1.9671733e-4,
        999: 2.428735e-9,
    }
    for index, figure in figures.items():
        assert float(theirs.alphas_cumprod[index]) == pytest.approx(figure, rel=2e-6)
    assert network_time(theirs, 990) == 0.99


def test_an_example_does_not_depend_on_its_batch() -> None:
    noise = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))

    def made(rows: list[int]) -> Tensor:
        chance = [torch.Generator().manual_seed(10 + row) for row in rows]
        scheduler = AncestralScheduler()
        *_, data = denoise_steps(
            gaussian("epsilon"), noise[rows], scheduler=scheduler, steps=7, generators=chance
        )
        return data

    together = made([0, 1, 2])
    for row in range(3):
        assert torch.equal(made([row])[0], together[row])


def test_the_config_can_be_saved_and_loaded(tmp_path: Path) -> None:
    AncestralScheduler(variance_type="medium:0.2", grid="points").save_pretrained(tmp_path)
    loaded: Any = AncestralScheduler.from_pretrained(tmp_path)
    assert (loaded.config["variance_type"], loaded.config["grid"]) == ("medium:0.2", "points")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variance_type": "medium:2"}, "variance_type 'medium:2'"),
        ({"variance_type": "huge"}, "variance_type 'huge'"),
        ({"variance_type": "medium:x"}, "variance_type 'medium:x'"),
        ({"grid": "lines"}, "grid 'lines'"),
        ({"prediction_type": "score"}, "prediction_type 'score'"),
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AncestralScheduler(**settings)


def test_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps"):
        AncestralScheduler().set_timesteps(0)
