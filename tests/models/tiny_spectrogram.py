"""Small networks of Spectrogram Diffusion with the weights that the golden values were made with."""

from __future__ import annotations

import math
from typing import TypeVar

import torch

from ondes.models.spectrogram_diffusion import ContextEncoder, FilmDecoder, NotesEncoder

SIZES = {"d_model": 32, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 64}
FRAMES = 16
Network = TypeVar("Network", bound=torch.nn.Module)
TOKENS = (1134, 90, 1135, 1133, 1080, 112, 1132, 1080, 1133, 1079, 133, 1132, 1079, 1133, 1)


@torch.no_grad()
def fill(network: Network) -> Network:
    """Weights that any program can make: sines of the index, by the order of the sorted names."""
    state = network.state_dict()
    for place, name in enumerate(sorted(state)):
        weight = state[name]
        index = torch.arange(weight.numel(), dtype=torch.float64)
        value = (0.7 * index + 0.1 * (place + 1)).sin().reshape(weight.shape)
        if name.endswith("norm.weight"):
            value = 1 + 0.1 * value
        elif weight.dim() == 2 and "embedder" not in name and "position" not in name:
            value = value * 1.5 / math.sqrt(weight.shape[1])
        weight.copy_(value)
    return network.eval()


def notes_encoder(**settings: object) -> NotesEncoder:
    return fill(NotesEncoder(**{"max_length": 64, **SIZES, **settings}))  # pyright: ignore[reportArgumentType]


def context_encoder(**settings: object) -> ContextEncoder:
    return fill(ContextEncoder(**{"targets_context_length": FRAMES, **SIZES, **settings}))  # pyright: ignore[reportArgumentType]


def film_decoder(**settings: object) -> FilmDecoder:
    return fill(FilmDecoder(**{"targets_length": FRAMES, **SIZES, **settings}))  # pyright: ignore[reportArgumentType]


def wave(rate: float) -> torch.Tensor:
    """Angles that grow through frames and bands (1, frames, 128)."""
    return (rate * torch.arange(FRAMES * 128, dtype=torch.float64)).reshape(1, FRAMES, 128)


def tokens(length: int = 64) -> torch.Tensor:
    """Fifteen events and padding (1, length)."""
    return torch.tensor([[*TOKENS, *[0] * (length - len(TOKENS))]])
