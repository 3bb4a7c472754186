"""Reads files of `torch.save` whose settings were pickled with the classes of other packages, none of which is needed.

torch's own weights-only reader refuses subclasses of dict and everything it does not know. This one has inert stand-ins
for packages that are named, real makers for tensors and numbers alone, and refuses the rest by name.
"""

from __future__ import annotations

import functools
import io
import pickle
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ondes.checkpoints.restricted_pickle import KNOWN, refuse_foreign
from ondes.errors import UserError

DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "BoolStorage": torch.bool,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
}
"""Kinds of storages that hold tensors."""

HARMLESS = frozenset(
    ("builtins", name)
    for name in (
        "int",
        "long",
        "float",
        "str",
        "unicode",
        "bool",
        "bytes",
        "list",
        "dict",
        "tuple",
        "set",
        "object",
    )
)
"""Types of which settings speak; they become stand-ins as well, so that nothing can be made with them."""


class Settings(dict[Any, Any]):
    """Stands for a mapping of any class: what is put into it stays, its attributes are forgotten."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass


class StandIn:
    """Stands for an object of a foreign class: it keeps its attributes as data, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> StandIn:  # noqa: D102
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    @functools.cached_property
    def state(self) -> dict[str, Any]:
        """Attributes by name."""
        return {}

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.state = dict(state)

    def __hash__(self) -> int:
        return 0


def _first(value: Any, *_: Any) -> Any:
    """In place of `operator.getitem`, which pickles `typing.List[int]`."""
    return value


class _Storage:
    """Bytes of an archive that tensors share."""

    def __init__(self, raw: Callable[[], bytes], dtype: torch.dtype, count: int) -> None:
        self.raw, self.dtype, self.count = raw, dtype, count
        self.values: Tensor | None = None

    def tensor(self) -> Tensor:
        """All values, read once."""
        if self.values is None:
            raw = bytearray(self.raw())
            size = torch.empty((), dtype=self.dtype).element_size()
            if len(raw) != self.count * size:
                raise ValueError(f"a storage of {len(raw)} bytes instead of {self.count * size}")
            self.values = torch.frombuffer(raw, dtype=self.dtype) if raw else torch.empty(0, dtype=self.dtype)
        return self.values


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    """What `torch._utils._rebuild_tensor_v2` makes, with bounds that torch checks."""
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return torch.as_strided(storage.tensor(), tuple(map(int, size)), tuple(map(int, stride)), int(offset))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    """What `torch._utils._rebuild_parameter` makes, as a plain tensor."""
    return data


MAKERS: dict[tuple[str, str], Any] = {
    **KNOWN,
    ("collections", "OrderedDict"): Settings,
    ("collections", "defaultdict"): Settings,
    ("_operator", "getitem"): _first,
    ("operator", "getitem"): _first,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
}
# What KNOWN makes of bytes and sets, settings never need: a large one would only cost memory.
for _name in HARMLESS:
    MAKERS[_name] = StandIn


class _Reader(pickle.Unpickler):
    """Looks names up in `MAKERS`, among the mappings and in the packages that have stand-ins, and nowhere else."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        root: str,
        mappings: Iterable[tuple[str, str]],
        packages: Iterable[str],
    ) -> None:
        super().__init__(io.BytesIO(_stored(archive, f"{root}/data.pkl")))
        self.archive, self.root = archive, root
        self.mappings, self.packages = set(mappings), tuple(packages)
        self.foreign: list[str] = []
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        if (module, name) in self.mappings:
            return Settings
        if (module, name) in MAKERS:
            return MAKERS[module, name]
        if module.split(".")[0] in self.packages:
            return StandIn
        self.foreign.append(f"{module}.{name}")
        raise ValueError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"a persistent object {str(kind)[:40]!r}")
        if key not in self.storages:
            name = f"{self.root}/data/{key}"
            self.storages[key] = _Storage(lambda: _stored(self.archive, name), dtype, int(count))
        return self.storages[key]


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive, which torch never compresses."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def read_torch_archive(
    file: Path, *, mappings: Iterable[tuple[str, str]] = (), packages: Iterable[str] = ()
) -> Any:
    """The content of a file of `torch.save` in today's format (torch 1.6 and later), on the CPU.

    Args:
        file: The file.
        mappings: Module and name of classes that are mappings; they become `Settings`.
        packages: Whose classes and functions become `StandIn`.

    Raises:
        UserError: If it is damaged, of another format, or its pickle needs anything else, which is named.
    """
    if not file.is_file():
        raise UserError(f"there is no file {file}; give the one that holds the weights")
    if not zipfile.is_zipfile(file):
        raise UserError(f"{file} is no file of torch.save; fetch it again")
    reader: _Reader | None = None
    try:
        with zipfile.ZipFile(file) as archive:
            roots = [
                name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")
            ]
            if len(roots) != 1 or _order(archive, roots[0]) != "little":
                raise ValueError("not one pickle of little-endian numbers")
            reader = _Reader(archive, roots[0], mappings, packages)
            return reader.load()
    except Exception as error:  # a damaged file can fail in any way
        refuse_foreign(file, reader.foreign if reader is not None else ())
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise UserError(f"{file} cannot be read as weights ({reason}); fetch it again") from error


def _order(archive: zipfile.ZipFile, root: str) -> str:
    """Byte order of the storages; older files do not say it."""
    name = f"{root}/byteorder"
    return _stored(archive, name).decode() if name in archive.namelist() else "little"
