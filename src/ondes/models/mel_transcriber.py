"""A small transcriber of log-mels that can be differentiated, to tell a diffusion model which notes it should hear."""

from __future__ import annotations

import itertools

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

KEYS = 88
BANDS = 128


class MelTranscriber(ModelMixin, ConfigMixin):
    """Scaled log-mels, clean or noisy, to logits of the notes that begin and that sound.

    Three convolutions over time and bands, which halve the bands each time, then three over time with all bands at
    once; the noise level scales and shifts what every layer finds (FiLM, Perez et al. 2018, arXiv 1709.07871), so one
    network judges estimates of the data at every step of a sampler.

    Args:
        maps: Channels of the first convolution; each of the next two has twice as many.
        width: Channels of those over time.
        level_scale: Log SNRs are divided by this before the network sees them.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, maps: int = 16, width: int = 192, level_scale: float = 10.0) -> None:
        super().__init__()
        channels = (1, maps, 2 * maps, 4 * maps)
        self.spectral = nn.ModuleList(
            nn.Conv2d(before, after, (3, 5), stride=(1, 2), padding=(1, 2))
            for before, after in itertools.pairwise(channels)
        )
        inputs = (channels[-1] * BANDS // 8, width, width)
        self.temporal = nn.ModuleList(nn.Conv1d(size, width, 5, padding=2) for size in inputs)
        sizes = [*channels[1:], width, width, width]
        self.films = nn.ModuleList(nn.Linear(16, 2 * size) for size in sizes)
        self.level = nn.Sequential(nn.Linear(1, 16), nn.SiLU())
        self.onset = nn.Linear(width, KEYS)
        self.sounding = nn.Linear(width, KEYS)

    def forward(
        self, log_mel: Float[Tensor, "batch frames 128"], log_snr: Float[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch frames 88"], Float[Tensor, "batch frames 88"]]:
        """Logits of beginnings and of sounding notes.

        Args:
            log_mel: In -1..1, or an estimate of it.
            log_snr: Of the noisy example that the estimate was made from; 20 or more for clean data.
        """
        level = self.level(log_snr[:, None].to(log_mel) / float(self.config["level_scale"]))
        films = iter(self.films)
        maps = log_mel[:, None]
        for layer in self.spectral:
            maps = functional.silu(_film(layer(maps), next(films)(level)))
        found = maps.permute(0, 1, 3, 2).flatten(1, 2)
        for index, layer in enumerate(self.temporal):
            new = functional.silu(_film(layer(found), next(films)(level)))
            found = new + found if index else new
        rows = found.transpose(1, 2)
        return self.onset(rows), self.sounding(rows)


def _film(found: Tensor, parameters: Tensor) -> Tensor:
    scale, shift = parameters.reshape(*parameters.shape, *[1] * (found.ndim - 2)).chunk(2, dim=1)
    return found * (1 + scale) + shift


def roll_log_likelihood(
    logits: tuple[Tensor, Tensor], rolls: tuple[Tensor, Tensor], *, onset_weight: float = 1.0
) -> Float[Tensor, " batch"]:
    """Log-likelihood of rolls, every key of every frame a coin of its own.

    Args:
        logits: Of beginnings and of sounding notes, each (batch, frames, 88).
        rolls: The same as 0 and 1.
        onset_weight: How often beginnings count.
    """
    onsets, sounding = (
        -functional.binary_cross_entropy_with_logits(given, wanted.expand_as(given), reduction="none").sum(
            (1, 2)
        )
        for given, wanted in zip(logits, rolls, strict=True)
    )
    return onset_weight * onsets + sounding
