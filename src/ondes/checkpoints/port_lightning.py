"""Reads checkpoints of the PyTorch port of Spectrogram Diffusion, as Lightning saved them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ondes.checkpoints.lightning_state import read_lightning_state
from ondes.checkpoints.spectrogram_parts import build
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.models.port_spectrogram_diffusion import PortDiffusion, infer_config

PREFIX = "model."
LOW, HIGH = "mel.1.min", "mel.1.max"
"""Buffers of the scaler: the lowest and highest log-mel seen in training."""

ADVICE = "give a checkpoint of the port's diffusion model"

FRONT_END = "mel."
"""Prefix of the mel front end, which is computed here."""


@dataclass(frozen=True, eq=False)
class PortParts:
    """A model of the port.

    Attributes:
        network: Encoders and decoder in one.
        feature_range: Log-mel values (natural logarithm) that became -1 and 1 in training.
        hashes: SHA-256 of the file, by its name.
    """

    network: PortDiffusion
    feature_range: tuple[float, float]
    hashes: dict[str, str]


def read_port(file: Path) -> PortParts:
    """The diffusion model in a checkpoint of the port.

    All sizes come from the tensors, not from the settings in the file: the port's base model has 758 channels.

    Args:
        file: A `.ckpt` of the port. Only tensors, numbers, text and containers are taken of its pickle.

    Raises:
        UserError: If it is damaged, needs foreign code, or is another model; its autoregressive models are.
    """
    state = _state(file)
    for name in (LOW, HIGH):
        if name not in state or state[name].numel() != 1:
            raise UserError(
                f"{file} has no scaler ({name}), without which its log-mels mean nothing; {ADVICE}"
            )
    low, high = state[LOW].item(), state[HIGH].item()
    if not -1e4 < low < high < 1e4:
        raise UserError(f"{file}: the scaler reaches from {low} to {high}; it was saved before any training")
    weights = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    return PortParts(
        network=build(PortDiffusion, _sizes(weights, file), weights, file),
        feature_range=(float(low), float(high)),
        hashes={file.name: file_sha256(file)},
    )


def _state(file: Path) -> dict[str, Tensor]:
    """The named tensors of a checkpoint.

    Raises:
        UserError: If there are none, or some belong to neither network nor front end.
    """
    state = read_lightning_state(file, advice=ADVICE)
    strange = [name for name in state if not name.startswith((PREFIX, FRONT_END))]
    if strange:
        raise UserError(f"{file} has the tensor {strange[0]}, which the port's models do not have; {ADVICE}")
    return state


def _sizes(weights: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """Arguments of the network.

    Raises:
        UserError: If the tensors are not those of the port's diffusion model.
    """
    if not any(name.startswith("diffusion_emb.") for name in weights):
        raise UserError(f"{file} has no time embedding, so it is no diffusion model; {ADVICE}")
    try:
        return infer_config(weights)
    except (ValueError, IndexError) as error:
        raise UserError(f"{file}: {error}; {ADVICE}") from error
