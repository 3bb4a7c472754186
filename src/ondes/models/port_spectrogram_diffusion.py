"""The network of the PyTorch port of Spectrogram Diffusion, which is not that of the paper.

Layer norms and biases, attention divided by the root of a head's channels, one input layer and one position table for
noisy frames and context. Names of tensors are those of the port's checkpoints without `model.`. Unlike there, padding
is masked, encoders run once a segment, and an example that hears nothing needs no encodings of zeros: without biases in
attention both add nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from ondes.models.spectrogram_layers import (
    Linear,
    Memory,
    at_least_float,
    attend,
    hear,
    open_mask,
    permuted_positions,
    split_heads,
    time_features,
)
from ondes.models.spectrogram_memory import Pairs, remember

HEAD_DIM = 64
"""Channels of a head in all of the port's checkpoints: their tensors tell only the product with the heads."""

LONGEST_TIME = 20_000.0
"""What the diffusion time is multiplied with before its sinusoids."""


class PortSizes(NamedTuple):
    """What the layers share.

    Attributes:
        emb_dim: Channels of a token.
        dim_feedforward: Channels inside the gated MLP.
        nhead: Attention heads.
        head_dim: Channels of a head.
        dropout: Share left out in training.
    """

    emb_dim: int
    dim_feedforward: int
    nhead: int
    head_dim: int
    dropout: float


class PortNorm(nn.LayerNorm):
    """Layer norm in the precision of what it reads, whatever that of its weights."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """The tokens at mean 0 and variance 1, times the weights, plus the biases."""
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        return functional.layer_norm(input, self.normalized_shape, weight, bias, self.eps)


class PortAttention(nn.Module):
    """Attention without biases."""

    def __init__(self, sizes: PortSizes) -> None:
        super().__init__()
        self.heads, self.rate = sizes.nhead, sizes.dropout
        self.scale = 1 / math.sqrt(sizes.head_dim)
        wide = sizes.nhead * sizes.head_dim
        self.q_proj = Linear(sizes.emb_dim, wide, bias=False)
        self.k_proj = Linear(sizes.emb_dim, wide, bias=False)
        self.v_proj = Linear(sizes.emb_dim, wide, bias=False)
        self.emb_proj = Linear(wide, sizes.emb_dim, bias=False)

    def remember(self, tokens: Float[Tensor, "batch keys width"]) -> tuple[Tensor, Tensor]:
        """Keys and values of tokens, by heads."""
        return split_heads(self.k_proj(tokens), self.heads), split_heads(self.v_proj(tokens), self.heads)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        remembered: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """What each token takes from the remembered ones."""
        query = split_heads(self.q_proj(tokens), self.heads)
        return self.emb_proj(attend(query, *remembered, mask, self.rate * self.training, self.scale))


class PortFilm(nn.Module):
    """Scale and shift of channels by the diffusion time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = Linear(4 * width, 2 * width)

    def forward(self, normed: Float[Tensor, "batch tokens width"], time: Tensor) -> Tensor:
        """The channels modulated."""
        scale, shift = self.linear(time).to(normed.dtype).chunk(2, -1)
        return torch.addcmul(shift, normed, 1 + scale)


class PortEncoderLayer(nn.Module):
    """Self-attention and gated MLP, each normed before and added to what it read."""

    def __init__(self, sizes: PortSizes) -> None:
        super().__init__()
        width = sizes.emb_dim
        self.self_attn = PortAttention(sizes)
        self.linear1 = Linear(width, 2 * sizes.dim_feedforward)
        self.linear2 = Linear(sizes.dim_feedforward, width)
        self.norm1, self.norm2 = PortNorm(width), PortNorm(width)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, tokens: Float[Tensor, "batch tokens width"], mask: Tensor | None) -> Tensor:
        """The tokens after attention and MLP."""
        heard = self.norm1(tokens)
        tokens = tokens + self.dropout(self.self_attn(heard, self.self_attn.remember(heard), mask))
        return tokens + self.think(self.norm2(tokens))

    def think(self, normed: Float[Tensor, "batch tokens width"]) -> Tensor:
        """The gated MLP; its gate is the second half of what the first layer makes."""
        value, gate = self.linear1(normed).chunk(2, -1)
        return self.dropout(self.linear2(self.dropout(value * functional.gelu(gate))))


class PortDecoderLayer(PortEncoderLayer):
    """The same with cross-attention in between, self-attention and MLP modulated by the diffusion time."""

    def __init__(self, sizes: PortSizes) -> None:
        super().__init__(sizes)
        self.multihead_attn = PortAttention(sizes)
        self.norm3 = PortNorm(sizes.emb_dim)
        self.film1, self.film2 = PortFilm(sizes.emb_dim), PortFilm(sizes.emb_dim)

    def denoise(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        time: Tensor,
        pair: tuple[Tensor, Tensor],
        memory: Memory,
    ) -> Tensor:
        """The tokens after self-attention, cross-attention and MLP."""
        heard = self.film1(self.norm1(tokens), time)
        tokens = tokens + self.dropout(self.self_attn(heard, self.self_attn.remember(heard)))
        tokens = hear(
            tokens,
            memory,
            lambda some: self.dropout(self.multihead_attn(self.norm2(some), pair, memory.mask)),
        )
        return tokens + self.think(self.film2(self.norm3(tokens), time))


class PortStack(nn.Module):
    """Layers and a norm."""

    def __init__(self, layer: type[PortEncoderLayer], count: int, sizes: PortSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer(sizes) for _ in range(count))
        self.norm = PortNorm(sizes.emb_dim)

    def encode(self, tokens: Float[Tensor, "batch tokens width"], mask: Tensor | None) -> Tensor:
        """What the layers of an encoder make of tokens."""
        for layer in self.layers:
            tokens = layer(tokens, mask)
        return self.norm(tokens)


class PortTransformer(nn.Module):
    """Encoder of notes, encoder of context if there is one, and decoder."""

    def __init__(self, sizes: PortSizes, layers: int, *, with_context: bool) -> None:
        super().__init__()
        self.encoder = PortStack(PortEncoderLayer, layers, sizes)
        if with_context:
            self.context_encoder = PortStack(PortEncoderLayer, layers, sizes)
        self.decoder = PortStack(PortDecoderLayer, layers, sizes)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)


class PortTime(nn.Module):
    """Reads the diffusion time."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.projection1 = Linear(width, 4 * width)
        self.projection2 = Linear(4 * width, 4 * width)

    def forward(self, time: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 four_width"]:
        """What the modulation reads; cosine and sine of each rate lie side by side."""
        sines, cosines = time_features(time, self.width, LONGEST_TIME).chunk(2, -1)
        features = torch.stack([cosines, sines], -1).flatten(1)
        return functional.silu(self.projection2(functional.silu(self.projection1(features))))[:, None]


class PortDiffusion(ModelMixin, ConfigMixin):
    """Predicts the noise in a log-mel from tokens and the log-mel before, as the PyTorch port does.

    Args:
        emb_dim: Channels of a token.
        dim_feedforward: Channels inside the gated MLP.
        nhead: Attention heads.
        head_dim: Channels of a head.
        num_layers: Layers of each encoder and of the decoder.
        num_emb: Rows of the table of tokens.
        with_context: Whether there is an encoder of context.
        max_input_length: Most tokens.
        max_output_length: Most frames.
        output_dim: Mel bands.
        dropout: Share left out in training.
    """

    config_name = "config.json"
    in_pos_emb: Tensor
    out_pos_emb: Tensor

    @register_to_config
    def __init__(
        self,
        emb_dim: int = 512,
        dim_feedforward: int = 1024,
        nhead: int = 6,
        head_dim: int = HEAD_DIM,
        num_layers: int = 8,
        num_emb: int = 901,
        with_context: bool = False,
        max_input_length: int = 3000,
        max_output_length: int = 257,
        output_dim: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        sizes = PortSizes(emb_dim, dim_feedforward, nhead, head_dim, dropout)
        self.emb = nn.Embedding(num_emb, emb_dim)
        self.register_buffer("in_pos_emb", permuted_positions(max_input_length, emb_dim))
        self.register_buffer("out_pos_emb", permuted_positions(max_output_length, emb_dim))
        self.transformer = PortTransformer(sizes, num_layers, with_context=with_context)
        self.linear_in = Linear(output_dim, emb_dim)
        self.linear_out = Linear(emb_dim, output_dim)
        self.diffusion_emb = PortTime(emb_dim)

    def encode(
        self,
        tokens: Int64[Tensor, "batch length"],
        token_mask: Bool[Tensor, "batch length"],
        context: Float[Tensor, "batch frames bands"] | None = None,
        context_mask: Bool[Tensor, "batch frames"] | None = None,
    ) -> Memory:
        """What the decoder hears of notes and context, made once a segment.

        Args:
            tokens: Note events.
            token_mask: Which are valid; an example without any valid token or frame hears nothing.
            context: Log-mel of the segment before, scaled as in training; the port encodes silence before the first.
            context_mask: Which frames are valid; all if missing.

        Raises:
            ValueError: If there are more tokens or frames than positions, or context for a network without.
        """
        placed = at_least_float(self.emb(tokens)) + self._positions(
            self.in_pos_emb, tokens.shape[1], "tokens"
        )
        encodings, mask = self._run(self.transformer.encoder, placed, token_mask), token_mask
        if context is not None:
            if not self.config["with_context"]:
                raise ValueError("this network has no context encoder; leave context out")
            if context_mask is None:
                context_mask = torch.ones(context.shape[:2], dtype=torch.bool, device=context.device)
            encoded = self._run(self.transformer.context_encoder, self._enter(context), context_mask)
            encodings, mask = torch.cat([encodings, encoded], 1), torch.cat([mask, context_mask], 1)
        return remember(self._pairs, encodings, mask, exact=not self.training)

    def forward(
        self, noisy: Float[Tensor, "batch frames bands"], time: Float[Tensor, " batch"], memory: Memory
    ) -> Float[Tensor, "batch frames bands"]:
        """The noise in a log-mel.

        Args:
            noisy: Scaled log-mel with noise.
            time: Diffusion time, 0 (data) to 1 (noise).
            memory: What `encode` made of the same batch.

        Raises:
            ValueError: If there are more frames than positions, or the memory is of another batch.
        """
        if memory.batch != len(noisy):
            raise ValueError(f"a memory of {memory.batch} examples for {len(noisy)}; both must be as many")
        known, decoder = self.diffusion_emb(time), self.transformer.decoder
        tokens = self._enter(noisy)
        for layer, pair in zip(cast("list[PortDecoderLayer]", decoder.layers), memory.pairs, strict=True):
            tokens = layer.denoise(tokens, known, pair, memory)
        return self.linear_out(decoder.norm(tokens)).to(noisy.dtype)

    def _enter(self, frames: Tensor) -> Tensor:
        return at_least_float(self.linear_in(frames)) + self._positions(
            self.out_pos_emb, frames.shape[1], "frames"
        )

    def _run(self, encoder: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
        return cast("PortStack", encoder).encode(tokens, open_mask(mask, exact=not self.training))

    def _pairs(self, encodings: Tensor) -> Pairs:
        layers = cast("list[PortDecoderLayer]", self.transformer.decoder.layers)
        return tuple(layer.multihead_attn.remember(encodings) for layer in layers)

    @staticmethod
    def _positions(table: Tensor, length: int, what: str) -> Tensor:
        if length > len(table):
            raise ValueError(f"{length} {what}; at most {len(table)} have a position: split the segment")
        return table[:length]


def infer_config(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Arguments of `PortDiffusion` that fit the tensors of a checkpoint, whatever its settings say.

    Args:
        state_dict: Tensors by their names without `model.`.

    Raises:
        ValueError: If a tensor that tells a size is missing.
    """
    first = "transformer.encoder.layers.0"
    needed = ("emb.weight", "in_pos_emb", "out_pos_emb", "linear_out.weight", f"{first}.linear2.weight")
    missing = [name for name in (*needed, f"{first}.self_attn.q_proj.weight") if name not in state_dict]
    if missing:
        raise ValueError(
            f"no tensor {missing[0]!r}, which tells a size; a checkpoint of the port's diffusion has it"
        )
    numbers = [
        int(name.split(".")[3]) for name in state_dict if name.startswith("transformer.encoder.layers.")
    ]
    return {
        "emb_dim": state_dict["emb.weight"].shape[1],
        "dim_feedforward": state_dict[f"{first}.linear2.weight"].shape[1],
        "nhead": state_dict[f"{first}.self_attn.q_proj.weight"].shape[0] // HEAD_DIM,
        "head_dim": HEAD_DIM,
        "num_layers": max(numbers) + 1,
        "num_emb": state_dict["emb.weight"].shape[0],
        "with_context": any(name.startswith("transformer.context_encoder.") for name in state_dict),
        "max_input_length": state_dict["in_pos_emb"].shape[0],
        "max_output_length": state_dict["out_pos_emb"].shape[0],
        "output_dim": state_dict["linear_out.weight"].shape[0],
    }
