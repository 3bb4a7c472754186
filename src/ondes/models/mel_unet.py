"""The audio model's network: a U-Net over time whose channels are the mel bands of both sides of stereo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.errors import UserError, nearest
from ondes.models.note_denoiser import (
    LEVEL_FREQUENCIES,
    TransformerBlock,
    from_patches,
    level_features,
    rotary_angles,
    to_patches,
)
from ondes.models.standardised_mel import StandardisedMel
from ondes.representations.mel import MelSpec

EDGE_TIMES_S = (0.25, 1.0, 4.0, 16.0)
"""The beginning and the end of a piece are felt over these times; a minute away from both, all places are alike."""

LEAST_LEVEL = 0.05
"""Velocities are the way to the data over the level of noise, but not over less than this."""


class AudioConditions(NamedTuple):
    """What a batch of windows is told beside its noise.

    Attributes:
        style: One at each style that holds (batch, styles); all zeros where nothing is known.
        since_start_s: Seconds from the beginning of the piece to the window's first frame (batch,).
        until_end_s: Seconds from the window's first frame to the end of the piece (batch,); infinite where it is not
            known, or far.
    """

    style: Float[Tensor, "batch styles"]
    since_start_s: Float[Tensor, " batch"]
    until_end_s: Float[Tensor, " batch"]


class FrameBlock(nn.Module):
    """Depthwise convolution over time, then a gated MLP on each token, scaled, shifted and gated by the noise level.

    ConvNeXt (Liu et al. 2022, arXiv 2201.03545) with adaptive norms as in `TransformerBlock`. Norms are taken over the
    channels of a token alone, so nothing depends on how long a piece is.
    """

    def __init__(self, width: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.expand = nn.Linear(width, 2 * hidden, bias=False)
        self.contract = nn.Linear(hidden, width, bias=False)
        self.offset = nn.Parameter(torch.zeros(3, width))
        nn.init.zeros_(self.contract.weight)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], level: Float[Tensor, "batch 3 width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Tokens plus what the block adds to them."""
        scale, shift, gate = (level + self.offset)[:, :, None].unbind(1)
        mixed = self.mix(tokens.transpose(1, 2)).transpose(1, 2)
        value, opening = self.expand(self.norm(mixed) * (1 + scale) + shift).chunk(2, dim=-1)
        return tokens + (1 + gate) * self.contract(value * functional.silu(opening))


class MelUNet(StandardisedMel, ModelMixin, ConfigMixin):
    """Predicts the velocity of flow matching for standardised stereo log-mels.

    After Msanii (Maina 2023, arXiv 2301.06468), mel bands are channels and only time is resampled. What differs: both
    sides of stereo are channels too, as mean and half difference; norms are taken token by token; attention at the
    bottleneck knows positions (`rotate`); a mask channel tells given frames, so editing needs one sampling run; the
    place within the piece and its style are told; and the network answers with the data, of which the velocity
    follows: a token holds more numbers than the network has channels, so it could never carry the noise (Li and He
    2025, arXiv 2511.13720).

    Args:
        styles: Names of what a piece may be told to be: collections, instrument families.
        widths: Channels of a token at each level, the last one the bottleneck's.
        hidden: Channels inside the MLPs at each level.
        blocks: Blocks at each level, on the way down and again on the way up; transformer blocks at the bottleneck.
        strides: How many tokens of each level make one of the next.
        heads: Attention heads at the bottleneck.
        kernel: Tokens that a convolution sees, odd.
        patch_frames: Mel frames in a token of the first level.
        sample_rate_hz: Rate of the audio.
        fft_size: Samples in a frame.
        hop_samples: Samples from frame to frame.
        bands: Mel bands.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        styles: Sequence[str] = (),
        widths: Sequence[int] = (256, 320, 384),
        hidden: Sequence[int] = (448, 640, 768),
        blocks: Sequence[int] = (2, 2, 5),
        strides: Sequence[int] = (4, 2),
        heads: int = 6,
        kernel: int = 7,
        patch_frames: int = 2,
        sample_rate_hz: int = 44_100,
        fft_size: int = 2048,
        hop_samples: int = 512,
        bands: int = 128,
    ) -> None:
        super().__init__()
        self.spec = MelSpec(sample_rate_hz, fft_size, hop_samples, bands)
        self.styles = tuple(styles)
        self.multiple = patch_frames * math.prod(strides)
        """Frames in a token of the bottleneck: windows are whole multiples of it."""
        patch = 2 * bands * patch_frames
        top, bottom = widths[0], widths[-1]
        self.enter = nn.Linear(patch + patch_frames, top)
        self.level = nn.Sequential(
            nn.Linear(2 * LEVEL_FREQUENCIES, top), nn.SiLU(), nn.Linear(top, bottom), nn.SiLU()
        )
        self.style = nn.Linear(max(len(self.styles), 1), bottom)
        self.edges = nn.Linear(2 * (len(EDGE_TIMES_S) + 1), bottom)
        self.modulate = nn.ModuleList(nn.Linear(bottom, 3 * width) for width in widths[:-1])
        self.modulate_bottom = nn.Linear(bottom, 6 * bottom)
        levels = list(zip(widths[:-1], hidden, blocks, strict=False))
        self.down = nn.ModuleList(
            nn.ModuleList(FrameBlock(width, inner, kernel) for _ in range(count))
            for width, inner, count in levels
        )
        self.up = nn.ModuleList(
            nn.ModuleList(FrameBlock(width, inner, kernel) for _ in range(count))
            for width, inner, count in levels
        )
        steps = list(zip(pairwise(widths), strides, strict=True))
        self.shrink = nn.ModuleList(nn.Linear(above * stride, below) for (above, below), stride in steps)
        self.grow = nn.ModuleList(nn.Linear(below, above * stride) for (above, below), stride in steps)
        self.bottom = nn.ModuleList(TransformerBlock(bottom, hidden[-1], heads) for _ in range(blocks[-1]))
        # No norm before it: at low levels the answer is what came in, loud or soft.
        self.leave = nn.Linear(top, patch)
        self.register_buffer("mean", torch.zeros(2, bands))
        self.register_buffer("deviation", torch.ones(2, bands))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        nn.init.zeros_(self.style.weight)

    def conditions(
        self,
        batch: int = 1,
        *,
        style: Sequence[str] = (),
        since_start_s: float = 0.0,
        until_end_s: float = math.inf,
    ) -> AudioConditions:
        """The same conditions for every window of a batch.

        Args:
            batch: Windows.
            style: Names among the network's `styles`; none means nothing is known.
            since_start_s: Seconds from the beginning of the piece to the windows.
            until_end_s: Seconds from the beginning of the windows to the end of the piece.

        Raises:
            UserError: If the network does not know a style.
        """
        flags = torch.zeros(batch, max(len(self.styles), 1), device=self.device)
        for name in style:
            if name not in self.styles:
                raise UserError(f"this model knows no style {name!r}: {nearest(name, self.styles)}")
            flags[:, self.styles.index(name)] = 1
        times = torch.tensor([since_start_s, until_end_s], device=self.device).expand(batch, 2)
        return AudioConditions(flags, *times.unbind(1))

    def forward(
        self,
        noisy: Float[Tensor, "batch 2 bands frames"],
        level: Float[Tensor, " batch"],
        conditions: AudioConditions,
        known: Bool[Tensor, "batch frames"] | None = None,
    ) -> Float[Tensor, "batch 2 bands frames"]:
        """Velocity, noise minus data, at a point (1 - level) data + level noise of the straight path.

        Args:
            noisy: Standardised features; clean ones in known frames. Frames are a multiple of `multiple`.
            level: Share of noise, 0 to 1.
            conditions: Style and place.
            known: Frames that are given; none if missing.

        Returns:
            The velocity; of no meaning in known frames.

        Raises:
            ValueError: If there are other than whole tokens.
        """
        if noisy.shape[-1] % self.multiple:
            raise ValueError(f"{noisy.shape[-1]} frames; only multiples of {self.multiple} can be seen")
        share = level[:, None, None, None]
        given = torch.zeros_like(noisy[:, 0, 0], dtype=torch.bool) if known is None else known
        scale = ((1 - share).square() + share.square()).rsqrt()
        seen = torch.where(given[:, None, None], noisy, noisy * scale)
        data = self._network(seen, given.to(noisy), level, conditions)
        return (noisy - data) / share.clamp(min=LEAST_LEVEL)

    def _network(self, seen: Tensor, given: Tensor, level: Tensor, conditions: AudioConditions) -> Tensor:
        patch = self.config["patch_frames"]
        tokens = self.enter(torch.cat([to_patches(seen, patch), given.unflatten(1, (-1, patch))], -1))
        told = self.level(level_features(level)) + self.style(conditions.style)
        skips = []
        for blocks, modulate, shrink in zip(self.down, self.modulate, self.shrink, strict=True):
            for block in cast(nn.ModuleList, blocks):
                tokens = block(tokens, modulate(told).unflatten(1, (3, -1)))
            skips.append(tokens)
            tokens = shrink(tokens.unflatten(1, (-1, shrink.in_features // tokens.shape[2])).flatten(2))
        tokens = tokens + self.edges(
            edge_features(conditions, tokens.shape[1], self.multiple / self.spec.frames_per_second)
        )
        angles = rotary_angles(tokens.shape[1], tokens.shape[2] // self.config["heads"], tokens.device)
        modulation = self.modulate_bottom(told).unflatten(1, (6, -1))
        for block in self.bottom:
            tokens = block(tokens, modulation, angles)
        for blocks, modulate, grow in reversed(list(zip(self.up, self.modulate, self.grow, strict=True))):
            skip = skips.pop()
            tokens = skip + grow(tokens).unflatten(2, (-1, skip.shape[2])).flatten(1, 2)
            for block in cast(nn.ModuleList, blocks):
                tokens = block(tokens, modulate(told).unflatten(1, (3, -1)))
        return from_patches(self.leave(tokens), patch, self.spec.bands)


def edge_features(
    conditions: AudioConditions, tokens: int, token_s: float
) -> Float[Tensor, "batch tokens features"]:
    """How near the beginning and the end of the piece each token of the bottleneck is.

    For either edge exp(-t / T) at the times T of `EDGE_TIMES_S`, which is 1 beyond the edge and 0 far inside, and a
    flag for tokens beyond it. So no place is new to the network in a piece longer than those it learned from.
    """
    middles_s = (torch.arange(tokens, device=conditions.style.device) + 0.5) * token_s
    times = torch.tensor(EDGE_TIMES_S, device=middles_s.device)
    features = []
    for away_s in (
        conditions.since_start_s[:, None] + middles_s,
        conditions.until_end_s[:, None] - middles_s,
    ):
        features += [torch.exp(-away_s.clamp(min=0)[..., None] / times), (away_s < 0).float()[..., None]]
    return torch.cat(features, -1)
