"""Optional packages of the evaluation, asked for by name."""

from __future__ import annotations

import importlib
from typing import Any

from ondes.errors import UserError


def require(module: str) -> Any:
    """The named module, or a refusal that says how to install it.

    Args:
        module: Dotted name, as in an import statement.

    Returns:
        The imported module.

    Raises:
        UserError: If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.split(".", maxsplit=1)[0]
        raise UserError(
            f"the package {package!r} is missing; evaluation needs it: pip install 'ondes[eval]'"
        ) from error
