"""One way to ask the networks of Spectrogram Diffusion: the published ones, those of the port, and the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ondes.models.port_spectrogram_diffusion import PortDiffusion
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder
from ondes.models.spectrogram_layers import Memory
from ondes.representations.events import pad_tokens


@runtime_checkable
class SegmentSizes(Protocol):
    """What segments a network makes.

    Attributes:
        frames: Mel frames of a segment.
        bands: Mel bands.
        context_frames: Frames before a segment that it hears; 0 without a context encoder.
        most_tokens: Tokens that a segment may have.
    """

    frames: int
    bands: int
    context_frames: int
    most_tokens: int

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        ...


@runtime_checkable
class SegmentNetwork(SegmentSizes, Protocol):
    """Encodes a batch of segments once, then denoises them as often as a sampler asks."""

    def encode(self, tokens: Sequence[np.ndarray], contexts: Sequence[Tensor] | None) -> Memory:
        """What the decoder hears of each segment.

        Args:
            tokens: Token ids of each, not padded.
            contexts: Scaled log-mel (frames, bands) before each, which may be shorter than `context_frames` or empty;
                None where no context is wanted.
        """
        ...

    def denoise(self, noisy: Tensor, time: Tensor, memory: Memory) -> Tensor:
        """The networks' answer to noisy segments (batch, frames, bands)."""
        ...


class PublishedNetwork:
    """Note encoder, context encoder and decoder in the layout of the published weights.

    Args:
        notes_encoder: Encodes tokens.
        continuous_encoder: Encodes context, if there is one.
        decoder: Denoises.
    """

    def __init__(
        self, notes_encoder: NotesEncoder, continuous_encoder: ContextEncoder | None, decoder: FilmDecoder
    ) -> None:
        self.notes_encoder, self.continuous_encoder, self.decoder = notes_encoder, continuous_encoder, decoder
        self.frames = int(decoder.config["targets_length"])
        self.bands = int(decoder.config["input_dims"])
        self.most_tokens = int(notes_encoder.config["max_length"])
        self.context_frames = (
            0 if continuous_encoder is None else int(continuous_encoder.config["targets_context_length"])
        )

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.decoder.device

    def encode(self, tokens: Sequence[np.ndarray], contexts: Sequence[Tensor] | None) -> Memory:
        """What the decoder hears of each segment; padding is dropped."""
        ids, mask = token_batch(tokens, self.device)
        encodings = self.notes_encoder(ids, mask)
        if contexts is not None and self.continuous_encoder is not None and any(map(len, contexts)):
            frames, valid = _first(contexts, self.bands, self.device)
            encodings = torch.cat([encodings, self.continuous_encoder(frames, valid)], 1)
            mask = torch.cat([mask, valid], 1)
        return self.decoder.memory(encodings, mask)

    def denoise(self, noisy: Tensor, time: Tensor, memory: Memory) -> Tensor:
        """The decoder's answer to noisy segments (batch, frames, bands)."""
        return self.decoder(noisy, time, memory)


class PortNetwork:
    """The one network of the PyTorch port.

    It was trained on frames that are centred, one more than a segment has hops, and with silence where there is no
    context.

    Args:
        network: Encodes and denoises.
    """

    def __init__(self, network: PortDiffusion) -> None:
        self.network = network
        self.frames = int(network.config["max_output_length"]) - 1
        self.bands = int(network.config["output_dim"])
        self.most_tokens = int(network.config["max_input_length"])
        self.context_frames = self.frames if network.config["with_context"] else 0

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.device

    def encode(self, tokens: Sequence[np.ndarray], contexts: Sequence[Tensor] | None) -> Memory:
        """What the decoder hears of each segment; padding is dropped, missing context is silence."""
        ids, mask = token_batch(tokens, self.device)
        if not self.context_frames:
            return self.network.encode(ids, mask)
        silence = torch.full((len(tokens), self.context_frames, self.bands), -1.0, device=self.device)
        for row, context in zip(silence, contexts or (), strict=False):
            if len(context):
                row[-len(context) :] = context
        return self.network.encode(ids, mask, silence)

    def denoise(self, noisy: Tensor, time: Tensor, memory: Memory) -> Tensor:
        """The network's answer to noisy segments (batch, frames, bands)."""
        return self.network(noisy, time, memory)


class BaselineNetwork:
    """The autoregressive baseline, which makes a segment frame by frame and needs no sampler.

    Args:
        network: Makes frames.
    """

    def __init__(self, network: SpectrogramAutoregressive) -> None:
        self.network = network
        self.frames = int(network.config["targets_length"])
        self.bands = int(network.config["input_dims"])
        self.most_tokens = int(network.config["max_length"])
        self.context_frames = 0

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.device

    def generate(self, tokens: Sequence[np.ndarray], frames: int) -> Float[Tensor, "batch frames bands"]:
        """Scaled log-mels of segments; padding of the tokens is dropped."""
        ids, mask = token_batch(tokens, self.device)
        return self.network.generate(ids, frames, token_mask=mask).float().clone()


def token_batch(
    tokens: Sequence[np.ndarray], device: torch.device
) -> tuple[Tensor, Bool[Tensor, "batch length"]]:
    """Tokens of a batch, as long as the longest needs, and which of them are no padding."""
    ids = torch.from_numpy(pad_tokens(tokens, length=max(1, *map(len, tokens))))
    lengths = torch.tensor([len(row) for row in tokens])
    return ids.to(device), (torch.arange(ids.shape[1]) < lengths[:, None]).to(device)


def _first(
    contexts: Sequence[Tensor], bands: int, device: torch.device
) -> tuple[Float[Tensor, "batch frames bands"], Bool[Tensor, "batch frames"]]:
    """Contexts in one batch, each at the front, and which frames are theirs."""
    frames = torch.zeros(len(contexts), max(map(len, contexts)), bands, device=device)
    valid = torch.zeros(frames.shape[:2], dtype=torch.bool, device=device)
    for row, known, context in zip(frames, valid, contexts, strict=True):
        row[: len(context)] = context
        known[: len(context)] = True
    return frames, valid
