"""Tests of the losses of flow matching on log-mels."""

from __future__ import annotations

import pytest
import torch

from ondes.training.flow_losses import flow_error


@pytest.mark.parametrize(("level", "expected"), [(0.05, 1.0), (0.1, 1.0), (0.2, 1.0), (0.5, 0.16)])
def test_below_the_least_level_errors_of_the_data_count_alike(level: float, expected: float) -> None:
    """An error of 0.2 of the data is one of 0.2 / level of the velocity."""
    data, noise = torch.randn(2, 2, 2, 8, 16)
    made = noise - data + 0.2 / level
    variance = (1 - level) ** 2 + level**2
    loss = flow_error(
        made, data, noise, torch.full((2,), level), torch.zeros(2, 16, dtype=torch.bool), least_level=0.2
    )
    torch.testing.assert_close(loss, torch.full((2,), expected * variance), rtol=1e-4, atol=1e-5)


def test_known_frames_do_not_count() -> None:
    data, noise = torch.randn(2, 1, 2, 8, 16)
    known = torch.arange(16)[None] < 8
    made = noise - data
    made[..., :8] += 100
    assert float(flow_error(made, data, noise, torch.tensor([0.7]), known)) == pytest.approx(0, abs=1e-8)
