"""Reads Spectrogram Diffusion checkpoints of T5X, as its authors published them.

A file `checkpoint` (msgpack) holds the tree of names; of each large array only where it lies: in a folder beside it, in
zarr's layout, which the tensorstore library reads.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ondes.checkpoints.spectrogram_parts import (
    CONTEXT,
    DECODER,
    NOTES,
    PartWeights,
    SpectrogramParts,
    build,
    build_parts,
    infer_config,
)
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive, sinusoids

INDEX, GIN = "checkpoint", "config.gin"

TREES = {"token_encoder": NOTES, "encoder": NOTES, "continuous_encoder": CONTEXT, "decoder": DECODER}
"""Branches of the tree with context (the first and the last two) and without."""

ARRAY_CODE, SCALAR_CODE = 1, 3
"""Extension types of Flax's msgpack."""

ATTENTION = {"query": "q", "key": "k", "value": "v", "out": "o"}
CROSS_OR_SELF = {"query": "to_q", "key": "to_k", "value": "to_v", "out": "to_out.0"}

LEAVES = {
    "token_embedder/embedding": "token_embedder",
    "Embed_0/embedding": "position_encoding",
    "input_proj/kernel": "input_proj",
    "encoder_norm/scale": "layer_norm",
    "time_emb_dense0/kernel": "conditioning_emb.0",
    "time_emb_dense1/kernel": "conditioning_emb.2",
    "continuous_inputs_projection/kernel": "continuous_inputs_projection",
    "decoder_norm/scale": "decoder_norm",
    "spec_out_dense/kernel": "spec_out",
}
"""Names outside the layers, and what the Hugging Face layout calls them."""

ENCODER_LAYER = {
    "pre_attention_layer_norm/scale": "layer.0.layer_norm",
    **{f"attention/{theirs}/kernel": f"layer.0.SelfAttention.{ours}" for theirs, ours in ATTENTION.items()},
    "pre_mlp_layer_norm/scale": "layer.1.layer_norm",
    **{f"mlp/{name}/kernel": f"layer.1.DenseReluDense.{name}" for name in ("wi_0", "wi_1", "wo")},
}
DECODER_LAYER = {
    "pre_self_attention_layer_norm/scale": "layer.0.layer_norm",
    "FiLMLayer_0/DenseGeneral_0/kernel": "layer.0.FiLMLayer.scale_bias",
    **{
        f"self_attention/{theirs}/kernel": f"layer.0.attention.{ours}"
        for theirs, ours in CROSS_OR_SELF.items()
    },
    "pre_cross_attention_layer_norm/scale": "layer.1.layer_norm",
    **{
        f"MultiHeadDotProductAttention_0/{theirs}/kernel": f"layer.1.attention.{ours}"
        for theirs, ours in CROSS_OR_SELF.items()
    },
    "pre_mlp_layer_norm/scale": "layer.2.layer_norm",
    "FiLMLayer_1/DenseGeneral_0/kernel": "layer.2.film.scale_bias",
    **{f"mlp/{name}/kernel": f"layer.2.DenseReluDense.{name}" for name in ("wi_0", "wi_1", "wo")},
}
"""Names in a layer, and what the Hugging Face layout calls them."""

BASELINE_LEAVES = {
    "continuous_inputs_projection/kernel": "enter",
    "decoder_norm/scale": "norm",
    "spec_out_dense/kernel": "leave",
}
BASELINE_LAYER = {
    "pre_self_attention_layer_norm/scale": "self_norm",
    "pre_cross_attention_layer_norm/scale": "cross_norm",
    "pre_mlp_layer_norm/scale": "mlp_norm",
    **{
        f"{theirs_block}/{theirs}/kernel": f"{our_block}.{ours}"
        for theirs_block, our_block in (
            ("self_attention", "self_attention"),
            ("encoder_decoder_attention", "cross_attention"),
        )
        for theirs, ours in CROSS_OR_SELF.items()
    },
    **{f"mlp/{name}/kernel": f"mlp.{name}" for name in ("wi_0", "wi_1", "wo")},
}
"""The same of the decoder of the autoregressive baseline, and what `SpectrogramAutoregressive` calls them."""

ONLY_IN_DIFFUSION = "time_emb_dense0"
"""Branch of every decoder that denoises, and of no other."""

BASELINE_TOKENS, BASELINE_FRAMES = 2048, 256
"""Lengths that the official baseline was trained with; its sinusoids are not stored, so no shape tells them."""


@dataclass(frozen=True, eq=False)
class BaselineParts:
    """The autoregressive baseline, and the SHA-256 of what it was read from, by file."""

    network: SpectrogramAutoregressive
    hashes: dict[str, str]


def find_t5x(folder: Path) -> Path | None:
    """The folder with the index: the given one, or the `checkpoint_<steps>` in it that was trained longest."""
    if (folder / INDEX).is_file():
        return folder
    steps = {
        int(found[1]): path
        for path in folder.glob(f"{INDEX}_*")
        if (found := re.fullmatch(r"\w+_(\d+)", path.name))
    }
    return next(
        (steps[step] for step in sorted(steps, reverse=True) if (steps[step] / INDEX).is_file()), None
    )


def read_t5x(folder: Path) -> SpectrogramParts | BaselineParts:
    """A model in a checkpoint folder of T5X, or in the folder above it that was published as a zip.

    Only the weights are read, nothing of the optimiser. Sizes come from the shapes; channels of a head from
    `config.gin` where there is one, else they are 64.

    Args:
        folder: With the file `checkpoint`, or with a folder `checkpoint_<steps>`.

    Raises:
        UserError: If the libraries of the extra `t5x` are missing, a file is missing or damaged, or the weights are
            not those of a Spectrogram Diffusion model.
    """
    place = find_t5x(folder)
    if place is None:
        raise UserError(
            f"{folder} is no checkpoint of T5X: it has no file {INDEX}; unzip it, and give its folder"
        )
    tree = _target(_read_index(place / INDEX), place)
    head_channels = _head_channels(place)
    if ONLY_IN_DIFFUSION not in tree["decoder"] and "encoder" in tree:
        return _read_baseline(tree, place, head_channels)
    weights = {}
    for name, part in TREES.items():
        if name in tree:
            state = to_named_tensors(part, _read_branch(tree[name], place), place, names=NAMES[part])
            config = infer_config(part, state, place, head_channels=head_channels)
            weights[part] = PartWeights(config, state, place)
    return build_parts(weights, hashes=_hashes(place))


def _read_baseline(tree: Mapping[str, Any], place: Path, head_channels: int) -> BaselineParts:
    """The autoregressive baseline, whose head gives frames themselves.

    Raises:
        UserError: As of `read_t5x`, or if its head gives a mixture of Gaussians.
    """
    encoder = to_named_tensors(NOTES, _read_branch(tree["encoder"], place), place, names=NAMES[NOTES])
    names = Names("layers", BASELINE_LAYER, BASELINE_LEAVES)
    decoder = to_named_tensors(DECODER, _read_branch(tree["decoder"], place), place, names=names)
    embeddings = encoder.get("token_embedder.weight", torch.zeros(1, 2))
    encoder["position_encoding.weight"] = sinusoids(BASELINE_TOKENS, embeddings.shape[1])
    config = infer_config(NOTES, encoder, place, head_channels=head_channels)
    bands, given = (decoder.get(name, torch.zeros(0, 0)) for name in ("enter.weight", "leave.weight"))
    if bands.ndim != 2 or bands.shape[1] != given.shape[0] or not given.shape[0]:
        raise UserError(
            f"{place}: the baseline reads frames of {bands.shape[-1]} bands and gives {len(given)} numbers for each; "
            "only the head that gives the frame itself is known, not a mixture of Gaussians"
        )
    sizes = {"targets_length": BASELINE_FRAMES, "input_dims": bands.shape[1], "official": True}
    state = {f"notes_encoder.{name}": value for name, value in encoder.items()} | decoder
    network = build(SpectrogramAutoregressive, config | sizes, state, place)
    network.positions = sinusoids(BASELINE_FRAMES, int(config["d_model"]))  # which is not stored
    return BaselineParts(network, _hashes(place))


def _read_index(file: Path) -> dict[str, Any]:
    """The tree of a checkpoint, arrays that lie in the index itself included.

    Raises:
        UserError: If it is no msgpack, or holds other types than T5X writes.
    """
    msgpack = _require("msgpack")

    def extension(code: int, data: bytes) -> Any:
        if code not in (ARRAY_CODE, SCALAR_CODE):
            raise ValueError(f"extension type {code}")
        shape, dtype, raw = msgpack.unpackb(data, raw=False)
        return to_array(raw, dtype, shape)

    try:
        tree = msgpack.unpackb(file.read_bytes(), raw=False, ext_hook=extension, strict_map_key=False)
    except Exception as error:  # a damaged file can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{file} cannot be read as an index of T5X ({reason[:200]}); fetch it again"
        ) from error
    if not isinstance(tree, dict):
        raise UserError(
            f"{file} holds a {type(tree).__name__}, not a tree of names; give a checkpoint of T5X"
        )
    return tree


def to_array(raw: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    """An array as Flax packs it; bfloat16, which numpy lacks, becomes float32."""
    if dtype == "bfloat16":
        wide = np.frombuffer(raw, "<u2").astype("<u4") << 16
        return wide.view("<f4").reshape(shape)
    return np.frombuffer(raw, np.dtype(dtype)).reshape(shape)


def _target(tree: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """The branch of the weights.

    Raises:
        UserError: If there is none with the networks of Spectrogram Diffusion.
    """
    inner = tree.get("optimizer", tree)
    target = inner.get("target", inner) if isinstance(inner, dict) else {}
    needed = (NOTES, DECODER)
    found = {TREES[name] for name, branch in target.items() if name in TREES and isinstance(branch, dict)}
    if not found.issuperset(needed):
        raise UserError(
            f"{place} holds {', '.join(map(str, target)) or 'nothing'} under 'target', but must hold token_encoder, "
            "continuous_encoder and decoder, or encoder and decoder; give a Spectrogram Diffusion checkpoint"
        )
    return target


def _read_branch(branch: Mapping[str, Any], place: Path) -> dict[str, np.ndarray]:
    """The arrays of a branch by their names, parts of which are joined by slashes."""
    return {name: _read_leaf(leaf, name, place) for name, leaf in _leaves(branch)}


def _leaves(branch: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values in a tree; the description of an array elsewhere is one value."""
    for name, value in branch.items():
        if isinstance(value, dict) and "driver" not in value:
            yield from _leaves(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value


def _read_leaf(leaf: Any, name: str, place: Path) -> np.ndarray:
    """An array that lies in the index, or that it describes.

    Only the name of the folder is taken of a description, so that no checkpoint can lead elsewhere.

    Raises:
        UserError: If it is neither, or cannot be read.
    """
    if isinstance(leaf, np.ndarray):
        return leaf
    spec = leaf.get("base", leaf) if isinstance(leaf, dict) else {}
    store = spec.get("kvstore")
    path = store.get("path", spec.get("path")) if isinstance(store, dict) else None
    if spec.get("driver") != "zarr" or not isinstance(path, str) or not PurePosixPath(path).name.strip("."):
        raise UserError(f"{place}: {name} is neither an array nor a zarr folder; fetch the checkpoint again")
    folder = place / PurePosixPath(path).name
    if not (folder / ".zarray").is_file():
        raise UserError(
            f"{place} has no array {folder.name} (its .zarray), which the index names; unzip all of it"
        )
    tensorstore = _require("tensorstore")
    try:
        stored = tensorstore.open(
            {"driver": "zarr", "kvstore": {"driver": "file", "path": f"{folder.absolute()}/"}}, read=True
        ).result()
        return np.asarray(stored.read().result()).astype(np.float32)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder} cannot be read as an array ({reason}); fetch it again") from error


class Names(NamedTuple):
    """What a network of ours calls what T5X calls something.

    Attributes:
        stack: Its layers.
        layer: What is in a layer.
        leaves: What is outside.
    """

    stack: str
    layer: Mapping[str, str]
    leaves: Mapping[str, str]


NAMES = {
    NOTES: Names("encoders", ENCODER_LAYER, LEAVES),
    CONTEXT: Names("encoders", ENCODER_LAYER, LEAVES),
    DECODER: Names("decoders", DECODER_LAYER, LEAVES),
}


def to_named_tensors(
    part: str, arrays: Mapping[str, np.ndarray], place: Path, *, names: Names
) -> dict[str, Tensor]:
    """Tensors under our names; kernels, stored as (in, out), turned to (out, in).

    Args:
        part: What the network is called in messages.
        arrays: By their names in the branch of this network.
        place: For messages.
        names: Which of ours they become.

    Raises:
        UserError: If a name is none of a Spectrogram Diffusion model.
    """
    state = {}
    for name, array in arrays.items():
        found = re.fullmatch(r"layers_(\d+)/(.+)", name)
        ours = names.layer.get(found[2]) if found else names.leaves.get(name)
        if ours is None:
            raise UserError(
                f"{place}: {part} has an array {name}, which is none of a Spectrogram Diffusion model"
            )
        whole = f"{names.stack}.{int(found[1])}.{ours}" if found else ours
        turned = array.T if name.endswith("/kernel") else array
        state[f"{whole}.weight"] = torch.from_numpy(np.array(turned, np.float32))
    return state


def _head_channels(place: Path) -> int:
    """Channels of an attention head by the `config.gin` in the folder or the one above."""
    for file in (place / GIN, place.parent / GIN):
        if file.is_file():
            text = file.read_text("utf-8", errors="replace")
            found = re.findall(r"^\s*(?:\S*T5Config\.)?head_dim\s*=\s*(\d+)", text, re.MULTILINE)
            if found and int(found[-1]) > 0:
                return int(found[-1])
    return 64


def _hashes(place: Path) -> dict[str, str]:
    """SHA-256 of the index, and one of the lines "hash  name" of all files of arrays in the order of their names."""
    files = sorted(file for file in place.glob("target.*/*") if file.is_file())
    lines = [f"{file_sha256(file)}  {file.relative_to(place).as_posix()}\n" for file in files]
    together = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {INDEX: file_sha256(place / INDEX), "target.*": together}


def _require(module: str) -> Any:
    """A library of the extra.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"the package {module!r} is missing; checkpoints of T5X need it: pip install 'ondes[t5x]'"
        ) from error
