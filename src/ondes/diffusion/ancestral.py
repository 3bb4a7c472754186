"""The sampler of the official Spectrogram Diffusion code, and that of its PyTorch port, as a scheduler of diffusers."""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr

MEDIUM = "medium:"
GRIDS = ("steps", "points")


class AncestralScheduler(SchedulerMixin, ConfigMixin):
    """Ancestral sampling (Ho et al. 2020, arXiv 2006.11239) on the cosine log-SNR schedule, in continuous time.

    From time t to an earlier s, with r = SNR_t / SNR_s and the estimate x of the data: the next example is normal with
    mean r (alpha_s / alpha_t) z + (1 - r) alpha_s x; the last step gives x itself. Timesteps are numbers from
    `num_train_timesteps` down to 0, not indices: the time times `num_train_timesteps`.

    Args:
        num_train_timesteps: What a timestep is divided by to give the time.
        prediction_type: What the network answers with: "epsilon", "sample" or "v_prediction".
        variance_type: "large": (1 - r) sigma_t^2; "small": (1 - r) sigma_s^2; "medium:f": between them in the
            logarithm, f = 0 being small and 1 large.
        grid: "steps": N steps from time 1 to 0, as in the official code; "points": N times evenly spaced with both
            ends, the last evaluation being at time 0, as in the port.
        clip_sample_range: The estimate of the data is clipped to plus or minus this.

    Raises:
        ValueError: If a setting is none of these.
    """

    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        prediction_type: str = "epsilon",
        variance_type: str = "large",
        grid: str = "steps",
        clip_sample_range: float = 1.0,  # noqa: ARG002
    ) -> None:
        self.share = variance_share(variance_type)
        if prediction_type not in ("epsilon", "sample", "v_prediction"):
            raise ValueError(
                f"prediction_type {prediction_type!r}: 'epsilon', 'sample' and 'v_prediction' are allowed"
            )
        if grid not in GRIDS:
            raise ValueError(f"grid {grid!r}: {' and '.join(map(repr, GRIDS))} are allowed")
        self.timesteps: Tensor
        self.set_timesteps(num_train_timesteps)

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:  # noqa: ARG002
        """Choose how many times the network is asked; the timesteps stay on the CPU, in double precision.

        Raises:
            ValueError: If it is not once or more.
        """
        if num_inference_steps < 1:
            raise ValueError(f"{num_inference_steps} steps: at least 1 is needed")
        self.num_inference_steps = num_inference_steps
        count, whole = num_inference_steps, float(self.config["num_train_timesteps"])
        if self.config["grid"] == "points" and count > 1:
            grid = torch.linspace(0, whole, count, dtype=torch.float64)
        else:
            grid = torch.arange(1, count + 1, dtype=torch.float64) * whole / count
        self.timesteps = grid.flip(0)

    def scale_model_input(self, sample: Tensor, timestep: Tensor | float | None = None) -> Tensor:  # noqa: ARG002
        """The example as it is: the network wants unit variance."""
        return sample

    def alpha_sigma(self, timestep: Tensor | float) -> tuple[float, float]:
        """Shares of data and noise at a timestep."""
        alpha, sigma = alpha_sigma(cosine_log_snr(self._time(timestep)))
        return float(alpha), float(sigma)

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """The example at the next timestep.

        Args:
            model_output: What the network answered.
            timestep: Of the sample.
            sample: Noisy examples (batch, ...).
            generator: Of the noise; a list has one an example, so that an example does not depend on its batch.
            return_dict: Whether to give a `SchedulerOutput`, or a tuple with the example.
        """
        log_snr = cosine_log_snr(self._time(timestep))
        data = self._data(model_output, sample, log_snr)
        earlier = self.timesteps[self.timesteps < float(timestep) - 1e-9]
        if not len(earlier):
            made = data
        else:
            next_log_snr = cosine_log_snr(self._time(earlier[0]))
            ratio = torch.exp(log_snr - next_log_snr)
            (alpha, sigma), (next_alpha, next_sigma) = alpha_sigma(log_snr), alpha_sigma(next_log_snr)
            mean = float(ratio * next_alpha / alpha) * sample + float((1 - ratio) * next_alpha) * data
            spread = float(
                (1 - ratio).sqrt() * torch.exp(torch.lerp(next_sigma.log(), sigma.log(), self.share))
            )
            noise = randn_tensor(sample.shape, generator=generator, device=sample.device, dtype=sample.dtype)
            made = mean + spread * noise
        return SchedulerOutput(made) if return_dict else (made,)

    def _data(self, output: Tensor, sample: Tensor, log_snr: Tensor) -> Tensor:
        """The clipped estimate of the data."""
        alpha, sigma = (float(share) for share in alpha_sigma(log_snr))
        if self.config["prediction_type"] == "epsilon":
            output = (sample - sigma * output) / alpha
        elif self.config["prediction_type"] == "v_prediction":
            output = alpha * sample - sigma * output
        limit = float(self.config["clip_sample_range"])
        return output.clamp(-limit, limit)

    def _time(self, timestep: Tensor | float) -> Tensor:
        return torch.tensor(float(timestep) / float(self.config["num_train_timesteps"]), dtype=torch.float64)


def variance_share(variance_type: str) -> float:
    """Where a variance lies between "small" (0) and "large" (1).

    Raises:
        ValueError: If it is neither of them nor "medium:" and a number from 0 to 1.
    """
    if variance_type in ("small", "large"):
        return float(variance_type == "large")
    try:
        share = float(variance_type.removeprefix(MEDIUM)) if variance_type.startswith(MEDIUM) else math.nan
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ValueError(f"variance_type {variance_type!r}: 'small', 'large' or 'medium:0.5' are allowed")
    return share
