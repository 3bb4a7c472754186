"""The autoregressive baseline of Spectrogram Diffusion: each mel frame from the notes and the frames before it.

Hawthorne et al. (2022), arXiv 2206.05408. The official baseline leaves padding unmasked inside its note encoder, always
fills all positions with it, and works on unscaled log-mels. What is trained here masks padding everywhere and works on
scaled ones; weights of the official code are computed its way (`official`). Either way a segment is the same in any
batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from ondes.models.spectrogram_diffusion import NotesEncoder
from ondes.models.spectrogram_layers import (
    LONGEST_WAVE,
    NORM_EPSILON,
    DecoderAttention,
    GatedMlp,
    LengthDropout,
    Sizes,
    linear,
    open_mask,
    split_heads,
)
from ondes.representations.framed_mel import FEATURE_RANGE, from_scaled, to_scaled


def sinusoids(rows: int, width: int) -> Float[Tensor, "rows width"]:
    """Position table, sines before cosines, with periods from 2 pi to 20 000 pi rows."""
    rates = LONGEST_WAVE ** (-torch.arange(width // 2) / max(width // 2 - 1, 1))
    phases = torch.arange(rows)[:, None] * rates
    return torch.cat([phases.sin(), phases.cos()], -1)


def unclipped(log_mel: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The straight line through what `to_scaled` makes of log-mels, also where that is clipped."""
    low, high = FEATURE_RANGE
    return (log_mel - low) * (2 / (high - low)) - 1


@dataclass(frozen=True, eq=False)
class NoteMemory:
    """What a decoder layer needs of the notes.

    Attributes:
        pair: Keys and values (batch, heads, tokens, channels).
        mask: Where there are any (batch, 1, 1, tokens); all if missing.
        share: 0 for an example without any token, else 1 (batch, 1, 1).
    """

    pair: tuple[Tensor, Tensor]
    mask: Tensor | None
    share: Tensor


@dataclass(eq=False)
class FrameCache:
    """Keys and values (batch, heads, frames, size) of the frames that a layer has seen, and how many they are."""

    keys: Tensor
    values: Tensor
    filled: int = 0

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put in the keys and values of the next frames; returns all up to them."""
        end = self.filled + keys.shape[2]
        self.keys[:, :, self.filled : end] = keys
        self.values[:, :, self.filled : end] = values
        self.filled = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class CausalLayer(nn.Module):
    """Causal self-attention, cross-attention to the notes and gated MLP, each normed before."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_norm, self.cross_norm, self.mlp_norm = (
            nn.RMSNorm(sizes.d_model, eps=NORM_EPSILON) for _ in range(3)
        )
        self.self_attention, self.cross_attention = DecoderAttention(sizes), DecoderAttention(sizes)
        self.mlp = GatedMlp(sizes)
        self.dropout = LengthDropout(sizes.dropout_rate)

    def remember(
        self, encodings: Float[Tensor, "batch tokens width"], mask: Bool[Tensor, "batch tokens"]
    ) -> NoteMemory:
        """Keys and values of the notes, made once a segment."""
        share = mask.any(1)[:, None, None].to(encodings)
        pair = self.cross_attention.remember(encodings)
        return NoteMemory(pair, open_mask(mask, exact=not self.training), share)

    def forward(
        self, frames: Float[Tensor, "batch frames width"], memory: NoteMemory, cache: FrameCache | None
    ) -> Float[Tensor, "batch frames width"]:
        """Frames after the layer.

        Args:
            frames: All of them; or, with a cache, one: the next.
            memory: From `remember`.
            cache: Of the frames before, to which this one is added.
        """
        frames = frames + self.dropout(self._attend_back(self.self_norm(frames), cache))
        heard = self.cross_attention(self.cross_norm(frames), memory.pair, memory.mask)
        frames = frames + self.dropout(heard * memory.share)
        return frames + self.dropout(self.mlp(self.mlp_norm(frames)))

    def _attend_back(self, frames: Tensor, cache: FrameCache | None) -> Tensor:
        """What each frame takes from itself and those before it; all keys in a cache are of such."""
        attention = self.self_attention
        query = split_heads(attention.to_q(frames), attention.heads)
        key, value = attention.remember(frames)
        if cache is not None:
            key, value = cache.add(key, value)
        rate = attention.rate * self.training
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=rate, is_causal=cache is None, scale=1.0
        )
        return attention.to_out[0](mixed.transpose(1, 2).flatten(2))


class SpectrogramAutoregressive(ModelMixin, ConfigMixin):
    """Predicts each scaled mel frame from the tokens of a segment and the frames before it.

    Args:
        vocab_size: Kinds of tokens.
        max_length: Most tokens.
        targets_length: Most frames.
        input_dims: Mel bands.
        d_model: Channels of a token or frame.
        num_layers: Layers of the encoder and of the decoder.
        num_heads: Attention heads.
        d_kv: Channels of a head.
        d_ff: Channels inside the gated MLPs.
        dropout_rate: Share of channels dropped in training.
        official: Whether to compute as the official code does: padding up to `max_length` is read by the note encoder
            like tokens, and the network takes and gives unscaled log-mels, which are not clipped before the next frame
            is made of them. What goes in and out here is scaled all the same.
        codec: Settings of the codec of its tokens; those of the published models if missing. Kept for who plays it.
    """

    config_name = "config.json"
    positions: Tensor

    @register_to_config
    def __init__(
        self,
        vocab_size: int = 1536,
        max_length: int = 2048,
        targets_length: int = 256,
        input_dims: int = 128,
        d_model: int = 512,
        num_layers: int = 8,
        num_heads: int = 6,
        d_kv: int = 64,
        d_ff: int = 1024,
        dropout_rate: float = 0.1,
        official: bool = False,
        codec: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.official = official
        self.notes_encoder = NotesEncoder(
            max_length=max_length,
            vocab_size=vocab_size,
            d_model=d_model,
            dropout_rate=dropout_rate,
            num_layers=num_layers,
            num_heads=num_heads,
            d_kv=d_kv,
            d_ff=d_ff,
        )
        with torch.no_grad():
            self.notes_encoder.position_encoding.weight.copy_(sinusoids(max_length, d_model))
        sizes = Sizes(d_model, num_heads, d_kv, d_ff, dropout_rate)
        self.enter = linear(input_dims, d_model)
        self.layers = nn.ModuleList(CausalLayer(sizes) for _ in range(num_layers))
        self.norm = nn.RMSNorm(d_model, eps=NORM_EPSILON)
        self.leave = linear(d_model, input_dims)
        self.dropout = LengthDropout(dropout_rate)
        self.register_buffer("positions", sinusoids(targets_length, d_model), persistent=False)

    def forward(
        self,
        tokens: Int64[Tensor, "batch tokens"],
        token_mask: Bool[Tensor, "batch tokens"],
        frames: Float[Tensor, "batch frames bands"],
    ) -> Float[Tensor, "batch frames bands"]:
        """Teacher forcing: what the network expects of every frame, given the true frames before it.

        Args:
            tokens: Of the notes; what stands where the mask is false has no effect.
            token_mask: Which tokens there are.
            frames: The scaled log-mel.
        """
        own = from_scaled(frames) if self.official else frames
        before = functional.pad(own, (0, 0, 1, -1))  # the first frame has zeros before it
        expected = self._decode(before, self._remember(tokens, token_mask), 0, None)
        return unclipped(expected) if self.official else expected

    @torch.inference_mode()
    def generate(
        self,
        tokens: Int64[Tensor, "batch tokens"],
        frames: int,
        *,
        token_mask: Bool[Tensor, "batch tokens"] | None = None,
        dither: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch frames bands"]:
        """Scaled log-mel of a segment, frame by frame; keys and values of earlier frames are kept, not made again.

        Args:
            tokens: Of the notes.
            frames: How many to make.
            token_mask: Which tokens there are; those above 0 if missing.
            dither: Deviation of the noise that is added to every frame, in the network's own scale, before the next is
                made from it.
            generator: Of this noise, on the CPU.
        """
        mask = tokens > 0 if token_mask is None else token_mask
        memories, settings = self._remember(tokens, mask), self.config
        shape = (len(tokens), settings["num_heads"], frames, settings["d_kv"])
        empty = self.positions.new_zeros(shape)
        caches = [FrameCache(empty.clone(), empty.clone()) for _ in self.layers]
        frame = self.positions.new_zeros(len(tokens), 1, settings["input_dims"])
        made = []
        for position in range(frames):
            frame = self._decode(frame, memories, position, caches)
            if dither:
                frame = frame + dither * torch.randn(frame.shape, generator=generator).to(frame)
            frame = frame if self.official else frame.clamp(-1, 1)
            made.append(frame)
        return to_scaled(torch.cat(made, 1)) if self.official else torch.cat(made, 1)

    def _remember(self, tokens: Tensor, mask: Tensor) -> list[NoteMemory]:
        if self.official:
            most = int(self.config["max_length"])
            tokens, mask = (functional.pad(given, (0, most - tokens.shape[1])) for given in (tokens, mask))
            encodings = self.notes_encoder(tokens * mask, torch.ones_like(mask))
        else:
            encodings = self.notes_encoder(tokens, mask)
        return [layer.remember(encodings, mask) for layer in self.layers]  # pyright: ignore[reportCallIssue]

    def _decode(
        self,
        before: Tensor,
        memories: list[NoteMemory],
        first: int,
        caches: list[FrameCache] | None,
    ) -> Tensor:
        positions = self.positions[first : first + before.shape[1]]
        hidden = self.dropout(self.enter(before) + positions)
        for number, (layer, memory) in enumerate(zip(self.layers, memories, strict=True)):
            hidden = layer(hidden, memory, caches[number] if caches is not None else None)
        return self.leave(self.dropout(self.norm(hidden)))
