"""The named tensors of a checkpoint of Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ondes.checkpoints.restricted_pickle import read_torch
from ondes.errors import UserError


def read_lightning_state(file: Path, *, advice: str) -> dict[str, Tensor]:
    """The named tensors of a checkpoint; nothing in it is run.

    Args:
        file: A `.ckpt`. Only tensors, numbers, text and containers are taken of its pickle.
        advice: What to do instead, for the refusal.

    Raises:
        UserError: If it is damaged, needs foreign code, or holds no such tensors.
    """
    content = read_torch(file)
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file} has no 'state_dict' of tensors; {advice}")
    return {str(name): value for name, value in state.items()}
