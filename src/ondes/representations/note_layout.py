"""The order of notes where some are to be filled in: in every bar the known ones, then the hidden ones.

So notes can be added to a bar before anybody knows where in it they will be, and training sees what infilling sees.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from ondes.representations.note_tokens import BAR, SIZES, Tokens


def inpainting_order(
    bar: Int64[np.ndarray, " notes"], hidden: Bool[np.ndarray, " notes"]
) -> Int64[np.ndarray, " notes"]:
    """Indices that put the hidden notes of each bar behind its known ones; otherwise the order stays.

    Args:
        bar: Of each note.
        hidden: Which notes are to be filled in.
    """
    return np.lexsort((hidden, bar))


def relaid(tokens: Tokens, bar: Int64[np.ndarray, " notes"], order: Int64[np.ndarray, " notes"]) -> Tokens:
    """Tokens in another order, their bars counted anew from note to note.

    Args:
        tokens: One row a note.
        bar: Of each note, from the first bar of the window; bars must ascend in the new order.
        order: Indices of the notes.
    """
    moved = tokens[order]
    moved[:, BAR] = np.clip(np.diff(bar[order], prepend=0), 0, SIZES[BAR] - 1)
    return moved
