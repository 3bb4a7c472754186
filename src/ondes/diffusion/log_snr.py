"""The cosine schedule of Spectrogram Diffusion, in continuous time and log signal-to-noise ratios.

Hawthorne et al. (2022), arXiv 2206.05408, after Kingma et al. (2021), arXiv 2107.00630. At time t in 0 (data) to 1
(noise), a noisy example is alpha data + sigma noise with alpha^2 = sigmoid(log SNR) and sigma^2 = sigmoid(-log SNR).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

GREATEST_LOG_SNR = 20.0
"""Log SNR at time 0; its negative is that at time 1."""

_FIRST = math.atan(math.exp(-GREATEST_LOG_SNR / 2))
_SLOPE = math.atan(math.exp(GREATEST_LOG_SNR / 2)) - _FIRST


def cosine_log_snr(time: Float[Tensor, "*times"]) -> Float[Tensor, "*times"]:
    """Log SNR -2 ln tan(a t + b): 20 at time 0, 0 at 1/2, -20 at 1; b = atan(e^-10), a = atan(e^10) - b."""
    # In double precision, as the tangent is steep where the angle nears a right one.
    return (-2 * torch.log(torch.tan(_SLOPE * time.double() + _FIRST))).to(time.dtype)


def alpha_sigma(
    log_snr: Float[Tensor, "*times"],
) -> tuple[Float[Tensor, "*times"], Float[Tensor, "*times"]]:
    """Shares of data and of noise; their squares sum to 1."""
    return torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()


def cosine_betas(steps: int) -> Float[Tensor, " steps"]:
    """The schedule at times 1/steps, 2/steps, ..., 1 as the betas of a discrete scheduler.

    For the `trained_betas` of a scheduler of diffusers, whose `alphas_cumprod[i]` is then alpha^2 at time
    (i + 1) / steps: the network is told the noise that is there. Double precision.
    """
    times = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    kept = torch.sigmoid(cosine_log_snr(times))
    return 1 - kept / torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
