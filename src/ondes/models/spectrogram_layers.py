"""Layers of Spectrogram Diffusion: a T5.1.1 transformer whose decoder is modulated by the diffusion time.

Hawthorne et al. (2022), arXiv 2206.05408, with the names of tensors that its public weights have. No layer has a bias.
Where weights are bfloat16 the tokens stay float32 between layers, so that rounding does not add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-6
"""Added to the mean square that a norm divides by."""

LONGEST_WAVE = 10_000.0
"""Slowest sinusoid of the position tables, in radians a position: 1 over this."""


class Sizes(NamedTuple):
    """What the layers of a network share.

    Attributes:
        d_model: Channels of a token.
        num_heads: Attention heads.
        d_kv: Channels of a head.
        d_ff: Channels inside the gated MLP.
        dropout_rate: Share of channels, and of attention weights, left out in training.
    """

    d_model: int
    num_heads: int
    d_kv: int
    d_ff: int
    dropout_rate: float


class Memory(NamedTuple):
    """What the decoder's cross-attention hears of a batch of segments: made once, used at every step.

    Only examples that hear anything have keys here; to the others cross-attention adds nothing.

    Attributes:
        pairs: Keys and values (hearers, heads, keys, channels) of each layer.
        mask: Which keys are valid (hearers, 1, 1, keys); all if missing.
        hearers: Positions in the batch of the examples that have keys; all if missing.
        batch: Number of examples.
        share: What to multiply the answers with (hearers, 1, 1): 0 for an example without any key; 1 if missing.
    """

    pairs: tuple[tuple[Tensor, Tensor], ...]
    mask: Tensor | None
    hearers: Tensor | None
    batch: int
    share: Tensor | None = None

    def and_deaf(self) -> Memory:
        """The same batch followed by as many examples that hear nothing, as classifier-free guidance needs."""
        hearers = self.hearers
        if hearers is None:
            hearers = torch.arange(self.batch, device=self.pairs[0][0].device)
        return self._replace(hearers=hearers, batch=2 * self.batch)


class LengthDropout(nn.Module):
    """Leaves out channels of a whole sequence, the same ones at each position, as the official code does."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """The kept channels, scaled to keep the mean; all of them outside training."""
        if not self.training or self.rate == 0:
            return tokens
        return tokens * functional.dropout(torch.ones_like(tokens[:, :1]), self.rate)


class Linear(nn.Linear):
    """A linear layer that takes what it is given to the precision of its weights."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Its product with the weights, in their precision."""
        return functional.linear(input.to(self.weight.dtype), self.weight, self.bias)


class Norm(nn.RMSNorm):
    """Root mean square norm in the precision of what it reads, whatever that of its weights."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """The tokens at a mean square of 1, times the weights."""
        if torch.onnx.is_in_onnx_export():  # whose operators of the last years have no such norm
            return x * (x.square().mean(-1, keepdim=True) + NORM_EPSILON).rsqrt() * self.weight
        return functional.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


def at_least_float(tokens: Tensor) -> Tensor:
    """Tokens in the precision they have between layers."""
    return tokens.to(torch.promote_types(tokens.dtype, torch.float32))


def linear(inputs: int, outputs: int, *, divisor: float = 1.0, truncated: bool = True) -> Linear:
    """A linear layer without bias, its first weights of variance 1 / inputs over the square of a divisor.

    Args:
        inputs: Channels that enter.
        outputs: Channels that leave.
        divisor: For queries the square root of a head's channels, which attention itself does not divide by.
        truncated: Whether no weight is over two deviations, as everywhere but in attention.
    """
    layer = Linear(inputs, outputs, bias=False)
    deviation = 1 / (divisor * math.sqrt(inputs))
    if truncated:
        # 0.8796 is the deviation of a unit normal cut off at two deviations.
        deviation /= 0.87962566103423978
        nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    else:
        nn.init.normal_(layer.weight, std=deviation)
    return layer


def permuted_positions(length: int, width: int) -> Float[Tensor, "{length} {width}"]:
    """Sinusoids of the position, each with a random phase, in random order of channels.

    The official `fixed_permuted_offset`: it keeps encodings of notes, context and target from looking alike.
    Wavelengths are those of the plain table (2 pi to 20 000 pi), sines and cosines having phases of their own.
    """
    half = width // 2
    rates = LONGEST_WAVE ** (-torch.arange(half) / max(half - 1, 1))
    angles = torch.arange(length)[:, None] * rates
    sines = (angles + 2 * math.pi * torch.rand(half)).sin()
    cosines = (angles + 2 * math.pi * torch.rand(half)).cos()
    return torch.cat([sines, cosines], 1)[:, torch.randperm(width, device=angles.device)]


def position_table(length: int, width: int) -> nn.Embedding:
    """`permuted_positions` as a table that is stored and not trained."""
    table = nn.Embedding(length, width, _weight=permuted_positions(length, width))
    table.weight.requires_grad_(False)
    return table


def time_features(
    time: Float[Tensor, " batch"], width: int, longest: float
) -> Float[Tensor, "batch {width}"]:
    """Sines, then cosines, of a diffusion time: `width` / 2 rates from `longest` down to 1 radians a unit of time."""
    half = width // 2
    # As rounded by the public code: angles are so great that the last digit of a rate shows.
    exponents = -math.log(longest) * torch.arange(half, device=time.device, dtype=torch.float32) / (half - 1)
    angles = (time.float() * longest)[:, None] * exponents.exp()
    return torch.cat([angles.sin(), angles.cos()], 1)


def split_heads(tokens: Float[Tensor, "batch tokens wide"], heads: int) -> Tensor:
    """Heads side by side (batch, heads, tokens, channels)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(
    query: Float[Tensor, "batch heads queries channels"],
    key: Float[Tensor, "batch heads keys channels"],
    value: Float[Tensor, "batch heads keys channels"],
    mask: Bool[Tensor, "batch 1 1 keys"] | None,
    dropout_rate: float = 0.0,
    scale: float = 1.0,
) -> Float[Tensor, "batch queries wide"]:
    """Attention whose logits are not divided, unless a scale is given: it is in the weights."""
    mixed = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout_rate, scale=scale
    )
    return mixed.transpose(1, 2).flatten(2)


def may_look(module: nn.Module) -> bool:
    """Whether a network may go by the values it is given: neither where gradients are made, nor in a traced graph."""
    return not module.training and not torch.onnx.is_in_onnx_export()


def open_mask(mask: Bool[Tensor, "batch keys"], *, exact: bool) -> Bool[Tensor, "batch 1 1 keys"] | None:
    """The mask that attention takes, in which an example without any valid key sees all, so that nothing is 0 / 0.

    Args:
        mask: Which keys are valid.
        exact: Whether to look if it is needed at all, for which an accelerator has to be waited for.
    """
    if exact and bool(mask.all()):
        return None
    return (mask | ~mask.any(1, keepdim=True))[:, None, None]


def hear(
    tokens: Float[Tensor, "batch tokens width"], memory: Memory, answer: Callable[[Tensor], Tensor]
) -> Float[Tensor, "batch tokens width"]:
    """The tokens and what the memory answers those of examples that hear anything."""
    if memory.hearers is None:
        answered = answer(tokens)
        return tokens + (answered if memory.share is None else answered * memory.share)
    if not len(memory.hearers):
        return tokens
    answered = answer(tokens[memory.hearers])
    answered = answered if memory.share is None else answered * memory.share
    return tokens.index_add(0, memory.hearers, answered.to(tokens.dtype))


class GatedMlp(nn.Module):
    """Two layers, the first gated by a GELU (Shazeer 2020, arXiv 2002.05202) in its tanh form."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.wi_0 = linear(sizes.d_model, sizes.d_ff)
        self.wi_1 = linear(sizes.d_model, sizes.d_ff)
        self.wo = linear(sizes.d_ff, sizes.d_model)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """What the tokens say one by one."""
        gate = functional.gelu(self.wi_0(tokens), approximate="tanh")
        return self.wo(self.dropout(gate * self.wi_1(tokens)))


class EncoderAttention(nn.Module):
    """Self-attention of the encoders."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.rate = sizes.num_heads, sizes.dropout_rate
        wide = sizes.num_heads * sizes.d_kv
        self.q = linear(sizes.d_model, wide, divisor=math.sqrt(sizes.d_kv), truncated=False)
        self.k = linear(sizes.d_model, wide, truncated=False)
        self.v = linear(sizes.d_model, wide, truncated=False)
        self.o = linear(wide, sizes.d_model, truncated=False)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], mask: Tensor | None
    ) -> Float[Tensor, "batch tokens width"]:
        """What each token takes from the valid ones."""
        query, key, value = (split_heads(layer(tokens), self.heads) for layer in (self.q, self.k, self.v))
        return self.o(attend(query, key, value, mask, self.rate * self.training))


class EncoderAttentionBlock(nn.Module):
    """Self-attention, normed before and added to what it read."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.SelfAttention = EncoderAttention(sizes)
        self.layer_norm = Norm(sizes.d_model)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def forward(self, tokens: Float[Tensor, "batch tokens width"], mask: Tensor | None) -> Tensor:
        """The tokens and what they heard."""
        return tokens + self.dropout(self.SelfAttention(self.layer_norm(tokens), mask))


class EncoderMlpBlock(nn.Module):
    """Gated MLP, normed before and added to what it read."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.DenseReluDense = GatedMlp(sizes)
        self.layer_norm = Norm(sizes.d_model)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Tensor:
        """The tokens and what they thought."""
        return tokens + self.dropout(self.DenseReluDense(self.layer_norm(tokens)))


class EncoderLayer(nn.Module):
    """One layer of an encoder."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList([EncoderAttentionBlock(sizes), EncoderMlpBlock(sizes)])

    def forward(self, tokens: Float[Tensor, "batch tokens width"], mask: Tensor | None) -> Tensor:
        """The tokens after attention and MLP."""
        return self.layer[1](self.layer[0](tokens, mask))


class Film(nn.Module):
    """Scale and shift of channels by the diffusion time (Perez et al. 2017, arXiv 1709.07871)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.scale_bias = linear(4 * sizes.d_model, 2 * sizes.d_model)

    def forward(
        self, normed: Float[Tensor, "batch tokens width"], time: Float[Tensor, "times 1 four_width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The channels modulated; one time for all examples, or one each."""
        scale, shift = self.scale_bias(time).to(normed.dtype).chunk(2, -1)
        return torch.addcmul(shift, normed, 1 + scale)


class DecoderAttention(nn.Module):
    """Attention of the decoder to itself or to a memory."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads, self.rate = sizes.num_heads, sizes.dropout_rate
        wide = sizes.num_heads * sizes.d_kv
        self.to_q = linear(sizes.d_model, wide, divisor=math.sqrt(sizes.d_kv), truncated=False)
        self.to_k = linear(sizes.d_model, wide, truncated=False)
        self.to_v = linear(sizes.d_model, wide, truncated=False)
        self.to_out = nn.ModuleList([linear(wide, sizes.d_model, truncated=False)])

    def remember(self, tokens: Float[Tensor, "batch keys width"]) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens, by heads."""
        return split_heads(self.to_k(tokens), self.heads), split_heads(self.to_v(tokens), self.heads)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        remembered: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """What each token takes from the remembered ones."""
        query = split_heads(self.to_q(tokens), self.heads)
        return self.to_out[0](attend(query, *remembered, mask, self.rate * self.training))


class DecoderSelfBlock(nn.Module):
    """Self-attention in both directions, normed and modulated before and added to what it read."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layer_norm = Norm(sizes.d_model)
        self.FiLMLayer = Film(sizes)
        self.attention = DecoderAttention(sizes)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def forward(self, tokens: Float[Tensor, "batch tokens width"], time: Tensor) -> Tensor:
        """The tokens and what they heard of each other."""
        heard = self.FiLMLayer(self.layer_norm(tokens), time)
        return tokens + self.dropout(self.attention(heard, self.attention.remember(heard)))


class DecoderCrossBlock(nn.Module):
    """Attention to notes and context, normed before and added to what it read."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = DecoderAttention(sizes)
        self.layer_norm = Norm(sizes.d_model)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], pair: tuple[Tensor, Tensor], memory: Memory
    ) -> Tensor:
        """The tokens and what they heard of the memory, of which `pair` is this layer's."""
        return hear(
            tokens,
            memory,
            lambda heard: self.dropout(self.attention(self.layer_norm(heard), pair, memory.mask)),
        )


class DecoderMlpBlock(nn.Module):
    """Gated MLP, normed and modulated before and added to what it read."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.DenseReluDense = GatedMlp(sizes)
        self.film = Film(sizes)
        self.layer_norm = Norm(sizes.d_model)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def forward(self, tokens: Float[Tensor, "batch tokens width"], time: Tensor) -> Tensor:
        """The tokens and what they thought."""
        return tokens + self.dropout(self.DenseReluDense(self.film(self.layer_norm(tokens), time)))


class DecoderLayer(nn.Module):
    """One layer of the decoder."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(
            [DecoderSelfBlock(sizes), DecoderCrossBlock(sizes), DecoderMlpBlock(sizes)]
        )

    def remember(self, encodings: Float[Tensor, "batch keys width"]) -> tuple[Tensor, Tensor]:
        """Keys and values that cross-attention makes of encodings."""
        return cast("DecoderCrossBlock", self.layer[1]).attention.remember(encodings)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        time: Tensor,
        pair: tuple[Tensor, Tensor],
        memory: Memory,
    ) -> Tensor:
        """The tokens after self-attention, cross-attention and MLP."""
        return self.layer[2](self.layer[1](self.layer[0](tokens, time), pair, memory), time)
