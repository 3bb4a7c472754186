"""Networks that answer with the data or with v, taken for ones that predict the noise, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from ondes.diffusion.guidance import Denoiser

Prediction = Literal["epsilon", "sample", "v_prediction"]
"""What a network answers with: the noise, the data, or alpha noise - sigma data (Salimans and Ho 2022)."""

Shares = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps noise levels (batch,) to the shares alpha of data and sigma of noise in the noisy example, each (batch,)."""


def as_noise(denoiser: Denoiser, *, shares: Shares, prediction: Prediction) -> Denoiser:
    """A denoiser whose answers are the noise that another's answers stand for."""
    if prediction == "epsilon":
        return denoiser

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        alpha, sigma = (wide(share, noisy) for share in shares(level))
        answer = denoiser(noisy, level)
        if prediction == "sample":
            return (noisy - alpha * answer) / sigma
        return alpha * answer + sigma * noisy

    return denoise


def from_noise(denoiser: Denoiser, *, shares: Shares, prediction: Prediction) -> Denoiser:
    """The inverse of `as_noise`."""
    if prediction == "epsilon":
        return denoiser

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        alpha, sigma = (wide(share, noisy) for share in shares(level))
        noise = denoiser(noisy, level)
        data = (noisy - sigma * noise) / alpha
        return data if prediction == "sample" else alpha * noise - sigma * data

    return denoise


def wide(values: Tensor, like: Tensor) -> Tensor:
    """Values (batch,) in the shape in which they multiply a tensor (batch, ...), and in its precision."""
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
