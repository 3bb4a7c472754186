"""Sorting of whole numbers by their places, and finding and numbering those that occur, all fast."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

MOST_CODES = 2**22
"""Largest number that gets a place in a table of those that occur."""


MOST_SORTED = 2**22
"""Length of the longest array that is sorted together with places."""


def stable_order(keys: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The order that `np.argsort(keys, kind="stable")` gives, several times faster where keys are not too large.

    Args:
        keys: Numbers from -2**40 on.
    """
    return sorted_with_places(keys)[1]


def sorted_with_places(
    keys: Int64[np.ndarray, " n"],
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """The keys in rising order, and where each of them was; equal ones stay in their order.

    Each key is sorted with its place behind it, which numpy does with vector instructions.

    Args:
        keys: Numbers from -2**40 on.
    """
    bits = max(1, len(keys) - 1).bit_length()
    if len(keys) > MOST_SORTED or int(keys.max(initial=0)) >> (62 - bits):
        order = np.argsort(keys, kind="stable")
        return keys[order], order
    packed = keys << bits | np.arange(len(keys))
    packed.sort()
    return packed >> bits, packed & (1 << bits) - 1


def numbered(codes: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " known"], Int64[np.ndarray, " n"]]:
    """The codes that occur, rising, and the number of each among them: `np.unique(codes, return_inverse=True)`.

    Args:
        codes: Numbers from 0 on.
    """
    if int(codes.max(initial=0)) > MOST_CODES:
        return np.unique(codes, return_inverse=True)
    used = np.zeros(int(codes.max(initial=-1)) + 1, bool)
    used[codes] = True
    return np.flatnonzero(used), (np.cumsum(used) - 1)[codes]


def among(codes: Int64[np.ndarray, " n"], chosen: Int64[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
    """Which of the codes are among the chosen ones: `np.isin(codes, chosen)` by a table.

    Args:
        codes: Numbers from 0 on.
        chosen: The same, none of them so great that a table of all below it would be a burden.
    """
    table = np.zeros(int(max(codes.max(initial=0), chosen.max(initial=0))) + 1, bool)
    table[chosen] = True
    return table[codes]
