"""Reads weights of Diffusion-Music-Composer: what `save_weights` of Keras 2 writes, in HDF5.

The file lists its weights in the order in which the network's layers were made, with names like
`u_net/down/conv_block_1/conv2d_2/kernel:0`, of which Keras numbers most by itself. So blocks are known by the shapes in
them, and layers of one shape by their order; a file is refused unless every weight finds its place. Statistics of the
training data are not in it.
"""

from __future__ import annotations

import importlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.models.dmc_unet import KERNELS, AttentionBlock, DmcUNet
from ondes.representations.triples import TripleStatistics

SUFFIXES = (".h5", ".hdf5")
HEADS = ("query", "key", "value")
ATTENTION_OUTPUT = "attention_output"

Arrays = dict[str, np.ndarray]
Signature = tuple[Any, ...]
"""Kind and shape of a layer, with whether it has a bias."""


@dataclass(frozen=True)
class DmcParts:
    """An imported network, and the SHA-256 of what it was read from."""

    network: DmcUNet
    hashes: dict[str, str]


@dataclass
class _Layer:
    """A layer of the file: its variables by their last name."""

    name: str
    arrays: Arrays = field(default_factory=dict)


def is_keras_weights(path: Path) -> bool:
    """Whether a file looks like weights of Keras, by its name."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read_dmc_keras(
    path: Path,
    statistics: TripleStatistics | None = None,
    *,
    causal: bool = True,
    time_code: str = "scrambled",
) -> DmcParts:
    """The network of a file of weights.

    Args:
        path: What `save_weights` wrote in Keras 2.
        statistics: How the network's triples are scaled, which the file does not say.
        causal: Whether the weights were trained with causal convolutions and attention, as published.
        time_code: How they were trained to be told the noise level; the published code scrambles it.

    Raises:
        UserError: If the library of the extra `keras` is missing, the file is damaged or of another program, or its
            weights are not those of this network.
    """
    weights = _read_weights(path)
    layers = _layers(weights)
    config = _infer_config(layers, path)
    state = statistics.to_config() if statistics is not None else None
    network = DmcUNet(**config, causal=causal, time_code=time_code, statistics=state)
    _fill(network, _blocks(layers), path)
    return DmcParts(network.eval(), {path.name: file_sha256(path)})


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    """All weights by name, in the order of the file.

    Raises:
        UserError: If it cannot be read, or is not in the layout of Keras 2.
    """
    h5py = _require_h5py()
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" not in file.attrs:
                raise UserError(
                    f"{path} has no attribute 'layer_names': it is not what save_weights of Keras 2 writes; Keras 3 "
                    "writes another layout, so load it there and save it with the package tf_keras"
                )
            groups = [file[_text(name)] for name in file.attrs["layer_names"]]
            return {
                _text(name): _array(group[_text(name)], path) for group in groups for name in _names(group)
            }
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        words = " ".join(str(error).split())[:200]
        raise UserError(f"{path} cannot be read as weights of Keras ({words}); fetch it again") from error


def _names(group: Any) -> list[Any]:
    """Names of the weights in a group; Keras splits long lists into numbered attributes."""
    if "weight_names" in group.attrs:
        return list(group.attrs["weight_names"])
    chunks = (f"weight_names{number}" for number in itertools.count())
    present = itertools.takewhile(lambda chunk: chunk in group.attrs, chunks)
    return [name for chunk in present for name in group.attrs[chunk]]


def _array(stored: Any, path: Path) -> np.ndarray:
    """A weight as float32.

    Raises:
        UserError: If its numbers lie in another file, or are none.
    """
    if stored.external or stored.is_virtual:
        raise UserError(
            f"{path}: {stored.name} lies in another file; give a file that holds its weights itself"
        )
    values = np.asarray(stored[()], np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {stored.name} holds NaN or infinity; fetch it again")
    return values


def _text(name: Any) -> str:
    """A name, which HDF5 may give as bytes."""
    return name.decode() if isinstance(name, bytes) else str(name)


def _layers(weights: dict[str, np.ndarray]) -> list[_Layer]:
    """Weights put together to layers, in order."""
    found: dict[str, _Layer] = {}
    for name, values in weights.items():
        above, _, variable = name.partition(":")[0].rpartition("/")
        found.setdefault(above, _Layer(above)).arrays[variable] = values
    return list(found.values())


def _blocks(layers: list[_Layer]) -> list[list[_Layer]]:
    """Layers put together to the blocks that the network itself holds.

    What lies under one name directly below the network is a block. Layers of a Sequential have no path at all; they
    follow the rest of their block.
    """
    paths = [layer.name.split("/") for layer in layers]
    nested = [path for path in paths if len(path) > 1]
    depth = 0
    while nested and all(len(path) > depth + 1 and path[depth] == nested[0][depth] for path in nested):
        depth += 1
    blocks: dict[str, list[_Layer]] = {}
    current = ""
    for layer, path in zip(layers, paths, strict=True):
        current = path[depth] if len(path) > 1 or not current else current
        blocks.setdefault(current, []).append(layer)
    return list(blocks.values())


def _file_signature(layer: _Layer) -> Signature:
    """Kind and shape of a layer of the file."""
    name, arrays = layer.name.rpartition("/")[2], layer.arrays
    if "gamma" in arrays:
        return "norm", arrays["gamma"].shape
    kernel = arrays.get("kernel", np.zeros(0))
    kind = {2: "dense", 4: "conv"}.get(kernel.ndim, "unknown")
    if kernel.ndim == 3:
        kind = name
    return kind, kernel.shape, "bias" in arrays


def _our_layers(block: nn.Module) -> Iterator[tuple[Signature, nn.Module, str]]:
    """Signature in the file, layer and kind of everything with weights in a block, in order."""
    for module in block.modules():
        if isinstance(module, AttentionBlock):
            yield from _our_attention(module)
        elif isinstance(module, nn.Conv1d):
            shape = (1, *module.kernel_size, module.in_channels, module.out_channels)
            yield ("conv", shape, module.bias is not None), module, "conv"
        elif isinstance(module, nn.LayerNorm):
            yield ("norm", tuple(module.normalized_shape)), module, "norm"
        elif isinstance(module, nn.Linear) and not isinstance(block, AttentionBlock):
            shape = (module.in_features, module.out_features)
            yield ("dense", shape, module.bias is not None), module, "dense"


def _our_attention(block: AttentionBlock) -> Iterator[tuple[Signature, nn.Module, str]]:
    """The same of the linear layers of an attention block."""
    channels = block.out.out_features
    size = block.query.out_features // block.heads
    for name in HEADS:
        yield (name, (channels, block.heads, size), True), getattr(block, name), "heads"
    yield (ATTENTION_OUTPUT, (block.heads, size, channels), True), block.out, "joined"
    for layer in (block.widen, block.narrow):
        yield ("dense", (channels, channels), True), layer, "dense"


def _our_blocks(network: DmcUNet) -> Iterator[tuple[str, nn.Module]]:
    """The blocks of our network by name, in the order of the data."""
    yield "input", network.input
    yield "position", network.position
    for index, stage in enumerate(network.down):
        yield f"down.{index}", stage
        yield f"down_attention.{index}", network.down_attention[index]
    for index, block in enumerate(network.middle):
        yield f"middle.{index}", block
    for index, stage in enumerate(network.up):
        yield f"up.{index}", stage
        yield f"up_attention.{index}", network.up_attention[index]
    yield "output", network.output


def _infer_config(layers: list[_Layer], path: Path) -> dict[str, int]:
    """Sizes of the network that the file is of.

    Raises:
        UserError: If the layers that say them are not there.
    """
    shapes = [_file_signature(layer) for layer in layers]
    inputs = [shape for kind, shape, *_ in shapes if kind == "conv" and shape[1] == KERNELS["input"]]
    queries = [shape for kind, shape, *_ in shapes if kind == HEADS[0]]
    times = [
        shape[0]
        for kind, shape, *bias in shapes
        if kind == "dense" and bias == [True] and shape[0] != shape[1]
    ]
    if not (inputs and queries and times):
        raise UserError(
            f"{path} lacks the convolution over {KERNELS['input']} notes, the attention or the time code of this "
            "network; give weights of Diffusion-Music-Composer's main branch"
        )
    return {
        "features": min(shape[2] for shape in inputs),
        "width": inputs[0][3],
        "heads": queries[0][1],
        "time_size": times[0],
    }


def _fill(network: DmcUNet, blocks: list[list[_Layer]], path: Path) -> None:
    """Copy all weights of the file into the network.

    Raises:
        UserError: If a block of the network is not in the file, or the other way round.
    """
    waiting: dict[frozenset[tuple[Signature, int]], list[list[_Layer]]] = defaultdict(list)
    for block in blocks:
        waiting[_counted([_file_signature(layer) for layer in block])].append(block)
    for name, module in _our_blocks(network):
        ours = list(_our_layers(module))
        same = waiting[_counted([signature for signature, _, _ in ours])]
        if not same:
            raise UserError(
                f"{path} has no block with the shapes of {name!r} in a network of width {network.config['width']}; "
                "give weights of Diffusion-Music-Composer's main branch"
            )
        _fill_block(ours, same.pop(0))
    if left := [block[0].name for found in waiting.values() for block in found]:
        raise UserError(
            f"{path} holds more than this network: {', '.join(left[:5])}; give weights of its own"
        )


def _counted(signatures: list[Signature]) -> frozenset[tuple[Signature, int]]:
    """Signatures and how often each is there."""
    return frozenset((signature, signatures.count(signature)) for signature in signatures)


def _fill_block(ours: list[tuple[Signature, nn.Module, str]], block: list[_Layer]) -> None:
    """Copy the weights of one block; layers of one signature keep their order."""
    rows: dict[Signature, list[_Layer]] = defaultdict(list)
    for layer in block:
        rows[_file_signature(layer)].append(layer)
    for signature, module, kind in ours:
        arrays = rows[signature].pop(0).arrays
        weight, bias = _turned(kind, arrays)
        with torch.no_grad():
            module.get_parameter("weight").copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            if bias is not None:
                module.get_parameter("bias").copy_(torch.from_numpy(bias))


def _turned(kind: str, arrays: Arrays) -> tuple[np.ndarray, np.ndarray | None]:
    """Weight and bias as torch has them: Keras puts inputs before outputs, and heads on an axis of their own."""
    if kind == "norm":
        return arrays["gamma"], arrays["beta"]
    kernel, bias = arrays["kernel"], arrays.get("bias")
    if kind == "conv":
        return kernel[0].transpose(2, 1, 0), bias
    if kind == "heads":
        kernel = kernel.reshape(len(kernel), -1)
    elif kind == "joined":
        kernel = kernel.reshape(-1, kernel.shape[-1])
    return kernel.T, None if bias is None else bias.reshape(-1)


def _require_h5py() -> Any:
    """The library that reads HDF5.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError:
        raise UserError(
            "weights of Keras need the package h5py, which is not installed; run: pip install 'ondes[keras]'"
        ) from None
