"""The vocoder network of Msanii: magnitudes of a linear spectrum from scaled log-mels; Griffin-Lim adds the phases."""

from __future__ import annotations

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn

from ondes.models.msanii_unet import NORMS, ResidualBlock


class MsaniiVocoder(ModelMixin, ConfigMixin):
    """Magnitudes of the short-time Fourier transform: 1 412 097 weights in 10 tensors at the published width.

    Args:
        bands: Mel bands.
        bins: Of the spectrum.
        width: Channels.
        hidden_factor: As of `ondes.models.msanii_unet.ResidualBlock`.
        norm: "instance" as published, or "frame", as of `ondes.models.msanii_unet.ClipNorm`.
        features: How audio becomes features: `MsaniiFeatures.to_config`.

    Raises:
        ValueError: If there is no such norm.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        bands: int = 128,
        bins: int = 1025,
        width: int = 256,
        hidden_factor: int = 4,
        norm: str = "instance",
        features: dict | None = None,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm {norm!r}: {' and '.join(map(repr, NORMS))} are allowed")
        self.input = nn.Conv2d(bands, width, 1)
        self.residual = ResidualBlock(
            width, width, hidden_factor=hidden_factor, dilation=1, time_size=0, norm=norm
        )
        self.output = nn.Conv2d(width, bins, 1)

    def forward(
        self, features: Float[Tensor, "batch channels bands frames"]
    ) -> Float[Tensor, "batch channels bins frames"]:
        """Magnitudes, 0 or more, of features."""
        hidden = self.residual(self.input(features.transpose(1, 2)))
        return self.output(hidden).exp().transpose(1, 2)
