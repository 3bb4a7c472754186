"""Classifier guidance: the gradient of what a judge says of the expected data steers a denoiser that knows nothing.

Dhariwal and Nichol (2021), arXiv 2105.05233, algorithm 2, with the judge looking at the estimate of the data instead of
the noisy example, as in Chung et al. (2022), arXiv 2209.14687, equation 14.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ondes.diffusion.guidance import Denoiser
from ondes.diffusion.predictions import Shares, wide

LogLikelihood = Callable[[Tensor, Tensor], Tensor]
"""Maps estimates of the data (batch, ...) and noise levels (batch,) to log p(what is wanted | estimate) (batch,)."""


def guide_by_likelihood(
    denoiser: Denoiser,
    log_likelihood: LogLikelihood,
    *,
    shares: Shares,
    scale: float = 1.0,
    through_network: bool = True,
    most: float | None = None,
) -> Denoiser:
    """A denoiser of the noise that also makes something wanted more likely.

    eps - scale sigma d/dz log p(y | (z - sigma eps(z)) / alpha). If the likelihood is that of y given the estimate
    (with the uncertainty that the estimate has at this level), this is the noise of the posterior: guidance is exact.

    Args:
        denoiser: Predicts the noise.
        log_likelihood: What is wanted, differentiable in the estimate; each example's is its own.
        shares: The schedule.
        scale: 0 leaves the denoiser alone, 1 is Bayes' rule, more exaggerates.
        through_network: Whether the gradient passes through the denoiser, which is exact; if not, the estimate is
            taken to move as z / alpha, which saves the network's backward pass and its memory.
        most: Largest length of what guidance adds to an example, as a share of that of the predicted noise. A judge
            that learned from data gives wild gradients where it has never been; this bounds what they can do.
    """
    if scale == 0:
        return denoiser

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        alpha, sigma = (wide(share, noisy) for share in shares(level))
        with torch.enable_grad():
            place = noisy.detach().requires_grad_()
            with torch.set_grad_enabled(through_network):
                noise = denoiser(place, level)
            estimate = (place - sigma * noise) / alpha
            (gradient,) = torch.autograd.grad(log_likelihood(estimate, level).sum(), place)
        noise, added = noise.detach(), -scale * sigma * gradient
        if most is not None:
            added = added * (most * _length(noise) / _length(added).clamp(min=1e-12)).clamp(max=1.0)
        return noise + added

    return denoise


def _length(values: Float[Tensor, "batch ..."]) -> Tensor:
    return wide(values.flatten(1).norm(dim=1), values)
