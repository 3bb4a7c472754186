"""Writes the networks of Spectrogram Diffusion as graphs for other engines: ONNX, and OpenVINO's own form of it.

Four graphs, so that everything is computed as rarely as here: the encoders and `memory` once a segment, `decoder` at
every step of a sampler. Numbers of examples, tokens and keys are free.
"""

from __future__ import annotations

import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES, SpectrogramParts
from ondes.errors import UserError
from ondes.files import folder_written_whole
from ondes.models.int8_linear import relative_error
from ondes.models.spectrogram_diffusion import FilmDecoder
from ondes.models.spectrogram_layers import Memory, open_mask

MEMORY = "memory"
SETTINGS = "graphs.json"
"""File beside the graphs with the sizes of the networks."""

OPSET = 18
"""Of the ONNX operators: those that all engines of the last years know."""

EXAMPLE = (2, 5, 7)
"""Examples, tokens and keys of the inputs that graphs are traced with."""

PROBE_KEYS = 33
"""Of the memory on which the error of rounded weights is measured."""

EXTRA = "pip install 'ondes[export]'"


class MemoryGraph(nn.Module):
    """Keys and values of all layers in two tensors (layers, batch, heads, keys, channels)."""

    def __init__(self, decoder: FilmDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, encodings: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values that cross-attention makes of encodings (batch, keys, width)."""
        keys, values = zip(*self.decoder._pairs(encodings), strict=True)
        return torch.stack(keys), torch.stack(values)


class DecoderGraph(nn.Module):
    """A step of the decoder with keys and values in two tensors, and the mask (batch, keys) of what is heard."""

    def __init__(self, decoder: FilmDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, noisy: Tensor, time: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The decoder's answer; an example whose mask is false everywhere hears nothing."""
        share = mask.any(1)[:, None, None].to(keys.dtype)
        pairs = tuple(zip(keys.unbind(0), values.unbind(0), strict=True))
        memory = Memory(pairs, open_mask(mask, exact=False), None, noisy.shape[0], share)
        return self.decoder(noisy, time, memory)


@dataclass(frozen=True)
class Graph:
    """A network to write.

    Attributes:
        name: Of the file.
        network: What computes it.
        inputs: An example of each input, by name.
        free: Which of their sizes are free: input, axis, name.
        outputs: Names of what comes out.
    """

    name: str
    network: nn.Module
    inputs: dict[str, Tensor]
    free: dict[str, dict[int, str]]
    outputs: tuple[str, ...]


def graphs_of(parts: SpectrogramParts) -> list[Graph]:
    """The graphs of a model; that of the context encoder only where it has one."""
    decoder, width = parts.decoder, int(parts.decoder.config["d_model"])
    batch, tokens, keys = EXAMPLE
    bands, heard = int(decoder.config["input_dims"]), heard_example()
    graphs = [
        Graph(
            NOTES,
            parts.notes_encoder,
            {"tokens": torch.ones(batch, tokens, dtype=torch.int64), "mask": heard[:, :tokens]},
            {name: {0: "batch", 1: "tokens"} for name in ("tokens", "mask")},
            ("encodings",),
        ),
        Graph(
            MEMORY,
            MemoryGraph(decoder),
            {"encodings": torch.zeros(batch, keys, width)},
            {"encodings": {0: "batch", 1: "keys"}},
            ("keys", "values"),
        ),
        decoder_graph(decoder),
    ]
    if parts.continuous_encoder is not None:
        context = Graph(
            CONTEXT,
            parts.continuous_encoder,
            {"frames": torch.zeros(batch, 5, bands), "mask": heard[:, :5]},
            {name: {0: "batch", 1: "frames"} for name in ("frames", "mask")},
            ("encodings",),
        )
        graphs.insert(1, context)
    return graphs


def heard_example() -> Tensor:
    """A mask (batch, keys) of which the first example hears less."""
    batch, _, keys = EXAMPLE
    heard = torch.ones(batch, keys, dtype=torch.bool)
    heard[0, 4:] = False
    return heard


def decoder_graph(decoder: FilmDecoder) -> Graph:
    """The graph of a step of the decoder."""
    names = ("input_dims", "targets_length", "num_layers", "num_heads", "d_kv")
    bands, frames, layers, heads, channels = (int(decoder.config[name]) for name in names)
    batch, _, keys = EXAMPLE
    return Graph(
        DECODER,
        DecoderGraph(decoder),
        {
            "noisy": torch.zeros(batch, frames, bands),
            "time": torch.tensor([0.3, 0.6]),
            "keys": torch.zeros(layers, batch, heads, keys, channels),
            "values": torch.zeros(layers, batch, heads, keys, channels),
            "mask": heard_example(),
        },
        {
            "noisy": {0: "batch"},
            "time": {0: "batch"},
            "keys": {1: "batch", 3: "keys"},
            "values": {1: "batch", 3: "keys"},
            "mask": {0: "batch", 1: "keys"},
        },
        ("answer",),
    )


def write_onnx(parts: SpectrogramParts, folder: Path, *, int8: bool = False) -> float | None:
    """Write a model as ONNX files: `notes_encoder`, `continuous_encoder`, `memory` and `decoder`, and `graphs.json`.

    Args:
        parts: The model.
        folder: Where to.
        int8: Whether to write `decoder_int8` as well, see `quantise_graph`.

    Returns:
        Relative error of its answer to noise.

    Raises:
        UserError: If a package of the extra `export` is missing, or the folder exists.
    """
    require("onnx")
    error = None
    with folder_written_whole(folder) as beside:
        beside.mkdir(exist_ok=True)
        for graph in graphs_of(parts):
            write_graph(graph, beside / f"{graph.name}.onnx")
        if int8:
            exact, rounded = beside / f"{DECODER}.onnx", beside / f"{DECODER}_int8.onnx"
            quantise_graph(exact, rounded)
            error = _rounding_error(parts.decoder, exact, rounded)
        _write_settings(parts, beside)
    return error


def quantise_graph(exact: Path, rounded: Path) -> None:
    """Write a graph whose products have weights of whole numbers, a scale a channel, for onnxruntime.

    What they are multiplied with is rounded to 8 bits as it comes. The weights have 7: pairs of products of 8 bits
    overflow 16 on processors without VNNI, and ways around that take a fifth longer.

    Raises:
        UserError: If onnxruntime is missing.
    """
    quantization = require("onnxruntime.quantization")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises to simplify the graph before, which changes nothing here
    try:
        quantization.quantize_dynamic(
            exact,
            rounded,
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["MatMul"],
        )
    finally:
        root.setLevel(level)


def _rounding_error(decoder: FilmDecoder, exact: Path, rounded: Path) -> float:
    """How far the answers of two graphs of a decoder to noise are apart, relative to the first."""
    onnxruntime = require("onnxruntime")
    generator = torch.Generator().manual_seed(0)
    frames, bands, width = (int(decoder.config[name]) for name in ("targets_length", "input_dims", "d_model"))
    with torch.no_grad():
        keys, values = MemoryGraph(decoder)(torch.randn(1, PROBE_KEYS, width, generator=generator))
    inputs = {
        "noisy": torch.randn(1, frames, bands, generator=generator),
        "time": torch.full((1,), 0.5),
        "keys": keys,
        "values": values,
        "mask": torch.ones(1, PROBE_KEYS, dtype=torch.bool),
    }
    given = {name: value.numpy() for name, value in inputs.items()}

    def answer(file: Path) -> Tensor:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, given)[0])

    return relative_error(answer(rounded), answer(exact))


def write_openvino(parts: SpectrogramParts, folder: Path) -> None:
    """Write a model as OpenVINO's `.xml` and `.bin`, with the names and inputs of `write_onnx`.

    Raises:
        UserError: As of `write_onnx`, or if OpenVINO is missing.
    """
    openvino = require("openvino", "pip install 'ondes[openvino]'")
    require("onnx")
    with folder_written_whole(folder) as beside:
        beside.mkdir(exist_ok=True)
        for graph in graphs_of(parts):
            onnx = beside / f"{graph.name}.onnx"
            write_graph(graph, onnx)
            # Single precision is kept: what the networks answer shall not change.
            openvino.save_model(
                openvino.convert_model(onnx), onnx.with_suffix(".xml"), compress_to_fp16=False
            )
            onnx.unlink()
        _write_settings(parts, beside)


WRITERS: dict[str, Callable[..., float | None]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
}
"""By the names people type."""


def _write_settings(parts: SpectrogramParts, folder: Path) -> None:
    """Note the sizes of the networks."""
    networks: Sequence[tuple[str, Any]] = [
        (NOTES, parts.notes_encoder),
        (CONTEXT, parts.continuous_encoder),
        (DECODER, parts.decoder),
    ]
    settings = {
        name: {key: value for key, value in network.config.items() if key[0] != "_"}
        for name, network in networks
        if network is not None
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def write_graph(graph: Graph, file: Path) -> None:
    """Trace a network, and write it with its weights in one file."""
    with torch.no_grad(), quiet_export():
        torch.onnx.export(
            graph.network.eval(),
            tuple(graph.inputs.values()),
            file,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes=graph.free,
            opset_version=OPSET,
            dynamo=False,  # the other exporter takes minutes for the same graph
        )


@contextmanager
def quiet_export() -> Iterator[None]:
    """Without advice on the other exporter, and on the checks of sizes that a trace leaves out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def require(package: str, advice: str = EXTRA) -> Any:
    """A package that only exports need.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise UserError(f"the package {package!r} is missing; this export needs it: {advice}") from None
