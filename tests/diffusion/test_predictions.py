"""What a network answers with is a matter of words: all three say the same of the data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.diffusion.predictions import Prediction, as_noise, from_noise

LEVELS = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
DATA, NOISE = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def shares(level: Tensor) -> tuple[Tensor, Tensor]:
    return alpha_sigma(cosine_log_snr(level))


ALPHA, SIGMA = (share[:, None, None] for share in shares(LEVELS))
NOISY = ALPHA * DATA + SIGMA * NOISE
TRUTHS: dict[Prediction, Tensor] = {
    "epsilon": NOISE,
    "sample": DATA,
    "v_prediction": ALPHA * NOISE - SIGMA * DATA,
}


@pytest.mark.parametrize("prediction", TRUTHS)
def test_every_true_answer_is_the_same_noise_and_comes_back(prediction: Prediction) -> None:
    noise = as_noise(lambda *_: TRUTHS[prediction], shares=shares, prediction=prediction)
    torch.testing.assert_close(noise(NOISY, LEVELS), NOISE)
    back = from_noise(noise, shares=shares, prediction=prediction)
    torch.testing.assert_close(back(NOISY, LEVELS), TRUTHS[prediction])
