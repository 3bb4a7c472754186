"""`--config FILE.yaml`: a file whose keys stand for the flags of a command; flags that are typed win over it.

Every value is taken as the word that it is in the file, and becomes what the same word would on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondes.errors import UserError, nearest

if TYPE_CHECKING:
    import yaml

FLAG = "--config"
NOTHING = ("", "~", "null")
"""Values that leave a flag out."""


def take_options(ctx: Any, path: Path | None) -> Path | None:
    """Make a file's values the defaults of the command that is about to be read; called for `--config`.

    Args:
        ctx: Of the command, a `typer.Context`, which is no class of what typer passes.
        path: The file; None where none is given.

    Raises:
        UserError: If the file cannot be read, or has a key or value that the command has no flag for.
    """
    if path is not None and not ctx.resilient_parsing:
        ctx.default_map = _defaults(path, _by_key(ctx.command.params))
    return path


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        FLAG,
        metavar="FILE.yaml",
        help="A YAML file whose keys stand for these options (and the files to read); options typed here win.",
        show_default=False,
        is_eager=True,
        callback=take_options,
    ),
]


def words_of(path: Path) -> dict[str, list[str]]:
    """The words that a file has for every key, one or more, where the keys are not those of a command.

    Raises:
        UserError: If the file cannot be read, or a key stands there twice or holds further keys.
    """
    found: dict[str, list[str]] = {}
    for key_node, value_node in _pairs(path):
        key = str(key_node.value)
        if key in found:
            raise UserError(f"{path}, line {_line(key_node)}: {key!r} stands here a second time; keep one")
        words = _value(path, key, value_node, several=True)
        if words is not None and words != [""]:
            found[key] = list(words)
    return found


def _by_key(parameters: list[Any]) -> dict[str, Any]:
    """The parameters of a command by how they may be written in a file: flags without dashes, names of arguments."""
    found = {}
    for parameter in parameters:
        if FLAG not in parameter.opts and "--help" not in parameter.opts:
            found.update({spelling.lstrip("-"): parameter for spelling in parameter.opts})
    return found


def _defaults(path: Path, allowed: dict[str, Any]) -> dict[str, Any]:
    """Values by the names that the command knows them by."""
    import yaml  # noqa: PLC0415

    defaults: dict[str, Any] = {}
    for key_node, value_node in _pairs(path):
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{path}, line {_line(key_node)}: a key is one word, as in 'seed: 3'")
        key = str(key_node.value)
        parameter = allowed.get(key.replace("_", "-"), allowed.get(key))
        if parameter is None:
            raise UserError(f"{path}, line {_line(key_node)}: unknown key {key!r}; {nearest(key, allowed)}")
        if parameter.name in defaults:
            raise UserError(f"{path}, line {_line(key_node)}: {key!r} stands here a second time; keep one")
        value = _value(path, key, value_node, several=_takes_several(parameter))
        if value is not None:
            defaults[parameter.name] = value
    return defaults


def _takes_several(parameter: Any) -> bool:
    """Whether a flag may be repeated, or an argument may be several words."""
    return bool(getattr(parameter, "multiple", False)) or parameter.nargs == -1


def _value(path: Path, key: str, node: yaml.Node, *, several: bool) -> str | list[str] | None:
    """A word, or several where they are allowed; None where there is none."""
    import yaml  # noqa: PLC0415

    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(part, yaml.ScalarNode) for part in parts):
        raise UserError(f"{path}, line {_line(node)}: {key!r} holds further keys; give it a plain value")
    words = [str(part.value) for part in parts]
    if isinstance(node, yaml.SequenceNode) and not several:
        raise UserError(f"{path}, line {_line(node)}: {key!r} is a list; give it one value")
    if not isinstance(node, yaml.SequenceNode) and words[0] in NOTHING:
        return None
    return words if several else words[0]


def _pairs(path: Path) -> list[tuple[yaml.Node, yaml.Node]]:
    """Keys and values of the file, as they are written."""
    import yaml  # noqa: PLC0415

    try:
        top = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give {FLAG} a YAML file") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "broken"
        raise UserError(f"{path}{where} is not YAML ({reason}); write one 'key: value' a line") from None
    if top is None:
        return []
    if not isinstance(top, yaml.MappingNode):
        raise UserError(f"{path} holds no keys; write one 'key: value' a line, as 'seed: 3'")
    return top.value


def _line(node: yaml.Node) -> int:
    """The line of the file on which something stands, from 1."""
    return node.start_mark.line + 1
