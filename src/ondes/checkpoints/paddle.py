"""Reads Spectrogram Diffusion models as PaddleNLP publishes them: a folder a network, `.pdparams` pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ondes.checkpoints.restricted_pickle import read_pickle
from ondes.checkpoints.spectrogram_folder import MELGAN, read_json, read_scheduler
from ondes.checkpoints.spectrogram_parts import (
    CONTEXT,
    DECODER,
    KINDS,
    NOTES,
    PLACING,
    PartWeights,
    SpectrogramParts,
    build_parts,
    infer_config,
)
from ondes.errors import UserError
from ondes.files import file_sha256

WEIGHTS, CONFIG = "model_state.pdparams", "config.json"

BOOKKEEPING = "StructuredToParameterName@@"
"""Entry of Paddle's files that is no tensor: the names that its graph has for them."""

TABLES = ("token_embedder.weight", "position_encoding.weight")
"""Matrices that are looked up, not multiplied with: they are stored as in PyTorch."""


def is_paddle_folder(folder: Path) -> bool:
    """Whether a folder holds networks of Paddle."""
    return (folder / DECODER / WEIGHTS).is_file() or (folder / NOTES / WEIGHTS).is_file()


def read_paddle(folder: Path) -> SpectrogramParts:
    """A model in the layout of PaddleNLP, read without Paddle.

    Names of tensors are those of the Hugging Face layout; Paddle's linear layers hold their weights as (in, out). A
    network without `config.json` gets its sizes from the shapes.

    Args:
        folder: With `notes_encoder`, `decoder` and, for models with context, `continuous_encoder`.

    Raises:
        UserError: If a file is missing, damaged or holds anything but arrays, or weights and settings differ.
    """
    weights, hashes = {}, {}
    for part in KINDS:
        file = folder / part / WEIGHTS
        if not file.is_file():
            if part == CONTEXT and not file.parent.is_dir():
                continue
            raise UserError(
                f"{folder} has no {part}/{WEIGHTS}; give a whole model in the layout of PaddleNLP"
            )
        state = to_torch_layout(read_arrays(file))
        weights[part] = PartWeights(_settings(part, state, file), state, file)
        hashes[f"{part}/{WEIGHTS}"] = file_sha256(file)
    melgan = folder / MELGAN
    if melgan.is_file():
        hashes[MELGAN] = file_sha256(melgan)
    return build_parts(
        weights,
        hashes=hashes,
        scheduler=read_scheduler(folder),
        melgan=melgan if melgan.is_file() else None,
    )


def _settings(part: str, state: dict[str, Tensor], file: Path) -> dict[str, Any]:
    """What the configuration beside the weights says, or their shapes."""
    config = file.with_name(CONFIG)
    if not config.is_file():
        return infer_config(part, state, file)
    return PLACING.get(part, {}) | read_json(config)


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.pdparams` file by name; where Paddle stored (graph name, array), the array.

    Raises:
        UserError: If it is no whole pickle of named arrays.
    """
    content = read_pickle(file)
    if not isinstance(content, dict):
        raise UserError(
            f"{file} holds a {type(content).__name__}; give a network's weights, which are named arrays"
        )
    arrays: dict[str, np.ndarray] = {}
    for name, value in content.items():
        array: Any = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if name == BOOKKEEPING:
            continue
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise UserError(
                f"{file}: {str(name)!r} is a {type(value).__name__}; only arrays are known: give weights alone"
            )
        arrays[name] = array
    return arrays


def to_torch_layout(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Tensors as PyTorch has them: linear weights (out, in)."""
    return {
        name: torch.from_numpy(array.T if array.ndim == 2 and name not in TABLES else array)
        for name, array in arrays.items()
    }
