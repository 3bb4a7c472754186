"""Cutting off padding, and what a decoder's cross-attention remembers of notes and context."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor

from ondes.models.spectrogram_layers import Memory, open_mask

Pairs = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of each layer."""


def trim(values: Tensor, mask: Bool[Tensor, "batch length"]) -> tuple[Tensor, Bool[Tensor, "batch kept"]]:
    """Values and mask cut after the last place that is valid in any example of the batch, one place at least.

    Args:
        values: Tokens (batch, length), frames or encodings (batch, length, channels).
        mask: Which are valid.
    """
    last = int(mask.any(0).nonzero().amax()) if bool(mask.any()) else 0
    return values[:, : last + 1], mask[:, : last + 1]


def gather_valid(
    encodings: Float[Tensor, "batch keys width"], mask: Bool[Tensor, "batch keys"]
) -> tuple[Float[Tensor, "hearers kept width"], Bool[Tensor, "hearers kept"], Tensor]:
    """The valid encodings moved to the front, as many as the example with most has, without examples that have none.

    Cross-attention does not mind: it knows no order.

    Returns:
        Encodings, which of them are valid, and the positions in the batch of the examples that are left.
    """
    counts = mask.sum(1)
    hearers = counts.nonzero().flatten()
    kept = int(counts.max())
    order = mask.int().argsort(stable=True, dim=1, descending=True)[hearers, :kept]
    return encodings[hearers[:, None], order], mask[hearers[:, None], order], hearers


def remember(
    pairs: Callable[[Tensor], Pairs],
    encodings: Float[Tensor, "batch keys width"],
    mask: Bool[Tensor, "batch keys"],
    *,
    exact: bool,
) -> Memory:
    """The memory of a batch.

    Args:
        pairs: Makes keys and values of encodings.
        encodings: Of notes, then of context if there is any, side by side along the keys.
        mask: Which are valid. An example without any hears nothing.
        exact: Whether to drop what the mask leaves out, so that it costs nothing from here on. An accelerator has to
            be waited for, and shapes depend on values: not for training.
    """
    if not exact:
        share = mask.any(1)[:, None, None].to(encodings)
        return Memory(pairs(encodings), open_mask(mask, exact=False), None, len(mask), share)
    valid, valid_mask, hearers = gather_valid(encodings, mask)
    opened = open_mask(valid_mask, exact=True)
    return Memory(pairs(valid), opened, None if len(hearers) == len(mask) else hearers, len(mask))
