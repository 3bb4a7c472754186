"""What networks over our log-mels share: features of stereo, standardised by fixed statistics per band."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ondes.representations.mel import MelSpec, from_mid_side, to_mid_side


class StandardisedMel:
    """To and from features: mean and half difference of left and right, over their deviation in each band.

    The network registers the buffers `mean` and `deviation`, (2, bands), and has the front end as `spec`.
    """

    mean: Tensor
    deviation: Tensor
    spec: MelSpec

    def standardise(
        self, log_mel: Float[Tensor, "*batch 2 bands frames"]
    ) -> Float[Tensor, "*batch 2 bands frames"]:
        """Features of a log-mel: mean and half difference of left and right, over their deviation in each band."""
        return (to_mid_side(log_mel) - self.mean[..., None]) / self.deviation[..., None]

    def restore(
        self, features: Float[Tensor, "*batch 2 bands frames"]
    ) -> Float[Tensor, "*batch 2 bands frames"]:
        """The inverse of `standardise`, clipped at the floor of the log-mel."""
        return from_mid_side(features * self.deviation[..., None] + self.mean[..., None], spec=self.spec)
