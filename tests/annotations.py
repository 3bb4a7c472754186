"""How annotations are checked while the tests run: an int may stand for a float, as in PEP 484.

jaxtyping by itself binds the arguments of every call and checks them twice, for more than a tenth of a millisecond.
Here functions without arrays are left to beartype alone, which takes two microseconds; arguments are checked once, and
bound only where a length is computed from them; and a check is built in the first call, since many functions are never
called in one process.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from importlib.util import cache_from_source
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, install_import_hook, jaxtyped

READER: Any = sys.modules["_frozen_importlib_external"]
"""Python's reader of modules; jaxtyping replaces its function that names compiled files."""

build = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))

TARGET = "__beartype_func"
"""The keyword by which beartype hands a function to its check."""

_templates: dict[tuple[str, str, CodeType], FunctionType] = {}
"""Checks of functions that are defined again and again inside of others, without the function.

By module and name as well: constructors of data classes with fields of the same names are equal as code."""


def checked(thing: Any) -> Any:
    """A function or class whose arguments and results are checked in every call.

    Names in annotations mean what they mean now; those that mean nothing yet, as those imported for type checkers
    alone, are not checked.
    """
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = checked(thing.__init__)  # pyright: ignore[reportAttributeAccessIssue]
        return thing
    if not isinstance(thing, FunctionType):
        return jaxtyped(thing, typechecker=build)
    meanings = {
        name: _meaning(annotation, thing.__globals__) for name, annotation in thing.__annotations__.items()
    }
    shapes = [shape for meaning in meanings.values() for shape in _shapes(meaning)]
    make: Callable[..., Any] = _shaped if shapes else _plain
    if any("{" in shape for shape in shapes):
        make = _computed
    function = _with_annotations(thing, meanings)
    if inspect.isgeneratorfunction(thing):
        make, function = functools.partial(jaxtyped, typechecker=build), thing
    built: Any = None

    @functools.wraps(thing)
    def check(*arguments: Any, **named: Any) -> Any:
        nonlocal built
        if built is None:
            built = make(function)
        return built(*arguments, **named)

    return check


def _meaning(annotation: Any, names: dict[str, Any]) -> Any:
    """What an annotation means in a module; anything if it cannot be told."""
    place = SimpleNamespace(__annotations__={"value": annotation})
    try:
        return get_type_hints(place, names, include_extras=True)["value"]
    except Exception:  # as jaxtyping does: names that are missing, shapes that are none
        return Any


def _shapes(hint: Any) -> Iterator[str]:
    """The shapes of which an annotation speaks somewhere, as they are written."""
    if inspect.isclass(hint):
        if issubclass(hint, AbstractArray):
            yield getattr(hint, "dim_str", "")
        return
    for part in hint if isinstance(hint, list | tuple) else get_args(hint):
        yield from _shapes(part)


def _with_annotations(function: FunctionType, annotations: dict[str, Any]) -> FunctionType:
    """The same function with other annotations."""
    like = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    like.__kwdefaults__, like.__annotations__ = function.__kwdefaults__, annotations
    like.__qualname__, like.__module__ = function.__qualname__, function.__module__
    return like


def _shaped(function: FunctionType) -> Callable[..., Any]:
    """A function within each call of which the names of lengths mean one thing."""
    check, own_lengths = _plain(function), jaxtyped("context")

    def shaped(*arguments: Any, **named: Any) -> Any:
        with own_lengths:
            return check(*arguments, **named)

    return shaped


def _computed(function: FunctionType) -> Callable[..., Any]:
    """The same where a length is computed from arguments, as in '{size}+1'."""
    return jaxtyped(_plain(function), typechecker=None)


def _plain(function: FunctionType) -> Callable[..., Any]:
    """A function checked by beartype, whose check is built once for all functions of the same code."""
    place = (function.__module__, function.__qualname__, function.__code__)
    template = _templates.get(place)
    if template is None:
        made: Any = build(function)
        if isinstance(made, FunctionType) and TARGET in (made.__kwdefaults__ or {}):
            _templates[place] = _for(made, None)
        return made
    return _for(template, function)


def _for(check: FunctionType, function: FunctionType | None) -> FunctionType:
    """A check of beartype's for another function of the same code."""
    like = _with_annotations(check, {})
    like.__kwdefaults__ = {**(check.__kwdefaults__ or {}), TARGET: function}
    like.__wrapped__ = function  # pyright: ignore[reportAttributeAccessIssue]
    return like


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
    # Its import hook writes `@jaxtyping.jaxtyped(typechecker=...)` above everything.
    jaxtyping.jaxtyped = lambda **_: checked
    install_import_hook("ondes", "annotations.checked")
    sys.meta_path.insert(0, OrdinaryCaches())
