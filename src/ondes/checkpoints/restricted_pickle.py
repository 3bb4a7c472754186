"""Reads other people's pickles as data: numbers, text, containers and arrays; nothing in a file is ever run."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ondes.errors import UserError

ALLOWED = "only numbers, text, containers and arrays are read; ask its author for safetensors"

MOST_NAMES = 5
"""Foreign names in one message."""

PLAIN_DTYPE = re.compile(r"[?biufc]\d{0,2}")
"""Codes of booleans, whole, real and complex numbers; no objects, records or text."""


class _Foreign:
    """Stands for anything that is not read: it accepts all that a pickle may do to it, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Foreign:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Foreign:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, name: Any, value: Any) -> None:
        pass

    def __hash__(self) -> int:
        return 0

    def append(self, _: Any) -> None:
        """Take nothing."""

    extend = add = update = append


class _StoredDtype:
    """What a pickle says of a dtype: numpy's own state is not given to numpy, which would trust it."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(self.code, str) or not PLAIN_DTYPE.fullmatch(self.code):
            raise ValueError(f"an array of {self.code!r}")
        self.order: Literal["<", ">", "=", "|"] = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|"):
            raise ValueError(f"byte order {order!r}")
        self.order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order)


class _StoredArray:
    """What a pickle says of an array."""

    array: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        self.array = _filled(raw, dtype, shape, "F" if fortran else "C")

    def numpy(self) -> np.ndarray:
        if self.array is None:
            raise ValueError("an array without values")
        return self.array


def _filled(raw: bytes, dtype: _StoredDtype, shape: Iterable[int], order: Any) -> np.ndarray:
    """An array of its own, in the byte order of this machine."""
    values = np.frombuffer(raw, dtype.numpy()).reshape(tuple(shape), order=order)
    return values.astype(values.dtype.newbyteorder("="))


def _array_from_buffer(
    raw: bytes | bytearray, dtype: _StoredDtype, shape: Iterable[int], order: Any
) -> np.ndarray:
    """What `numpy._core.numeric._frombuffer` makes, for pickles of protocol 5."""
    return _filled(bytes(raw), dtype, shape, order)


def _empty_array(kind: Any, *_: Any) -> _StoredArray:
    """What `numpy._core.multiarray._reconstruct` makes before its state is set."""
    if kind is not _StoredArray:
        raise ValueError("an array of another class")
    return _StoredArray()


def _scalar(dtype: _StoredDtype, raw: bytes | str = b"") -> Any:
    """What `numpy._core.multiarray.scalar` makes."""
    return _filled(raw.encode("latin1") if isinstance(raw, str) else raw, dtype, (), "C")[()]


def _text_as_bytes(text: str, encoding: str = "latin1") -> bytes:
    """What `_codecs.encode` makes: bytes as protocols 0 to 2 hold them."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text in {encoding!r}")
    return text.encode("latin1")


def _bytes(*contents: Any) -> bytes:
    """What `bytes` and `bytearray` make of their contents; a mere length would reserve memory."""
    if not all(isinstance(content, bytes | list) for content in contents):
        raise ValueError("bytes of a given length")
    return bytes(*contents)


KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _StoredArray,
    ("numpy", "dtype"): _StoredDtype,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _text_as_bytes,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytes,
    ("builtins", "complex"): complex,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
}
for _package in ("numpy.core", "numpy._core"):
    # The package was renamed in numpy 2; files keep the name of the numpy that wrote them.
    KNOWN[f"{_package}.multiarray", "_reconstruct"] = _empty_array
    KNOWN[f"{_package}.multiarray", "scalar"] = _scalar
    KNOWN[f"{_package}.numeric", "_frombuffer"] = _array_from_buffer


class _Reader(pickle.Unpickler):
    """Looks every name up in `KNOWN` and nowhere else."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        super().__init__(file, encoding="latin1")
        self.foreign: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        # Protocols 0 to 2 write the name of Python 2.
        module = "builtins" if module == "__builtin__" else module
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        self.foreign.append(f"{module}.{name}")
        return _Foreign

    def persistent_load(self, pid: Any) -> Any:
        self.foreign.append(f"persistent object {str(pid)[:40]!r}")
        return _Foreign()


def read_pickle(file: Path) -> Any:
    """The content of a pickle of any protocol.

    A pickle is a program; this one can call nothing but makers of arrays and containers that are written here.
    numpy itself never sees the states that a file claims for its dtypes and arrays.

    Args:
        file: Of numpy arrays, numbers, text and containers.

    Returns:
        The content; arrays are writable and in the byte order of this machine, ordered dicts are dicts.

    Raises:
        UserError: If the file is not a whole pickle, or needs anything else, which is named.
    """
    with file.open("rb") as opened:
        reader = _Reader(opened)
        try:
            content = _plain(reader.load())
        except Exception as error:  # a damaged pickle can fail in any way
            refuse_foreign(file, reader.foreign)
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"{file} cannot be read as a pickle of arrays ({reason}); fetch it again"
            ) from error
    refuse_foreign(file, reader.foreign)
    return content


def _plain(value: Any) -> Any:
    """The same with arrays in place of what stood for them."""
    if isinstance(value, _StoredArray):
        return value.numpy()
    if isinstance(value, _StoredDtype | _Foreign | type):
        raise ValueError("a type where a value is needed")
    if isinstance(value, dict):
        return {_plain(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_plain(entry) for entry in value)
    return value


def refuse_foreign(file: Path, names: Iterable[str]) -> None:
    """Refuse a pickle that asks for anything but data.

    Raises:
        UserError: If there are names; it tells the first few.
    """
    unique = list(dict.fromkeys(names))
    if unique:
        more = f" and {len(unique) - MOST_NAMES} more" if len(unique) > MOST_NAMES else ""
        raise UserError(
            f"{file} is refused: its pickle needs {', '.join(unique[:MOST_NAMES])}{more}, but {ALLOWED}"
        )


def read_torch(file: Path) -> Any:
    """The content of a file of `torch.save`: tensors, numbers, text and containers, on the CPU.

    Tensors of files in today's format stay on disk until they are used, so that a large model is not held twice.

    Raises:
        UserError: If the file is damaged, or its pickle needs anything else, which is named.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except FileNotFoundError:
        raise UserError(f"there is no file {file}; give the one that holds the weights") from None
    except Exception as error:  # as above
        refuse_foreign(file, _foreign_to_torch(file, str(error)))
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        if reason.startswith("Weights only load failed"):  # advice to programmers follows
            reason = "it is not what torch.save writes"
        raise UserError(f"{file} cannot be read as weights ({reason}); fetch it again") from error


def _foreign_to_torch(file: Path, message: str) -> list[str]:
    """Names that torch's weights-only reader does not know: all where it can list them, else that of its message."""
    names = re.findall(r"GLOBAL ([\w.]+)", message)
    try:
        return list(torch.serialization.get_unsafe_globals_in_checkpoint(file)) or names
    except Exception:  # files of before torch 1.6, or damaged
        return names
