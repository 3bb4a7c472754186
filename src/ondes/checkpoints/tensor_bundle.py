"""Reads TensorFlow checkpoints (tensor bundles) without TensorFlow.

A bundle is an index, a sorted table in LevelDB's format whose values are small protocol buffers, and a file of raw
little-endian numbers. Only uncompressed tables and bundles of one data file are read: what TensorFlow 1 wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ondes.errors import UserError

FOOTER_BYTES = 48
MAGIC = bytes.fromhex("57fb808b247547db")
"""Last bytes of a table."""

TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
"""TensorFlow's numbers of the element types that are read."""

_DTYPE, _SHAPE, _OFFSET, _SIZE, _DIMENSION, _LENGTH = 1, 2, 4, 5, 2, 1
"""Field numbers of BundleEntryProto and of the shape in it."""


def read_tensor_bundle(prefix: Path) -> dict[str, np.ndarray]:
    """All tensors of a checkpoint by name.

    Args:
        prefix: The files' common beginning: `PREFIX.index`, `PREFIX.data-00000-of-00001`; a folder stands for files
            in it that have nothing before the dot.

    Raises:
        UserError: If a file is missing or not of this format.
    """
    start = f"{prefix}/" if prefix.is_dir() else str(prefix)
    index_file, data_file = Path(f"{start}.index"), Path(f"{start}.data-00000-of-00001")
    for file in (index_file, data_file):
        if not file.is_file():
            raise UserError(f"{file} does not exist; give a TensorFlow checkpoint of one data file")
    try:
        entries = dict(_table(index_file.read_bytes()))
        data = data_file.read_bytes()
        return {key.decode(): _tensor(value, data) for key, value in entries.items() if key}
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise UserError(f"{index_file} is not a TensorFlow checkpoint that can be read ({error})") from error


def _table(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a sorted table: its index block names the blocks that hold them."""
    if index[-len(MAGIC) :] != MAGIC:
        raise ValueError("no sorted table")
    footer = index[-FOOTER_BYTES:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)  # where the meta block is, which nothing needs
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    for _, handle in _block(index, offset, size):
        block_offset, at = _varint(handle, 0)
        block_size, _ = _varint(handle, at)
        yield from _block(index, block_offset, block_size)


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key shares its first bytes with the one before."""
    if index[offset + size]:
        raise ValueError("a compressed block")
    block = index[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = len(block) - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + length]
        at += fresh + length


def _tensor(entry: bytes, data: bytes) -> np.ndarray:
    found: dict[int, int] = {}
    shape: list[int] = []
    for number, value in _fields(entry):
        if number == _SHAPE and isinstance(value, bytes):
            shape = [
                next((int(v) for n, v in _fields(axis) if n == _LENGTH and isinstance(v, int)), 0)
                for part, axis in _fields(value)
                if part == _DIMENSION and isinstance(axis, bytes)
            ]
        elif isinstance(value, int):
            found[number] = value
    offset = found.get(_OFFSET, 0)
    values = np.frombuffer(data[offset : offset + found.get(_SIZE, 0)], TYPES[found.get(_DTYPE, 1)])
    return values.reshape(shape)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        else:
            length = {1: 8, 5: 4}[kind]
        yield tag >> 3, message[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
