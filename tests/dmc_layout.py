"""Writes files of weights as Keras 2 did, from names and shapes that it gave (golden/make_dmc_keras.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "dmc_keras.json").read_text())


def weight_values(number: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Made-up values of weight `number` of the file, as the golden script has them."""
    count = int(np.prod(shape))
    values = np.sin(1.7 * number + 0.613 * np.arange(count, dtype=np.float64))
    if name.endswith("gamma:0"):
        return (1 + 0.3 * values).reshape(shape).astype(np.float32)
    fan = count / shape[-1] if "kernel" in name else 16
    return (values * np.sqrt(2 / fan)).reshape(shape).astype(np.float32)


def golden_weights() -> list[tuple[str, np.ndarray]]:
    """Names and values, in the order of the file."""
    return [
        (name, weight_values(number, name, tuple(shape)))
        for number, (name, shape) in enumerate(GOLDEN["weights"])
    ]


def write_keras(path: Path, weights: list[tuple[str, np.ndarray]], *, chunks: int = 0) -> Path:
    """A file of weights: one group a layer of the model, with a list of names; `chunks` splits the list."""
    with h5py.File(path, "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.11.0"
        file.attrs["layer_names"] = np.array([b"u_net"])
        file.create_group("top_level_model_weights").attrs["weight_names"] = np.array([], "S1")
        group = file.create_group("u_net")
        names = np.array([name.encode() for name, _ in weights])
        if chunks:
            for number, part in enumerate(np.array_split(names, chunks)):
                group.attrs[f"weight_names{number}"] = part
        else:
            group.attrs["weight_names"] = names
        for name, values in weights:
            group.create_dataset(name, data=values)
    return path
