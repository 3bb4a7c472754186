"""Reads checkpoints of Mixture2Music as Lightning saved them: its TransUNet, and its independent decoder.

Their weights were never published; people who trained it have some. The table of the attention is in no checkpoint: the
published code draws another one at each loading. Here it is drawn once, from a seed, and kept with the model.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ondes.checkpoints.lightning_state import read_lightning_state
from ondes.checkpoints.spectrogram_parts import build
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.models.trans_unet import RollDecoder, TransUNet

log = logging.getLogger(__name__)

NETWORK, DECODER = "model.", "decoder."
"""Prefixes of the tensors of a TransUNet's checkpoint, and of a decoder's."""
HEAD_SIZE = 64
MOST_TOKENS = 2048
ADVICE = "give a checkpoint of Mixture2Music's TransUNet, and its decoder's with --decoder"

_BLOCKS = {"block1": "first", "block2": "second", "res_conv": "beside", r"time_emb\.1": "time"}
_ATTENTION = {"Wq": "query", "Wk": "key", "Wv": "value", "fc": "out", "E": "table"}
NAMES: list[tuple[str, str]] = [
    (r"^time_expand\.1\.", "time.0."),
    (r"^time_expand\.3\.", "time.2."),
    (r"^in_layer\.", "enter."),
    (r"^out_layer\.", "leave."),
    *((rf"^(down|up){number + 1}\.block\.", rf"\1.{number}.") for number in range(3)),
    *((rf"^layer_{number + 1}\.", f"blocks.{number}.") for number in range(2)),
    *((rf"\.{theirs}\.", f".{ours}.") for theirs, ours in _BLOCKS.items()),
    (r"^transformer\.in_linear\.", "middle.enter."),
    (r"^transformer\.out_linear\.", "middle.leave."),
    (r"^transformer\.enc_layers\.", "middle.layers."),
    (r"\.rga\.", ".attention1."),
    (r"\.rga2\.", ".attention2."),
    *((rf"\.{theirs}(\.|$)", rf".{ours}\1") for theirs, ours in _ATTENTION.items()),
    (r"\.FFN_pre\.", ".narrow."),
    (r"\.FFN_suf\.", ".widen."),
    (r"\.layernorm(\d)\.", r".norm\1."),
]
"""Patterns of their names, and ours."""


@dataclass(frozen=True, eq=False)
class Mixture2MusicParts:
    """Imported networks.

    Attributes:
        network: The TransUNet.
        decoder: The independent decoder, if it was given.
        hashes: SHA-256 of the files, by their names.
    """

    network: TransUNet
    decoder: RollDecoder | None
    hashes: dict[str, str]


def is_mixture2music(file: Path) -> bool:
    """Whether a checkpoint is one of Mixture2Music's, by the names in it."""
    if not (file.is_file() and file.suffix == ".ckpt"):
        return False
    try:
        names = read_lightning_state(file, advice=ADVICE)
    except UserError:
        return False
    return any(
        all(name.startswith(prefix) for name in names) and any(name.startswith(sign) for name in names)
        for prefix, sign in ((NETWORK, f"{NETWORK}transformer."), (DECODER, f"{DECODER}layer_1."))
    )


def read_mixture2music(
    file: Path, decoder: Path | None = None, *, bottleneck: str = "scrambled", seed: int = 0
) -> Mixture2MusicParts:
    """The networks of one or two checkpoints. All sizes come from the tensors.

    Args:
        file: Of the TransUNet.
        decoder: Of the decoder.
        bottleneck: How the network was trained to put tokens back; the published code scrambles them.
        seed: Of the table of the attention, where the file has none.

    Raises:
        UserError: If a file is damaged, needs foreign code, or is of another model.
    """
    weights = _renamed(file, NETWORK)
    config = _sizes(weights, file)
    drawn = _with_tables(weights, config, seed)
    if drawn:
        log.info("%s holds no table of the attention: %d are drawn from the seed %d", file, drawn, seed)
    network = build(TransUNet, {**config, "bottleneck": bottleneck}, weights, file)
    hashes, second = {file.name: file_sha256(file)}, None
    if decoder is not None:
        second = _decoder(decoder, parts=config["parts"])
        hashes[decoder.name] = file_sha256(decoder)
    return Mixture2MusicParts(network, second, hashes)


def _renamed(file: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a network by our names.

    Raises:
        UserError: If others are among them, or there are none.
    """
    state = read_lightning_state(file, advice=ADVICE)
    strange = next((name for name in state if not name.startswith(prefix)), None)
    if strange is not None or not state:
        raise UserError(f"{file} has the tensor {strange}, which is none of {prefix}*; {ADVICE}")
    found = {}
    for name, value in state.items():
        ours = name.removeprefix(prefix)
        for theirs, mine in NAMES:
            ours = re.sub(theirs, mine, ours)
        found[ours] = value
    return found


def _sizes(weights: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """Arguments of the network.

    Raises:
        UserError: If a tensor that tells one is missing.
    """
    try:
        width, parts = weights["enter.weight"].shape[:2]
        token_size = len(weights["middle.enter.weight"])
        time_size = weights["time.0.weight"].shape[1]
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"{file} is no TransUNet ({error} is missing); {ADVICE}") from error
    layers = {name.split(".")[2] for name in weights if name.startswith("middle.layers.")}
    return {
        "parts": parts,
        "width": 4 * width,
        "token_size": token_size,
        "head_size": min(HEAD_SIZE, token_size),
        "layers": len(layers),
        "time_size": time_size,
        "most_tokens": MOST_TOKENS,
    }


def _with_tables(weights: dict[str, Tensor], config: Mapping[str, Any], seed: int) -> int:
    """Draw the tables that are missing; gives how many."""
    names = [
        f"middle.layers.{layer}.attention{number}.table"
        for layer in range(config["layers"])
        for number in (1, 2)
    ]
    missing = [name for name in names if name not in weights]
    for name in missing:
        generator = torch.Generator().manual_seed(position_seed(seed, name))
        weights[name] = torch.randn(MOST_TOKENS, config["head_size"], generator=generator)
    return len(missing)


def _decoder(file: Path, *, parts: int) -> RollDecoder:
    """The decoder of a checkpoint.

    Raises:
        UserError: If it is of another number of parts, or something else.
    """
    weights = _renamed(file, DECODER)
    first = weights.get("enter.weight")
    if first is None or first.ndim != 4:
        raise UserError(f"{file} is no decoder; {ADVICE}")
    if first.shape[1] != parts:
        raise UserError(f"{file} decodes {first.shape[1]} parts, and the network makes {parts}; {ADVICE}")
    return build(RollDecoder, {"parts": parts, "width": 4 * len(first)}, weights, file)
