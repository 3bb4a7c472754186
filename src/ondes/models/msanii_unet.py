"""The network of Msanii: a U-Net over time whose channels are mel bands, and whose height is left and right.

Maina (2023), arXiv 2301.06468. 49 878 016 weights in 336 tensors at its published width. Differences from the published
network are options that are off in it: see `MsaniiUNet`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-5
NORMS = ("instance", "frame")
ATTENTION = (False, False, False, False, False, True, True)
RESAMPLING = (True, True, True, True, True, True, False)


def time_code(timestep: Float[Tensor, " batch"], size: int) -> Float[Tensor, "batch {size}"]:
    """Sines of timesteps at `size` / 2 rates from 1 to 1 / 10 000, both included, then their cosines."""
    steps = torch.arange(size // 2, device=timestep.device, dtype=timestep.dtype)
    rates = torch.exp(steps * (-math.log(10_000) / (size // 2 - 1)))
    angles = timestep[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ClipNorm(nn.Module):
    """Normalisation without weights.

    Args:
        kind: "instance": each channel over height and time, as published, so that every frame depends on the whole
            clip; "frame": each frame over channels and height, so that it depends on nothing else.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.axes = (2, 3) if kind == "instance" else (1, 2)

    def forward(self, hidden: Float[Tensor, "batch channels height time"]) -> Tensor:
        """The features with mean 0 and variance 1."""
        variance, mean = torch.var_mean(hidden, self.axes, correction=0, keepdim=True)
        return (hidden - mean) * torch.rsqrt(variance + NORM_EPSILON)


class ResidualBlock(nn.Module):
    """A convolution over three frames and both channels, the noise level, and a hidden layer, added to the input.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        hidden_factor: Channels of the hidden layer for each that comes out.
        dilation: Of the convolution, in both directions.
        time_size: Of the code of the noise level; none where 0.
        norm: As of `MsaniiUNet`.
    """

    def __init__(
        self, inputs: int, outputs: int, *, hidden_factor: int, dilation: int, time_size: int, norm: str
    ) -> None:
        super().__init__()
        self.norm = ClipNorm(norm)
        self.spatial = nn.Conv2d(inputs, outputs, 3, padding="same", dilation=dilation)
        self.time = nn.Conv2d(time_size, outputs, 1) if time_size else None
        self.widen = nn.Conv2d(outputs, outputs * hidden_factor, 1)
        self.narrow = nn.Conv2d(outputs * hidden_factor, outputs, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(
        self,
        hidden: Float[Tensor, "batch inputs height time"],
        level: Float[Tensor, "batch size 1 1"] | None = None,
    ) -> Float[Tensor, "batch outputs height time"]:
        """The features at this level of noise."""
        made = self.spatial(self.norm(hidden))
        if self.time is not None and level is not None:
            made = made + self.time(level)
        made = self.narrow(functional.gelu(self.widen(functional.gelu(made))))
        return made + (hidden if self.shortcut is None else self.shortcut(hidden))


class LinearAttention(nn.Module):
    """Attention at a cost linear in time, with a softmax over features and one over time (Shen et al. 2018).

    Left and right attend each to itself. Values are divided by a number of tokens, beside the softmax over time which
    already averages: by the input's own, as published, which makes the gain depend on its length; or by a fixed one.

    Args:
        channels: In and out.
        heads: Each has channels / heads features.
        norm: As of `MsaniiUNet`.
    """

    def __init__(self, channels: int, *, heads: int, norm: str) -> None:
        super().__init__()
        self.heads = heads
        self.norm = ClipNorm(norm)
        self.project = nn.Conv2d(channels, channels * 3, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(
        self, hidden: Float[Tensor, "batch channels height time"], tokens: int | None = None
    ) -> Float[Tensor, "batch channels height time"]:
        """The features, after each moment has seen all others of its side.

        Args:
            hidden: Of a level with attention.
            tokens: What values are divided by; the length of the input where None.
        """
        parts = self.project(self.norm(hidden)).chunk(3, dim=1)
        query, key, value = (part.unflatten(1, (self.heads, -1)) for part in parts)
        query = query.softmax(2) * query.shape[2] ** -0.5
        value = value / (tokens or hidden.shape[-1])
        context = torch.einsum("bhdst,bhest->bhdes", key.softmax(-1), value)
        seen = torch.einsum("bhdes,bhdst->bhest", context, query)
        return hidden + self.out(seen.flatten(1, 2))


class Block(nn.Module):
    """A residual block, and attention where there is one."""

    def __init__(self, inputs: int, outputs: int, *, attends: bool, heads: int, **residual: Any) -> None:
        super().__init__()
        self.residual = ResidualBlock(inputs, outputs, **residual)
        self.attention = LinearAttention(outputs, heads=heads, norm=residual["norm"]) if attends else None

    def forward(self, hidden: Tensor, level: Tensor, tokens: int | None) -> Tensor:
        """The features of a level."""
        hidden = self.residual(hidden, level)
        return hidden if self.attention is None else self.attention(hidden, tokens)


class MiddleBlock(nn.Module):
    """Attention between two residual blocks, at the lowest level."""

    def __init__(self, channels: int, *, heads: int, **residual: Any) -> None:
        super().__init__()
        self.before = ResidualBlock(channels, channels, **residual)
        self.attention = LinearAttention(channels, heads=heads, norm=residual["norm"])
        self.after = ResidualBlock(channels, channels, **residual)

    def forward(self, hidden: Tensor, level: Tensor, tokens: int | None) -> Tensor:
        """The features of the lowest level."""
        return self.after(self.attention(self.before(hidden, level), tokens), level)


def halve(channels: int) -> nn.Conv2d:
    """Every second frame."""
    return nn.Conv2d(channels, channels, (1, 3), stride=(1, 2), padding=(0, 1))


def double(channels: int) -> nn.ConvTranspose2d:
    """Twice as many frames."""
    return nn.ConvTranspose2d(channels, channels, (1, 4), stride=(1, 2), padding=(0, 1))


class MsaniiUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in scaled log-mels.

    `encoder` and `decoder` are flat: at each level its blocks, then in the encoder what halves the frames, and in the
    decoder, from the lowest level up, first what doubles them. Every encoder block's output goes to the decoder block
    that mirrors it.

    Args:
        bands: Mel bands.
        width: Channels of a level, times its multiplier.
        hidden_factor: As of `ResidualBlock`; of the code of the noise level as well.
        multipliers: One a level; a level's blocks have the next one's, the last is repeated. The first must be 1.
        time_size: Of the code of the noise level.
        dilations: One a level.
        heads: Of each attention.
        attention: Which levels attend.
        resampling: Which levels halve the frames at their end.
        blocks: In each level.
        norm: As of `ClipNorm`: "instance" as published, or "frame".
        attention_frames: Length, in frames, for which the gain of attention is right at any length; None, as published,
            lets it fall with the length. Published weights, made for 8192 frames, do at this length the same with
            8192. New weights want the `multiple` of the network, which divides nothing at the lowest level.
        features: How audio becomes features: `MsaniiFeatures.to_config`.

    Raises:
        ValueError: If the settings describe no network.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        bands: int = 128,
        width: int = 256,
        hidden_factor: int = 4,
        multipliers: Sequence[int] = (1,) * 7,
        time_size: int = 128,
        dilations: Sequence[int] = (1,) * 7,
        heads: int = 8,
        attention: Sequence[bool] = ATTENTION,
        resampling: Sequence[bool] = RESAMPLING,
        blocks: Sequence[int] = (2,) * 7,
        norm: str = "instance",
        attention_frames: int | None = None,
        features: dict | None = None,
    ) -> None:
        super().__init__()
        check_levels(multipliers, dilations, attention, resampling, blocks)
        if norm not in NORMS:
            raise ValueError(f"norm {norm!r}: {' and '.join(map(repr, NORMS))} are allowed")
        widths = [width * times for times in (*multipliers, multipliers[-1])]
        if any(size % heads for size in widths) or time_size % 2:
            raise ValueError(
                f"widths {widths} in {heads} heads, a time code of {time_size}: must come out even"
            )
        shared = {"hidden_factor": hidden_factor, "time_size": time_size, "norm": norm}
        self.multiple = 2 ** sum(resampling)
        self.input = nn.Conv2d(bands, widths[0], 1)
        self.time = nn.Sequential(
            nn.Linear(time_size, time_size * hidden_factor),
            nn.GELU(),
            nn.Linear(time_size * hidden_factor, time_size),
        )
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level, count in enumerate(blocks):
            before, own = widths[level : level + 2]
            settings = {"attends": attention[level], "heads": heads, "dilation": dilations[level], **shared}
            self.encoder.extend(Block(own if number else before, own, **settings) for number in range(count))
            if resampling[level]:
                self.encoder.append(halve(own))
        self.middle = MiddleBlock(widths[-1], heads=heads, dilation=1, **shared)
        for level in reversed(range(len(blocks))):
            before, own = widths[level : level + 2]
            settings = {"attends": attention[level], "heads": heads, "dilation": dilations[level], **shared}
            if resampling[level]:
                self.decoder.append(double(own))
            outputs = [own] * (blocks[level] - 1) + [before]
            self.decoder.extend(Block(own * 2, size, **settings) for size in outputs)
        self.output = nn.Conv2d(widths[0], bands, 1)

    def forward(
        self, noisy: Float[Tensor, "batch channels bands frames"], timestep: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch channels bands frames"]:
        """The noise in noisy features.

        Args:
            noisy: Scaled log-mels with noise, of one or two channels.
            timestep: Which of the steps of the noise schedule, from 0, each example is at.

        Raises:
            ValueError: If the frames are no multiple of `multiple`.
        """
        if noisy.shape[-1] % self.multiple:
            raise ValueError(f"{noisy.shape[-1]} frames: give a multiple of {self.multiple}")
        code = time_code(timestep.to(noisy.dtype), int(self.config["time_size"]))
        level = self.time(code)[..., None, None]
        frames = self.config["attention_frames"]
        whole = noisy.shape[-1] if frames is None else int(frames)
        hidden = self.input(noisy.transpose(1, 2))
        skips: list[Tensor] = []
        for layer in self.encoder:
            if isinstance(layer, Block):
                hidden = layer(hidden, level, _tokens(whole, hidden, noisy))
                skips.append(hidden)
            else:
                hidden = layer(hidden)
        hidden = self.middle(hidden, level, _tokens(whole, hidden, noisy))
        for layer in self.decoder:
            if isinstance(layer, Block):
                hidden = torch.cat([hidden, skips.pop()], dim=1)
                hidden = layer(hidden, level, _tokens(whole, hidden, noisy))
            else:
                hidden = layer(hidden)
        return self.output(hidden).transpose(1, 2)


def check_levels(*settings: Sequence[Any]) -> None:
    """Refuse lists of another length than the first, or an empty or unusual one of multipliers.

    Raises:
        ValueError: If there is one.
    """
    multipliers = settings[0]
    if not multipliers or multipliers[0] != 1:
        raise ValueError(f"multipliers {list(multipliers)}: give one a level, the first of which is 1")
    if any(len(values) != len(multipliers) for values in settings):
        raise ValueError(
            f"{len(multipliers)} levels by the multipliers, but lists of "
            f"{', '.join(str(len(values)) for values in settings[1:])}: give one value a level in each"
        )


def _tokens(whole: int, hidden: Tensor, noisy: Tensor) -> int:
    """What `whole` frames are at a level."""
    return max(1, whole * hidden.shape[-1] // noisy.shape[-1])
