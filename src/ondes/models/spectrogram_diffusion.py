"""The networks of Spectrogram Diffusion: what encodes notes, what encodes the audio before, and what denoises.

Hawthorne et al. (2022), arXiv 2206.05408. Names of tensors and settings are those of the public weights
(`google/music-spectrogram-diffusion`). Log-mels are time-major: (batch, frames, bands), scaled to [-1, 1].
"""

from __future__ import annotations

from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from ondes.models.spectrogram_layers import (
    DecoderLayer,
    EncoderLayer,
    LengthDropout,
    Memory,
    Norm,
    Sizes,
    at_least_float,
    linear,
    may_look,
    open_mask,
    position_table,
    time_features,
)
from ondes.models.spectrogram_memory import Pairs, remember


class TransformerEncoder(ModelMixin, ConfigMixin):
    """Layers that both encoders have."""

    config_name = "config.json"

    def _build(self, sizes: Sizes, *, layers: int, positions: int, activation: str, is_decoder: bool) -> None:
        if activation != "gated-gelu" or is_decoder:
            raise ValueError(
                f"feed_forward_proj {activation!r} with is_decoder {is_decoder} is not built here; only 'gated-gelu' "
                "with false is"
            )
        self.position_encoding = position_table(positions, sizes.d_model)
        self.dropout_pre = LengthDropout(sizes.dropout_rate)
        self.encoders = nn.ModuleList(EncoderLayer(sizes) for _ in range(layers))
        self.layer_norm = Norm(sizes.d_model)
        self.dropout_post = LengthDropout(sizes.dropout_rate)

    def _encode(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        tokens = self.dropout_pre(at_least_float(tokens) + self.position_encoding(positions))
        opened = open_mask(mask, exact=may_look(self))
        for layer in self.encoders:
            tokens = layer(tokens, opened)
        return self.dropout_post(self.layer_norm(tokens))


class NotesEncoder(TransformerEncoder):
    """Encodes the note events of a segment.

    Padding costs as much as notes do: `trim` first.

    Args:
        max_length: Most tokens.
        vocab_size: Rows of the table of tokens.
        d_model: Channels of a token.
        dropout_rate: Share left out in training.
        num_layers: Number of layers.
        num_heads: Attention heads.
        d_kv: Channels of a head.
        d_ff: Channels inside the gated MLP.
        feed_forward_proj: Kept for the public settings: "gated-gelu".
        is_decoder: Kept for the public settings: false.
    """

    @register_to_config
    def __init__(
        self,
        max_length: int = 2048,
        vocab_size: int = 1536,
        d_model: int = 768,
        dropout_rate: float = 0.1,
        num_layers: int = 12,
        num_heads: int = 12,
        d_kv: int = 64,
        d_ff: int = 2048,
        feed_forward_proj: str = "gated-gelu",
        is_decoder: bool = False,
    ) -> None:
        super().__init__()
        self.token_embedder = nn.Embedding(vocab_size, d_model)
        sizes = Sizes(d_model, num_heads, d_kv, d_ff, dropout_rate)
        self._build(
            sizes,
            layers=num_layers,
            positions=max_length,
            activation=feed_forward_proj,
            is_decoder=is_decoder,
        )

    def forward(
        self, tokens: Int64[Tensor, "batch length"], mask: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length width"]:
        """Encodings of the tokens; of no meaning where the mask is false.

        Raises:
            ValueError: If there are more tokens than positions.
        """
        most = self.position_encoding.num_embeddings
        if tokens.shape[1] > most:
            raise ValueError(f"{tokens.shape[1]} tokens; at most {most} have a position: split the segment")
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        return self._encode(self.token_embedder(tokens), positions, mask)


class ContextEncoder(TransformerEncoder):
    """Encodes the log-mel of the segment before.

    Args:
        input_dims: Mel bands.
        targets_context_length: Most frames.
        d_model: Channels of a token.
        dropout_rate: Share left out in training.
        num_layers: Number of layers.
        num_heads: Attention heads.
        d_kv: Channels of a head.
        d_ff: Channels inside the gated MLP.
        feed_forward_proj: Kept for the public settings: "gated-gelu".
        is_decoder: Kept for the public settings: false.
        terminal_relative: Whether the last valid frame always has the last position, as the public weights were
            trained; diffusers counts from the first frame. Both agree on whole contexts.
    """

    @register_to_config
    def __init__(
        self,
        input_dims: int = 128,
        targets_context_length: int = 256,
        d_model: int = 768,
        dropout_rate: float = 0.1,
        num_layers: int = 12,
        num_heads: int = 12,
        d_kv: int = 64,
        d_ff: int = 2048,
        feed_forward_proj: str = "gated-gelu",
        is_decoder: bool = False,
        terminal_relative: bool = False,
    ) -> None:
        super().__init__()
        self.input_proj = linear(input_dims, d_model)
        self.terminal_relative = terminal_relative
        self._build(
            Sizes(d_model, num_heads, d_kv, d_ff, dropout_rate),
            layers=num_layers,
            positions=targets_context_length,
            activation=feed_forward_proj,
            is_decoder=is_decoder,
        )

    def forward(
        self, frames: Float[Tensor, "batch frames bands"], mask: Bool[Tensor, "batch frames"]
    ) -> Float[Tensor, "batch frames width"]:
        """Encodings of the frames; of no meaning where the mask is false.

        Args:
            frames: Scaled log-mel, the valid frames first.
            mask: Which are valid.

        Raises:
            ValueError: If there are more frames than positions.
        """
        most = self.position_encoding.num_embeddings
        if frames.shape[1] > most:
            raise ValueError(
                f"{frames.shape[1]} frames of context; at most {most} have a position: give the last ones"
            )
        positions = torch.arange(frames.shape[1], device=frames.device)[None]
        if self.terminal_relative:
            positions = (positions - mask.sum(1, keepdim=True)) % most
        return self._encode(self.input_proj(frames), positions, mask)


class FilmDecoder(ModelMixin, ConfigMixin):
    """Predicts the noise in a scaled log-mel, hearing a `Memory` of notes and context.

    Args:
        input_dims: Mel bands.
        targets_length: Most frames.
        max_decoder_noise_time: What the diffusion time is multiplied with before its sinusoids. All public weights
            have this value, although diffusers' own default is another.
        d_model: Channels of a frame.
        num_layers: Number of layers.
        num_heads: Attention heads.
        d_kv: Channels of a head.
        d_ff: Channels inside the gated MLP.
        dropout_rate: Share left out in training.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        input_dims: int = 128,
        targets_length: int = 256,
        max_decoder_noise_time: float = 20_000.0,
        d_model: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        d_kv: int = 64,
        d_ff: int = 2048,
        dropout_rate: float = 0.1,
    ) -> None:
        super().__init__()
        sizes = Sizes(d_model, num_heads, d_kv, d_ff, dropout_rate)
        self.longest = max_decoder_noise_time
        self.conditioning_emb = nn.Sequential(
            linear(d_model, 4 * d_model), nn.SiLU(), linear(4 * d_model, 4 * d_model), nn.SiLU()
        )
        self.position_encoding = position_table(targets_length, d_model)
        self.continuous_inputs_projection = linear(input_dims, d_model)
        self.dropout = LengthDropout(dropout_rate)
        self.decoders = nn.ModuleList(DecoderLayer(sizes) for _ in range(num_layers))
        self.decoder_norm = Norm(d_model)
        self.post_dropout = LengthDropout(dropout_rate)
        self.spec_out = linear(d_model, input_dims)

    def memory(
        self, encodings: Float[Tensor, "batch keys width"], mask: Bool[Tensor, "batch keys"]
    ) -> Memory:
        """Keys and values of every layer, made once a segment.

        Outside training, what the mask leaves out costs nothing from here on.

        Args:
            encodings: Of notes, then of context if there is any, side by side along the keys.
            mask: Which are valid. An example without any hears nothing.
        """
        return remember(self._pairs, encodings, mask, exact=not self.training)

    def _pairs(self, encodings: Tensor) -> Pairs:
        return tuple(layer.remember(encodings) for layer in cast("list[DecoderLayer]", self.decoders))

    def forward(
        self, noisy: Float[Tensor, "batch frames bands"], time: Float[Tensor, " batch"], memory: Memory
    ) -> Float[Tensor, "batch frames bands"]:
        """The noise in a log-mel.

        Args:
            noisy: Scaled log-mel with noise.
            time: Diffusion time, 0 (data) to 1 (noise).
            memory: What `memory` made of the same batch.

        Raises:
            ValueError: If there are more frames than positions, or the memory is of another batch.
        """
        batch, frames, _ = noisy.shape
        if frames > self.position_encoding.num_embeddings:
            raise ValueError(
                f"{frames} frames; at most {self.position_encoding.num_embeddings} have a position"
            )
        if memory.batch != batch:
            raise ValueError(f"a memory of {memory.batch} examples for {batch}; both must be as many")
        known = self._embed_time(time)
        entered = at_least_float(self.continuous_inputs_projection(noisy))
        tokens = self.dropout(entered + self.position_encoding.weight[:frames])
        for layer, pair in zip(self.decoders, memory.pairs, strict=True):
            tokens = layer(tokens, known, pair, memory)
        return self.spec_out(self.post_dropout(self.decoder_norm(tokens))).to(noisy.dtype)

    def _embed_time(self, time: Tensor) -> Tensor:
        """What FiLM reads (times, 1, channels): one row where a sampler gives all examples the same time.

        On an accelerator nothing is saved by looking, which would have to wait for it.
        """
        if time.device.type == "cpu" and may_look(self) and bool((time == time[0]).all()):
            time = time[:1]
        features = time_features(time, self.position_encoding.embedding_dim, self.longest)
        return self.conditioning_emb(features)[:, None]
