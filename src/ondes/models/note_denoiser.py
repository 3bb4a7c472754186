"""The synthesiser's denoiser: a transformer over mel frames that hears the notes of each frame."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from ondes.models.note_sketch import NoteSketch
from ondes.models.standardised_mel import StandardisedMel
from ondes.representations.mel import MelSpec
from ondes.representations.note_frames import NoteFrames

LEVEL_FREQUENCIES = 64
"""Sinusoids in which the network reads the noise level."""


class Conditioning(NamedTuple):
    """What the notes of a batch of windows say; made once a segment, used at every step.

    Attributes:
        sketch: Standardised sketch of the log-mel (batch, 2, bands, frames): the mean of what to expect.
        spread: Standard deviation around it (batch, 2, bands, 1).
        embedding: One a patch (batch, patches, width).
    """

    sketch: Tensor
    spread: Tensor
    embedding: Tensor


def rotate(
    heads: Float[Tensor, "batch heads tokens size"], angles: Float[Tensor, "*examples tokens half"]
) -> Tensor:
    """Rotary position embedding (Su et al. 2021, arXiv 2104.09864): pairs of channels turn with the position."""
    first, second = heads.chunk(2, dim=-1)
    cos, sin = angles.cos().to(heads), angles.sin().to(heads)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class TransformerBlock(nn.Module):
    """Self-attention and a gated MLP, each scaled, shifted and gated by the noise level.

    Adaptive norm as in DiT (Peebles and Xie 2022, arXiv 2212.09748), with one network for all blocks and a learned
    offset a block (PixArt, Chen et al. 2023, arXiv 2310.00426).
    """

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.key_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.attended = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6, elementwise_affine=False)
        self.expand = nn.Linear(width, 2 * hidden, bias=False)
        self.contract = nn.Linear(hidden, width, bias=False)
        self.offset = nn.Parameter(torch.zeros(6, width))
        # A new block adds nothing.
        nn.init.zeros_(self.attended.weight)
        nn.init.zeros_(self.contract.weight)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        level: Float[Tensor, "batch 6 width"],
        angles: Tensor,
    ) -> Float[Tensor, "batch tokens width"]:
        """Tokens after attention and MLP."""
        scale, shift, gate, mlp_scale, mlp_shift, mlp_gate = (level + self.offset)[:, :, None].unbind(1)
        tokens = tokens + gate * self._attend(self.attention_norm(tokens) * (1 + scale) + shift, angles)
        value, opening = self.expand(self.mlp_norm(tokens) * (1 + mlp_scale) + mlp_shift).chunk(2, dim=-1)
        return tokens + mlp_gate * self.contract(value * functional.silu(opening))

    def _attend(self, tokens: Tensor, angles: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key = rotate(self.query_norm(query), angles), rotate(self.key_norm(key), angles)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.attended(mixed.transpose(1, 2).flatten(2))


class NoteDenoiser(StandardisedMel, ModelMixin, ConfigMixin):
    """Predicts the velocity of flow matching for standardised stereo log-mels, given notes and known frames.

    Features are the mean and half the difference of the log-mels of left and right, standardised by fixed statistics
    per band. The network is preconditioned around the sketch of the notes: where the data are normal with the sketch
    as mean and `spread` as deviation, an untrained network is already the best denoiser there is, and a trained one
    learns what the sketch does not say. (Karras et al. 2022, arXiv 2206.00364, section 5, with a mean.)

    Args:
        width: Channels of a token.
        hidden: Channels inside the gated MLP.
        blocks: Number of transformer blocks.
        heads: Attention heads.
        patch_frames: Mel frames in a token.
        note_width: Channels of the network that reads one note in one frame.
        note_embedding: Channels of the sum over notes.
        partials: Harmonics in the sketch.
        sample_rate_hz: Rate of the audio.
        fft_size: Samples in a frame.
        hop_samples: Samples from frame to frame.
        bands: Mel bands.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        width: int = 256,
        hidden: int = 640,
        blocks: int = 8,
        heads: int = 4,
        patch_frames: int = 2,
        note_width: int = 256,
        note_embedding: int = 128,
        partials: int = 32,
        sample_rate_hz: int = 44_100,
        fft_size: int = 2048,
        hop_samples: int = 512,
        bands: int = 128,
    ) -> None:
        super().__init__()
        self.spec = MelSpec(sample_rate_hz, fft_size, hop_samples, bands)
        patch = 2 * bands * patch_frames
        self.notes = NoteSketch(note_width, note_embedding, partials, self.spec)
        self.enter = nn.Linear(2 * patch + 1, width)
        self.enter_notes = nn.Linear(note_embedding * patch_frames, width)
        self.silence = nn.Parameter(torch.zeros(width))
        self.level = nn.Sequential(
            nn.Linear(2 * LEVEL_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.modulate = nn.Linear(width, 6 * width)
        self.stack = nn.ModuleList(TransformerBlock(width, hidden, heads) for _ in range(blocks))
        self.leave_norm = nn.RMSNorm(width, eps=1e-6)
        self.leave = nn.Linear(width, patch)
        self.register_buffer("mean", torch.zeros(2, bands))
        self.register_buffer("deviation", torch.ones(2, bands))
        self.log_spread = nn.Parameter(torch.zeros(2, bands))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def condition(self, notes: NoteFrames, batch: int = 1) -> Conditioning:
        """What the notes of `batch` windows, collated, say."""
        sketch, embedding = self.notes(notes)
        sketch = sketch.unflatten(0, (batch, -1)).permute(0, 2, 3, 1)
        patches = embedding.reshape(batch, -1, self.enter_notes.in_features)
        spread = self.log_spread.exp()[None, ..., None].expand(batch, -1, -1, -1)
        return Conditioning(self.standardise(sketch), spread, self.enter_notes(patches))

    def drop(self, conditioning: Conditioning, dropped: Bool[Tensor, " batch"]) -> Conditioning:
        """The same without the notes of some windows: all that is known is the data's own mean and deviation."""
        sketch, spread, embedding = conditioning
        wide = dropped[:, None, None, None]
        return Conditioning(
            torch.where(wide, 0.0, sketch),
            torch.where(wide, 1.0, spread),
            torch.where(dropped[:, None, None], self.silence, embedding),
        )

    def forward(
        self,
        noisy: Float[Tensor, "batch 2 bands frames"],
        level: Float[Tensor, " batch"],
        conditioning: Conditioning,
        known: Bool[Tensor, "batch frames"] | None = None,
    ) -> Float[Tensor, "batch 2 bands frames"]:
        """Velocity, noise minus data, at a point (1 - level) data + level noise of the straight path.

        Args:
            noisy: Standardised features; clean ones in known frames.
            level: Share of noise, 0 to 1.
            conditioning: What the notes say, from `condition`.
            known: Frames that are given; none if missing.

        Returns:
            The velocity; of no meaning in known frames.
        """
        sketch, spread, embedding = conditioning
        share = level[:, None, None, None]
        variance = (1 - share).square() * spread.square() + share.square()
        away = noisy - (1 - share) * sketch
        fixed = (
            torch.zeros_like(noisy[:, :1, :1], dtype=torch.bool) if known is None else known[:, None, None]
        )
        seen = torch.where(fixed, (noisy - sketch) / spread, away * variance.rsqrt())
        correction = self._network(seen, sketch, fixed[:, 0, 0].float(), level, embedding)
        slope = (share - (1 - share) * spread.square()) / variance
        return away * slope - sketch - spread * variance.rsqrt() * correction

    def _network(
        self, seen: Tensor, sketch: Tensor, known: Tensor, level: Tensor, embedding: Tensor
    ) -> Tensor:
        patch = self.config["patch_frames"]
        mask = known.unflatten(1, (-1, patch))[:, :, :1]
        tokens = (
            self.enter(torch.cat([to_patches(seen, patch), to_patches(sketch, patch), mask], -1)) + embedding
        )
        modulation = self.modulate(self.level(level_features(level))).unflatten(1, (6, -1))
        angles = rotary_angles(tokens.shape[1], tokens.shape[2] // self.config["heads"], tokens.device)
        for block in self.stack:
            tokens = block(tokens, modulation, angles)
        return from_patches(self.leave(self.leave_norm(tokens)), patch, self.spec.bands)


def to_patches(
    features: Float[Tensor, "batch 2 bands frames"], patch: int
) -> Float[Tensor, "batch patches values"]:
    """Consecutive frames side by side, as tokens."""
    return features.unflatten(3, (-1, patch)).permute(0, 3, 1, 2, 4).flatten(2)


def from_patches(tokens: Float[Tensor, "batch patches values"], patch: int, bands: int) -> Tensor:
    """The inverse of `to_patches`: (batch, 2, bands, frames)."""
    return tokens.unflatten(2, (2, bands, patch)).permute(0, 2, 3, 1, 4).flatten(3)


def level_features(level: Float[Tensor, " batch"]) -> Float[Tensor, "batch features"]:
    """Sinusoids of the noise level, from half a period over its range to 500."""
    rates = torch.exp(torch.linspace(0, math.log(1000.0), LEVEL_FREQUENCIES, device=level.device)) * math.pi
    phases = level[:, None].float() * rates
    return torch.cat([phases.cos(), phases.sin()], -1)


def rotary_angles(tokens: int, head_size: int, device: torch.device) -> Float[Tensor, "tokens half"]:
    """Angles of `rotate`: wavelengths from 2 pi to 1000 tokens, as a window has at most a few hundred."""
    half = head_size // 2
    rates = 1000.0 ** (-torch.arange(half, device=device) / half)
    return torch.arange(tokens, device=device)[:, None] * rates
