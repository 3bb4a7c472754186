"""The readers of data sets by name, and how much of each to train on."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from ondes.datasets.audio_folder import read_folder, read_rendered
from ondes.datasets.guitarset import read_guitarset
from ondes.datasets.maestro import read_maestro
from ondes.datasets.musicnet import read_musicnet
from ondes.datasets.recordings import Recording, Rejections
from ondes.datasets.slakh import read_slakh
from ondes.datasets.urmp import read_urmp
from ondes.errors import UserError, nearest

READERS: dict[str, Callable[..., tuple[list[Recording], Rejections]]] = {
    "musicnet": read_musicnet,
    "maestro": read_maestro,
    "guitarset": read_guitarset,
    "urmp": read_urmp,
    "slakh": read_slakh,
    "folder": read_folder,
    "rendered": read_rendered,
}

MIXING_EXPONENT = 0.3
"""Of Spectrogram Diffusion: seqio's temperature of 10/3."""


def read_recordings(
    kind: str, folder: str | os.PathLike[str], split: str, /, **options: Any
) -> tuple[list[Recording], Rejections]:
    """The recordings of a split of any data set that is known.

    Args:
        kind: A key of `READERS`.
        folder: Where the data set is.
        split: See `SPLIT_NAMES`.
        options: See the reader.

    Raises:
        UserError: If kind, split or an option is unknown, or the folder holds something else.
    """
    if kind not in READERS:
        raise UserError(f"unknown kind of data set {kind!r}; {nearest(kind, READERS)}")
    known = reader_options(kind)
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        allowed = nearest(unknown, known) if known else "it has none"
        raise UserError(f"{kind} has no option {unknown!r}; {allowed}")
    for name, value in options.items():
        default = inspect.signature(READERS[kind]).parameters[name].default
        if default is not None and type(value) is not type(default):
            raise UserError(f"{kind}: the option {name} is {value!r}; give something like {default!r}")
        if default is None and not isinstance(value, str | os.PathLike):
            raise UserError(f"{kind}: the option {name} is {value!r}; give a folder, such as ./{value}")
    return READERS[kind](folder, split, **options)


def reader_options(kind: str) -> list[str]:
    """What a reader can be told, besides folder and split."""
    parameters = inspect.signature(READERS[kind]).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


def mixing_weights(
    sizes: Sequence[float], *, exponent: float = MIXING_EXPONENT
) -> Float64[np.ndarray, " datasets"]:
    """How often to draw from each data set: its size to a power, all adding up to 1.

    T5's temperature mixing (Raffel et al. 2020, section 3.5.2) with T = 1 / exponent: an exponent of 1 draws
    every segment equally often, 0 every data set.

    Args:
        sizes: Segments, frames or hours of each data set; empty ones are never drawn.
        exponent: From 0 to 1.

    Raises:
        ValueError: If nothing has a size, or one is negative.
    """
    amounts = np.asarray(sizes, np.float64)
    if not (amounts >= 0).all() or not amounts.any():
        raise ValueError(f"data sets of sizes {list(sizes)}; give at least one above 0")
    powers = np.where(amounts > 0, np.power(np.maximum(amounts, 1e-300), exponent), 0.0)
    return powers / powers.sum()
