"""The network of Diffusion-Music-Composer: a one-dimensional U-Net over notes with squeeze-and-excitation.

12 316 355 weights at its published width, whatever the padding. Differences from the published network are options that
are off in it: see `DmcUNet`.
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-3
SQUEEZE = 16
"""Channels for each one in the middle of squeeze-and-excitation."""
KERNELS = {"input": 7, "sides": 5, "middle": 3}
TIME_CODES = ("broadcast", "scrambled")
DOWN, MIDDLE, UP = (2, 4, 4), (8, 8, 4), (2, 1, 1)
"""Channels after each block, in units of the width."""
MULTIPLE = 8
"""Three times the sequence is halved."""


def sinusoids(positions: Float[Tensor, " positions"], size: int) -> Float[Tensor, "positions {size}"]:
    """Sines of positions at `size` / 2 rates from 1 down to almost 1 / 10 000, then their cosines.

    Vaswani et al. (2017), arXiv 1706.03762, section 3.5, with the two kinds side by side.
    """
    steps = torch.arange(0, size, 2, device=positions.device, dtype=positions.dtype)
    rates = torch.exp(steps * (-math.log(10_000) / size))
    angles = positions[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (batch, channels, notes)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=NORM_EPSILON)

    def forward(self, input: Float[Tensor, "batch channels notes"]) -> Float[Tensor, "batch channels notes"]:  # noqa: A002
        """Each note normalised by itself."""
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class PaddedConv(nn.Conv1d):
    """A convolution that keeps the length, without bias: it sees as much before as after, or only what is before."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, causal: bool) -> None:
        super().__init__(inputs, outputs, kernel, bias=False)
        self.before = kernel - 1 if causal else (kernel - 1) // 2
        nn.init.xavier_uniform_(self.weight)

    def forward(self, input: Float[Tensor, "batch inputs notes"]) -> Float[Tensor, "batch outputs notes"]:  # noqa: A002
        """The convolution of the padded sequence."""
        after = self.kernel_size[0] - 1 - self.before
        return super().forward(functional.pad(input, (self.before, after)))


class SqueezeExcitation(nn.Module):
    """Scales channels by what the mean of the whole sequence says (Hu et al. 2017, arXiv 1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // SQUEEZE)
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.excite = nn.Linear(squeezed, channels, bias=False)
        for layer in (self.squeeze, self.excite):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, hidden: Float[Tensor, "batch channels notes"]) -> Float[Tensor, "batch channels notes"]:
        """The channels, each multiplied with a number from 0 to 1."""
        scale = self.excite(functional.relu(self.squeeze(hidden.mean(-1)))).sigmoid()
        return hidden * scale[..., None]


class ConvBlock(nn.Module):
    """Two convolutions, each normalised and followed by squeeze-and-excitation, with GELU between them.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Notes that a convolution sees.
        middle: Channels between the convolutions, as many as come out where None.
        residual: Whether the input is added, and GELU applied to the sum.
        causal: Whether the convolutions see only what is before.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        middle: int | None = None,
        residual: bool = False,
        causal: bool,
    ) -> None:
        super().__init__()
        middle = middle or outputs
        self.residual = residual
        self.conv1 = PaddedConv(inputs, middle, kernel, causal=causal)
        self.norm1, self.gate1 = ChannelNorm(middle), SqueezeExcitation(middle)
        self.conv2 = PaddedConv(middle, outputs, kernel, causal=causal)
        self.norm2, self.gate2 = ChannelNorm(outputs), SqueezeExcitation(outputs)

    def forward(self, hidden: Float[Tensor, "batch inputs notes"]) -> Float[Tensor, "batch outputs notes"]:
        """The features after both convolutions."""
        made = self.gate1(functional.gelu(self.norm1(self.conv1(hidden))))
        made = self.gate2(self.norm2(self.conv2(made)))
        return functional.gelu(hidden + made) if self.residual else made


class AttentionBlock(nn.Module):
    """Normalised self-attention and a feed-forward of the same width, each added to its input.

    A head is as wide as the whole: with two, queries have twice the channels.
    """

    def __init__(self, channels: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1 = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.query = _dense(channels, heads * channels)
        self.key = _dense(channels, heads * channels)
        self.value = _dense(channels, heads * channels)
        self.out = _dense(heads * channels, channels)
        self.norm2 = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.widen, self.narrow = _dense(channels, channels), _dense(channels, channels)

    def forward(self, hidden: Float[Tensor, "batch channels notes"]) -> Float[Tensor, "batch channels notes"]:
        """The features, after every note has seen the others, or those before it."""
        rows = hidden.transpose(1, 2)
        normed = self.norm1(rows)
        heads = [
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        ]
        seen = functional.scaled_dot_product_attention(*heads, is_causal=self.causal)
        rows = rows + self.out(seen.transpose(1, 2).flatten(2))
        rows = rows + self.narrow(functional.gelu(self.widen(self.norm2(rows))))
        return rows.transpose(1, 2)


class Stage(nn.Module):
    """Two convolution blocks, to which the noise level is added.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        middle: Channels within the second block.
        time_size: Of the code of the noise level.
        causal: As of `ConvBlock`.
        time_code: As of `DmcUNet`.
    """

    def __init__(
        self, inputs: int, outputs: int, *, middle: int, time_size: int, causal: bool, time_code: str
    ) -> None:
        super().__init__()
        kernel = KERNELS["sides"]
        self.block1 = ConvBlock(inputs, inputs, kernel, residual=True, causal=causal)
        self.block2 = ConvBlock(inputs, outputs, kernel, middle=middle, causal=causal)
        self.time = _dense(time_size, outputs)
        self.time_code = time_code

    def forward(
        self, hidden: Float[Tensor, "batch inputs notes"], time: Float[Tensor, "batch size"]
    ) -> Float[Tensor, "batch outputs notes"]:
        """The features at this level of noise."""
        made = self.block2(self.block1(hidden))
        code = self.time(functional.silu(time))[..., None]
        if self.time_code == "scrambled":
            batch, channels, notes = made.shape
            code = code.expand(made.shape).reshape(batch, notes, channels).transpose(1, 2)
        return made + code


class DmcUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in segments of scaled triples.

    Args:
        notes: Of a segment in training; others may have any multiple of 8.
        features: Numbers a note has.
        width: Channels at full length.
        heads: Of each attention.
        time_size: Of the code of the noise level.
        causal: Convolutions and attention see only the notes before, as published. The whole is not causal even so:
            squeeze-and-excitation sees the whole sequence, and pooling and interpolation a few notes ahead.
        time_code: "broadcast" adds the code of the noise level to every note. "scrambled" is for published weights,
            which were trained with its channels and notes confused: a note gets as many different channels of it as
            its stage has channels for each note (2, 8, 16, 4, 1 and 1). Nothing else should use it.
        statistics: How the triples are scaled: `TripleStatistics.to_config`.

    Raises:
        ValueError: If the time code is not known.
    """

    @register_to_config
    def __init__(
        self,
        notes: int = 128,
        features: int = 3,
        width: int = 64,
        heads: int = 2,
        time_size: int = 256,
        causal: bool = True,
        time_code: str = "broadcast",
        statistics: dict | None = None,
    ) -> None:
        super().__init__()
        if time_code not in TIME_CODES:
            raise ValueError(f"time_code {time_code!r}: {' and '.join(map(repr, TIME_CODES))} are allowed")
        settings = {"time_size": time_size, "causal": causal, "time_code": time_code}
        down, middle, up = ([width * times for times in channels] for channels in (DOWN, MIDDLE, UP))
        self.input = ConvBlock(features, width, KERNELS["input"], causal=causal)
        self.position = _dense(width, width)
        before = [width, *down[:-1]]
        self.down = nn.ModuleList(
            Stage(inputs, outputs, middle=outputs, **settings)
            for inputs, outputs in zip(before, down, strict=True)
        )
        self.down_attention = nn.ModuleList(AttentionBlock(size, heads, causal=causal) for size in down)
        self.middle = nn.ModuleList(
            ConvBlock(inputs, outputs, KERNELS["middle"], causal=causal)
            for inputs, outputs in zip([down[-1], *middle[:-1]], middle, strict=True)
        )
        both = [size + skip for size, skip in zip([middle[-1], *up[:-1]], reversed(before), strict=True)]
        self.up = nn.ModuleList(
            Stage(inputs, outputs, middle=inputs // 2, **settings)
            for inputs, outputs in zip(both, up, strict=True)
        )
        self.up_attention = nn.ModuleList(AttentionBlock(size, heads, causal=causal) for size in up)
        self.output = nn.Conv1d(up[-1], features, 1)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # pyright: ignore[reportArgumentType]

    def forward(
        self, noisy: Float[Tensor, "batch notes features"], timestep: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch notes features"]:
        """The noise in noisy segments.

        Args:
            noisy: Scaled triples with noise.
            timestep: Which of the steps of the noise schedule, from 0, each segment is at.

        Raises:
            ValueError: If the notes are no multiple of 8.
        """
        notes = noisy.shape[1]
        if notes % MULTIPLE:
            raise ValueError(f"{notes} notes: give a multiple of {MULTIPLE}")
        time = sinusoids(timestep.to(noisy.dtype), int(self.config["time_size"]))
        places = torch.arange(notes, device=noisy.device, dtype=noisy.dtype)
        hidden = self.input(noisy.transpose(1, 2))
        hidden = hidden + self.position(sinusoids(places, hidden.shape[1])).T
        skips = []
        for stage, attention in zip(self.down, self.down_attention, strict=True):
            skips.append(hidden)
            hidden = attention(stage(functional.max_pool1d(hidden, 2), time))
        for block in self.middle:
            hidden = block(hidden)
        for stage, attention in zip(self.up, self.up_attention, strict=True):
            wide = functional.interpolate(hidden, scale_factor=2, mode="linear", align_corners=False)
            hidden = attention(stage(torch.cat([skips.pop(), wide], dim=1), time))
        return self.output(hidden).transpose(1, 2)


def _dense(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that begins as Keras's do."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
