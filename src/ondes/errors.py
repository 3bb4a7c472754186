"""The one exception that is the user's business, and help with misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something a person typed, or a file they gave, cannot be used.

    The message is one line: what is wrong with the value, what is allowed, what to do. The command line prints it
    without a traceback and exits with status 2.
    """


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A hint that names the closest allowed word, and then all of them.

    Args:
        name: The word that was not understood.
        allowed: The words that would have been.

    Returns:
        "did you mean 'x'? Allowed: a, x, z", or only the list where nothing is close.
    """
    words = sorted(allowed)
    close = difflib.get_close_matches(name, words, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Allowed: {', '.join(words)}"
