"""Embeddings: audio as vectors that networks trained on much sound make of it, for distances between recordings.

Figures of different embeddings cannot be set beside each other, nor can musicnn's or aiSFX's beside published ones,
which are VGGish's.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from ondes.audio import Audio
from ondes.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import nn

NAMES = ("musicnn", "vggish", "aisfx")
"""musicnn comes with the package; VGGish's weights are a file or on the Hub; aiSFX's are in the package aisfx."""

BATCH_PATCHES = 16


@runtime_checkable
class Embedding(Protocol):
    """Vectors of the frames of audio.

    Attributes:
        name: How reports call it.
        sample_rate_hz: The rate it listens at.
        dimension: Length of a vector.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def sample_rate_hz(self) -> int: ...  # noqa: D102

    @property
    def dimension(self) -> int: ...  # noqa: D102

    def __call__(self, audio: Audio) -> np.ndarray:
        """Vectors (frames, dimension), at least one, of audio of any rate and number of channels."""
        ...


@dataclass(frozen=True, eq=False)
class NetworkEmbedding:
    """An embedding by a network that looks at patches of a spectrogram.

    Attributes:
        name: How reports call it.
        sample_rate_hz: The rate it listens at.
        dimension: Length of a vector.
        to_patches: Mono samples at that rate to patches (patches, ...).
        network: Patches to vectors.
    """

    name: str
    sample_rate_hz: int
    dimension: int
    to_patches: Callable[[np.ndarray], np.ndarray]
    network: nn.Module

    def __call__(self, audio: Audio) -> Float[np.ndarray, "frames dimension"]:
        """Vectors of the audio's channel mean; NaN becomes 0, as in the published evaluation."""
        import torch  # noqa: PLC0415

        mono = Audio(audio.samples.mean(axis=0, dtype=np.float32)[None], audio.sample_rate_hz)
        patches = torch.tensor(self.to_patches(mono.resample(self.sample_rate_hz).samples[0]))
        with torch.no_grad():
            found = [self.network(batch) for batch in patches.split(BATCH_PATCHES)]
        return np.nan_to_num(torch.cat(found).float().numpy(), nan=0.0)


def load_embedding(name: str, *, weights: str | Path | None = None) -> NetworkEmbedding:
    """An embedding by name.

    Args:
        name: "musicnn" (16 kHz, 200 numbers for each 1.5 s; comes with ondes), "vggish" (16 kHz, 128 for each
            0.96 s; needs weights) or "aisfx" (44.1 kHz, 512 for each 1.2 s; needs the package aisfx, or its file).
        weights: A file, for VGGish also `user/name` of the Hub; for musicnn a folder of the package musicnn.

    Raises:
        UserError: If there is no such embedding, or its weights are not at hand.
    """
    makers: dict[str, Callable[[Any], NetworkEmbedding]] = {
        "musicnn": _musicnn,
        "vggish": _vggish,
        "aisfx": _aisfx,
    }
    if name not in makers:
        raise UserError(f"there is no embedding {name!r}: {nearest(name, NAMES)}")
    return makers[name](weights)


def embedding_distance(target: np.ndarray, made: np.ndarray) -> float:
    """Mean over frames of the Euclidean distance between vectors: the paper's reconstruction distance.

    arXiv 2206.05408, section 4. Frames beyond the shorter are left out.
    """
    frames = min(len(target), len(made))
    if not frames:
        return float("nan")
    apart = np.asarray(target[:frames], np.float64) - np.asarray(made[:frames], np.float64)
    return float(np.linalg.norm(apart, axis=1).mean())


def _musicnn(weights: str | Path | None) -> NetworkEmbedding:
    from ondes.checkpoints.embedding_weights import fill, read_musicnn, read_state_dict  # noqa: PLC0415
    from ondes.models.musicnn import DIMENSION, SPEC, Musicnn, to_musicnn_patches  # noqa: PLC0415

    if weights is not None:
        network = read_musicnn(Path(weights))
    else:
        asset = resources.files("ondes.evaluation").joinpath("assets/musicnn.safetensors")
        with resources.as_file(asset) as file:
            network = fill(Musicnn(), read_state_dict(file), file)
    return NetworkEmbedding("musicnn", SPEC.sample_rate_hz, DIMENSION, to_musicnn_patches, network)


def _vggish(weights: str | Path | None) -> NetworkEmbedding:
    if weights is None:
        raise UserError(
            "VGGish's weights do not come with ondes; pass --embedding-weights with a file of the public PyTorch "
            "conversion (vggish-10086976.pth of torchvggish) or a Hub id, or use --embedding musicnn"
        )
    from ondes.checkpoints.embedding_weights import read_vggish  # noqa: PLC0415
    from ondes.models.vggish import DIMENSION, SAMPLE_RATE_HZ, pad_to_seconds, to_vggish_patches  # noqa: PLC0415

    network = read_vggish(weights)

    def to_patches(samples: np.ndarray) -> np.ndarray:
        return to_vggish_patches(pad_to_seconds(samples))

    return NetworkEmbedding("vggish", SAMPLE_RATE_HZ, DIMENSION, to_patches, network)


def _aisfx(weights: str | Path | None) -> NetworkEmbedding:
    from ondes.checkpoints.embedding_weights import read_aisfx  # noqa: PLC0415
    from ondes.models.aisfx import DIMENSION, SAMPLE_RATE_HZ, to_aisfx_patches  # noqa: PLC0415

    network = read_aisfx(
        Path(weights) if weights is not None else _packaged("aisfx", "models/checkpoint.pth")
    )
    return NetworkEmbedding("aisfx", SAMPLE_RATE_HZ, DIMENSION, to_aisfx_patches, network)


def _packaged(package: str, name: str) -> Path:
    """A file of an installed package, found without importing it: its own imports are old and unneeded."""
    found = importlib.util.find_spec(package)
    folders = list(found.submodule_search_locations or []) if found else []
    for folder in folders:
        if Path(folder, name).is_file():
            return Path(folder, name)
    raise UserError(
        f"the embedding {package!r} needs the weights in the package {package!r}, which pins old versions of others: "
        f"pip install --no-deps {package}; or use --embedding musicnn, which comes with ondes"
    )
