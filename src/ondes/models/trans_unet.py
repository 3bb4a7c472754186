"""The networks of Mixture2Music: a U-Net over piano rolls with a transformer in its middle, and a decoder.

Han et al. (2022), arXiv 2209.02696. 4 977 349 and 175 173 weights at the published sizes, the table of the attention
not counted: it is drawn once and never trained. In the published code it is not saved either, so that each loading
draws another; here it is.
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

BOTTLENECKS = ("straight", "scrambled")
GROUPS = 8
"""Of each group normalisation."""
SLOPE = 0.2
"""Of rectifiers, below zero."""
NORM_EPSILON = 1e-6
TIMES_WIDER = 4
"""The code of the noise level, after its layers."""
MULTIPLE = 8
"""Sizes of rolls are multiples of this: they are halved three times."""


def noise_code(timestep: Float[Tensor, " batch"], size: int) -> Float[Tensor, "batch {size}"]:
    """Sines of a timestep at `size` / 2 rates from 1 down to 1 / 10 000, both included, then their cosines."""
    half = size // 2
    rates = torch.exp(torch.arange(half, device=timestep.device) * (-math.log(10_000) / (half - 1)))
    angles = timestep[:, None] * rates.to(timestep.dtype)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ModulatedConv(nn.Module):
    """A convolution, normalised in groups, scaled and shifted by the noise level, and rectified."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(
        self,
        hidden: Float[Tensor, "batch inputs steps rows"],
        modulation: tuple[Tensor, Tensor] | None = None,
    ) -> Float[Tensor, "batch outputs steps rows"]:
        """The features; without a modulation they are only normalised and rectified."""
        made = self.norm(self.conv(hidden))
        if modulation is not None:
            # The scale is multiplied as it is, not added to 1.
            made = modulation[0] * made + modulation[1]
        return functional.leaky_relu(made, SLOPE)


class RollBlock(nn.Module):
    """Two convolutions that share their modulation, beside a projection of the input.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        time_size: Of the code of the noise level; None for a block that is not told it.
        dropout: Share of the sum that training leaves out.
    """

    def __init__(self, inputs: int, outputs: int, time_size: int | None, dropout: float = 0.0) -> None:
        super().__init__()
        self.time = None if time_size is None else nn.Linear(time_size, 2 * outputs)
        self.first, self.second = ModulatedConv(inputs, outputs), ModulatedConv(outputs, outputs)
        self.beside = nn.Conv2d(inputs, outputs, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        hidden: Float[Tensor, "batch inputs steps rows"],
        time: Float[Tensor, "batch size"] | None = None,
    ) -> Float[Tensor, "batch outputs steps rows"]:
        """The features at this level of noise."""
        modulation = None
        if self.time is not None and time is not None:
            scale, shift = self.time(functional.leaky_relu(time, SLOPE))[..., None, None].chunk(2, dim=1)
            modulation = scale, shift
        made = self.second(self.first(hidden, modulation), modulation)
        return self.dropout(self.beside(hidden) + made)


class RelativeAttention(nn.Module):
    """Self-attention that every token has of all, with a bias for tokens before it by their distance.

    The bias is that of Music Transformer (Huang et al. 2018, arXiv 1809.04281, section 3.4) with a table that stays as
    it was drawn. It is made for attention to what came before: tokens after have none.

    Args:
        size: Of tokens.
        heads: How many parts of a token attend by themselves.
        most_tokens: Rows of the table.
    """

    table: Tensor

    def __init__(self, size: int, heads: int, most_tokens: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(size, size), nn.Linear(size, size)
        self.value, self.out = nn.Linear(size, size), nn.Linear(size, size)
        self.register_buffer("table", torch.randn(most_tokens, size // heads))

    def forward(self, tokens: Float[Tensor, "batch tokens size"]) -> Float[Tensor, "batch tokens size"]:
        """What each token makes of all."""
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scale = query.shape[-1] ** -0.5
        bias = self._bias(query) * scale
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
        return self.out(seen.transpose(1, 2).flatten(2))

    def _bias(
        self, query: Float[Tensor, "batch heads tokens size"]
    ) -> Float[Tensor, "batch heads tokens tokens"]:
        """Product of each query with the row of the table for each distance back; the last row is distance 0."""
        count = query.shape[2]
        place = torch.arange(count, device=query.device)
        back = place[:, None] - place
        products = query @ self.table[-count:].T
        chosen = (count - 1 - back.clamp(min=0)).expand(*products.shape[:2], -1, -1)
        return products.gather(-1, chosen).masked_fill(back < 0, 0.0)


class TokenLayer(nn.Module):
    """Two attentions and a narrow feed-forward, each added and normalised afterwards."""

    def __init__(self, size: int, heads: int, most_tokens: int, dropout: float) -> None:
        super().__init__()
        self.attention1 = RelativeAttention(size, heads, most_tokens)
        self.attention2 = RelativeAttention(size, heads, most_tokens)
        self.narrow, self.widen = nn.Linear(size, size // 2), nn.Linear(size // 2, size)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(size, eps=NORM_EPSILON) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Float[Tensor, "batch tokens size"]) -> Float[Tensor, "batch tokens size"]:
        """The tokens, after each has seen the others twice."""
        tokens = self.norm1(tokens + self.dropout(self.attention1(tokens)))
        tokens = self.norm2(tokens + self.dropout(self.attention2(tokens)))
        return self.norm3(tokens + self.dropout(self.widen(functional.gelu(self.narrow(tokens)))))


class TokenStack(nn.Module):
    """Token layers between two projections."""

    def __init__(
        self, channels: int, size: int, layers: int, heads: int, most_tokens: int, dropout: float
    ) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(channels, size, bias=False), nn.Linear(size, channels)
        self.layers = nn.ModuleList(TokenLayer(size, heads, most_tokens, dropout) for _ in range(layers))

    def forward(
        self, tokens: Float[Tensor, "batch tokens channels"]
    ) -> Float[Tensor, "batch tokens channels"]:
        """The tokens after all layers."""
        tokens = self.enter(tokens)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.leave(tokens)


class TransUNet(ModelMixin, ConfigMixin):
    """Predicts the noise in rolls of parts. The mixture is told by nothing but the cells that are exactly zero.

    Args:
        parts: Layers of the rolls.
        width: Channels in the middle; a quarter of it at full size. A multiple of 32.
        token_size: Of tokens in the middle.
        head_size: Of each head of the attention.
        layers: Of the transformer.
        time_size: Of the code of the noise level, before its layers.
        most_tokens: Rows of the attention's table.
        dropout: Share that training leaves out.
        bottleneck: How tokens become a picture again. "straight": each where it came from. "scrambled" is for published
            weights, which were trained with channels and places confused: of 18 432 numbers 2 land where they should.
        schedule: Of the noise that it was trained with, "linear" or "cosine"; the network itself does not need it.
        layer_names: What the layers are, as instrument and number of each, where they are not the published families.

    Raises:
        ValueError: If there is no such bottleneck.
    """

    @register_to_config
    def __init__(
        self,
        parts: int = 5,
        width: int = 256,
        token_size: int = 256,
        head_size: int = 64,
        layers: int = 2,
        time_size: int = 16,
        most_tokens: int = 2048,
        dropout: float = 0.0,
        bottleneck: str = "straight",
        schedule: str = "linear",
        layer_names: list[list[int]] | None = None,
    ) -> None:
        super().__init__()
        if bottleneck not in BOTTLENECKS:
            raise ValueError(f"bottleneck {bottleneck!r}: {' and '.join(map(repr, BOTTLENECKS))} are allowed")
        wide = TIMES_WIDER * time_size
        self.time = nn.Sequential(nn.Linear(time_size, wide), nn.GELU(), nn.Linear(wide, wide))
        quarter, half = width // 4, width // 2
        self.enter = nn.Conv2d(parts, quarter, 7, padding=3)
        self.down = nn.ModuleList(
            RollBlock(inputs, outputs, wide, dropout)
            for inputs, outputs in ((quarter, half), (half, width), (width, width))
        )
        self.middle = TokenStack(width, token_size, layers, token_size // head_size, most_tokens, dropout)
        self.up = nn.ModuleList(
            RollBlock(inputs, outputs, wide, dropout)
            for inputs, outputs in ((2 * width, half), (width, quarter), (half, quarter))
        )
        self.leave = nn.Conv2d(quarter, parts, 1)

    def forward(
        self, noisy: Float[Tensor, "batch parts steps rows"], timestep: Tensor
    ) -> Float[Tensor, "batch parts steps rows"]:
        """The noise in noisy rolls.

        Args:
            noisy: Rolls of 0 and 1 with noise, zero wherever the mixture is silent.
            timestep: Which of the steps of the noise schedule, from 0, each example is at (batch,).

        Raises:
            ValueError: If a side is no multiple of 8, or there are more tokens than the table has rows.
        """
        steps, rows = noisy.shape[2:]
        most = int(self.config["most_tokens"])
        if steps % MULTIPLE or rows % MULTIPLE or steps * rows > most * MULTIPLE**2:
            raise ValueError(
                f"rolls of {steps} x {rows}: give multiples of {MULTIPLE}, and {most * MULTIPLE**2} cells at most"
            )
        time = self.time(noise_code(timestep.to(noisy.dtype), int(self.config["time_size"])))
        hidden, skips = self.enter(noisy), []
        for block in self.down:
            skips.append(hidden)
            hidden = block(functional.max_pool2d(hidden, 2), time)
        tokens = self.middle(hidden.flatten(2).transpose(1, 2))
        straight = self.config["bottleneck"] == "straight"
        hidden = (tokens.transpose(1, 2) if straight else tokens).reshape(hidden.shape)
        for block in self.up:
            wide = functional.interpolate(hidden, scale_factor=2)
            hidden = block(torch.cat([skips.pop(), wide], dim=1), time)
        return self.leave(hidden)


class RollDecoder(ModelMixin, ConfigMixin):
    """The "independent decoder": rolls of 0 and 1 from what the sampler leaves of noise, as logits.

    Args:
        parts: Layers of the rolls.
        width: As of `TransUNet`.
    """

    @register_to_config
    def __init__(self, parts: int = 5, width: int = 256) -> None:
        super().__init__()
        self.enter = nn.Conv2d(parts, width // 4, 7, padding=3)
        self.blocks = nn.ModuleList(RollBlock(width // 4, width // 4, None) for _ in range(2))
        self.leave = nn.Conv2d(width // 4, parts, 3, padding=1)

    def forward(
        self, nearly: Float[Tensor, "batch parts steps rows"]
    ) -> Float[Tensor, "batch parts steps rows"]:
        """Logits of sounding, for each cell."""
        hidden = self.enter(nearly)
        for block in self.blocks:
            hidden = block(hidden)
        return self.leave(hidden)
