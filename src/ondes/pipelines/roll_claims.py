"""Which part of Mixture2Music a note goes to, by what the rolls claim of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.representations.ensembles import PartSpec
from ondes.representations.mixture_rolls import RollNotes, RollPart

TIE = 1e-6
"""Weight of the sampler's own numbers where parts claim a note equally."""


def layer_of(part: PartSpec, layers: Sequence[RollPart]) -> int:
    """The layer that a part is, -1 for none."""
    return next(
        (
            index
            for index, layer in enumerate(layers)
            if part.instrument in layer.programs and layer.part_number in (None, part.part_number)
        ),
        -1,
    )


def chosen_parts(
    claims: Float64[np.ndarray, "notes parts"], allowed: Bool[np.ndarray, "notes parts"], cells: RollNotes
) -> tuple[Int64[np.ndarray, " notes"], Float64[np.ndarray, " notes"]]:
    """The part of each note and its share of the claims.

    Notes that no roll has (too low, too high, rare drums) go where the note nearest in time goes, the first of several,
    among those that may go to the same parts.
    """
    labels = claims.argmax(1)
    positive = np.where(allowed, np.clip(claims, 0, None), 0.0)
    best = np.take_along_axis(positive, labels[:, None], 1)[:, 0]
    total = positive.sum(1)
    even = 1.0 / allowed.sum(1)
    shares = np.where(total > TIE * 10, best / np.maximum(total, TIE), even)
    shares[allowed.sum(1) == 1] = 1.0
    seen = cells.row >= 0
    for note in np.flatnonzero(~seen).tolist():
        others = np.flatnonzero(seen & (allowed == allowed[note]).all(1))
        if len(others):
            far = np.abs(cells.first[others] - cells.first[note])
            labels[note] = labels[others[int(far.argmin())]]
    return labels, shares
