"""ONNX files written by hand, as protocol buffers: no other library is needed to test a decoder."""

from __future__ import annotations

import numpy as np


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a message: whole numbers as varints, all else with its length ahead."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value & (2**64 - 1))
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, values: np.ndarray) -> bytes:
    kind = {"float32": 1, "int64": 7}[values.dtype.name]
    dims = b"".join(field(1, size) for size in values.shape)
    return dims + field(2, kind) + field(8, name) + field(9, values.tobytes())


def node(kind: str, inputs: list[str], output: str, **attributes: list[int]) -> bytes:
    listed = b"".join(
        field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))
        for name, values in attributes.items()
    )
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind) + listed


def value_info(name: str, shape: list[int | str]) -> bytes:
    dims = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def convolution_decoder(weight: np.ndarray, *, input_name: str = "input_features") -> bytes:
    """A decoder (1, frames, bands) to (1, frames * hop): one convolution over time, weights (hop, bands, reach)."""
    _, bands, reach = weight.shape
    pads = [reach // 2, reach // 2]
    graph = b"".join(
        [
            field(1, node("Transpose", [input_name], "columns", perm=[0, 2, 1])),
            field(1, node("Conv", ["columns", "weight"], "made", pads=pads, kernel_shape=[reach])),
            field(1, node("Transpose", ["made"], "rows", perm=[0, 2, 1])),
            field(1, node("Reshape", ["rows", "shape"], "samples")),
            field(2, "decoder"),
            field(5, tensor("weight", weight.astype(np.float32))),
            field(5, tensor("shape", np.array([1, -1], np.int64))),
            field(11, value_info(input_name, [1, "frames", bands])),
            field(12, value_info("samples", [1, "samples"])),
        ]
    )
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))
