"""How annotations are checked while the tests run: an int may stand for a float, as in PEP 484."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.util import cache_from_source
from types import FunctionType
from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

READER: Any = sys.modules["_frozen_importlib_external"]
"""Python's reader of modules; jaxtyping replaces its function that names compiled files."""

build = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Any) -> Any:
    """The function, whose arguments and result are checked in every call; classes are checked at once.

    The check is built in the first call: to build those of all functions takes longer than to import ondes, and many
    functions are never called in one process.
    """
    if not isinstance(function, FunctionType):
        return build(function)
    built: Callable[..., Any] | None = None

    @functools.wraps(function)
    def check(*arguments: Any, **named: Any) -> Any:
        nonlocal built
        if built is None:
            built = build(function)
        return built(*arguments, **named)

    return check


class OrdinaryCaches(MetaPathFinder):
    """Finds nothing, but lets libraries be read from their compiled files.

    While a module of ours runs, jaxtyping has all modules look for compiled files of another name. Only ours have
    them, and have been read by then: libraries that ours import, torch among them, would be compiled anew each time.
    """

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:  # noqa: ARG002
        """Undo the renaming before the module is read; a module of ours renames its own again."""
        READER.cache_from_source = cache_from_source


def check_annotations() -> None:
    """Check the annotations of all modules of ondes that are imported from now on."""
    install_import_hook("ondes", "annotations.checked")
    sys.meta_path.insert(0, OrdinaryCaches())
