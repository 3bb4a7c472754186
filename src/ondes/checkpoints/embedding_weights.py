"""Reads the weights of the networks that evaluations listen with, each from its public form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import hf_hub_download, list_repo_files
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ondes.checkpoints.restricted_pickle import read_torch
from ondes.checkpoints.tensor_bundle import read_tensor_bundle
from ondes.errors import UserError
from ondes.models.aisfx import AiSFX
from ondes.models.musicnn import Musicnn
from ondes.models.vggish import VGGish

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

NUMBERS: list[Any] = [np.int64(0).__reduce__()[0], np.dtype, type(np.dtype(np.int64))]
"""Types that a numpy number in a pickle is made of; they run nothing."""

_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def read_vggish(place: str | Path, *, rectified: bool = False) -> VGGish:
    """VGGish with weights in the layout of its public PyTorch conversion.

    Args:
        place: A file, or `user/name` or `user/name/file` on the Hub.
        rectified: As of `VGGish`.

    Raises:
        UserError: If there is no such file, or it does not hold these weights.
    """
    file = _fetch(place)
    network = VGGish(rectified=rectified)
    return fill(network, read_state_dict(file), file)


def read_aisfx(file: Path) -> AiSFX:
    """The embedding network out of the package's `checkpoint.pth`; its classifiers are left."""
    pair = _load(file)
    prefix = "embedding_net."
    if not isinstance(pair, tuple | list) or not pair or not isinstance(pair[0], Mapping):
        raise UserError(f"{file} is not the checkpoint of aisfx; give that of the package, version 0.1.2")
    state = {str(name).removeprefix(prefix): value for name, value in pair[0].items() if prefix in str(name)}
    return fill(AiSFX(), state, file)


def read_musicnn(folder: Path) -> Musicnn:
    """The network out of a folder of the package musicnn (`MSD_musicnn` or `MTT_musicnn`).

    Raises:
        UserError: If it holds no such checkpoint.
    """
    state = from_musicnn_tensors(read_tensor_bundle(folder))
    return fill(Musicnn(), state, folder)


def from_musicnn_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Our names and layouts for the tensors of the package: kernels of TensorFlow have their outputs last."""
    state: dict[str, np.ndarray] = {}
    norms = ["norm", *(f"front_norms.{k}" for k in range(5)), *(f"middle_norms.{k}" for k in range(3))]
    norms += ["pooled_norm", "dense_norm"]
    for index, name in enumerate(norms):
        theirs = "batch_normalization" + (f"_{index}" if index else "")
        state |= {
            f"{name}.{ours}": tensors[f"{theirs}/{their}"]
            for their, ours in _NORM.items()
            if f"{theirs}/{their}" in tensors
        }
    for index in range(8):
        theirs = "conv2d" + (f"_{index}" if index else "")
        if f"{theirs}/kernel" not in tensors:
            continue
        kernel = tensors[f"{theirs}/kernel"]  # (frames, bands or channels, 1, outputs)
        front = index < 5
        name = f"fronts.{index}" if front else f"middles.{index - 5}"
        state[f"{name}.weight"] = (
            kernel.transpose(3, 2, 0, 1) if front else kernel[:, :, 0].transpose(2, 1, 0)
        )
        state[f"{name}.bias"] = tensors[f"{theirs}/bias"]
    if "dense/kernel" in tensors:
        state |= {"dense.weight": tensors["dense/kernel"].T, "dense.bias": tensors["dense/bias"]}
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in state.items()}


def fill(network: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> Any:
    """Put weights into a network and set it to evaluate.

    Raises:
        UserError: If a tensor is missing, foreign or of another shape; it names the tensor and both shapes.
    """
    own = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    given = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    missing, foreign = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or foreign:
        what = f"lacks {missing[0]}" if missing else f"holds {foreign[0]}, which is foreign"
        raise UserError(f"{source} does not hold weights of {type(network).__name__}: it {what}")
    for name, value in own.items():
        if value.shape != given[name].shape:
            raise UserError(
                f"{source}: {name} has shape {tuple(given[name].shape)}, but {type(network).__name__} needs "
                f"{tuple(value.shape)}"
            )
    network.load_state_dict(dict(given), strict=False)
    return network.eval()


def read_state_dict(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file or of a pickle, from which nothing but tensors is loaded.

    Raises:
        UserError: If it is neither, or holds anything else.
    """
    state = _load(file)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file} is not a state dict; give a file of named tensors")
    return {str(name): value for name, value in state.items()}


def _load(file: Path) -> Any:
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except (OSError, SafetensorError) as error:
            raise UserError(f"{file} cannot be read as weights ({_first_line(error)})") from error
    renamed: list[Any] = [(NUMBERS[0], "numpy.core.multiarray.scalar"), *NUMBERS]
    with torch.serialization.safe_globals(renamed):
        return read_torch(file)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _fetch(place: str | Path) -> Path:
    """A local file, or one of the Hub, for which alone the network is reached."""
    if Path(place).is_file():
        return Path(place)
    words = str(place).split("/")
    if len(words) not in (2, 3) or str(place).startswith((".", "/", "~")):
        raise UserError(
            f"{place} does not exist; give a file of weights, or 'user/name' or 'user/name/file' of the Hub"
        )
    repository = "/".join(words[:2])
    try:
        name = words[2] if len(words) == 3 else _only_weights(repository)
        return Path(hf_hub_download(repository, name))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{place} cannot be fetched from the Hub ({_first_line(error)}); check the name and the network, or give "
            "a file"
        ) from error


def _only_weights(repository: str) -> str:
    found = [name for name in list_repo_files(repository) if name.endswith(SUFFIXES)]
    if len(found) != 1:
        raise UserError(
            f"{repository} has {len(found)} files of weights ({', '.join(found[:5])}); "
            f"name one as '{repository}/file'"
        )
    return found[0]
