"""Sampling of masked diffusion over labels: each note of a set gets one of a few, step by step.

Austin et al. 2021 (D3PM, arXiv 2107.03006) with the absorbing state; the order is that of Chang et al. 2022 (MaskGIT,
arXiv 2202.04200). -1 stands for a label that is hidden. What may go together is for rules to say, which look at labels
one at a time, so that two labels revealed in the same step never break them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

LabelDenoiser = Callable[[Tensor], Tensor]
"""Maps labels (batch, notes), some -1, to logits (batch, notes, labels), minus infinity where there is no label."""

ORDERS = ("confidence", "random")
MOST_TURNS = 6
"""A note makes way for others so often; then it stays, whatever it breaks."""


@runtime_checkable
class LabelRules(Protocol):
    """What labels of one example may go together."""

    @property
    def allowed(self) -> Bool[np.ndarray, "notes labels"]:
        """Labels that a note may have whatever the others have."""
        ...

    def in_the_way(
        self, labels: Int64[np.ndarray, " notes"], note: int, label: int
    ) -> Int64[np.ndarray, " found"]:
        """The labelled notes that forbid this label of this note; -1 among them for something that cannot move."""
        ...


class LabelSample(NamedTuple):
    """Labels, and how sure the network was of them.

    Attributes:
        labels: None is -1 where there is a note (batch, notes).
        confidence: The probability of each when it was chosen, 1 for those that were known (batch, notes).
        probability: Of all labels then (batch, notes, labels).
        broken: Number of labels of each example that break its rules or are not allowed.
    """

    labels: Int64[Tensor, "batch notes"]
    confidence: Float[Tensor, "batch notes"]
    probability: Float[Tensor, "batch notes labels"]
    broken: list[int]


def sample_labels(
    denoiser: LabelDenoiser,
    labels: Int64[Tensor, "batch notes"],
    *,
    steps: int,
    temperatures: Sequence[float],
    generators: Sequence[torch.Generator],
    order: str = "confidence",
    calibration: float = 1.0,
    rules: Sequence[LabelRules] | None = None,
) -> LabelSample:
    """All labels that were hidden; those that were known stay.

    After step s of S the share cos(pi s / 2S) of them is still hidden.

    Args:
        denoiser: Is asked once a step.
        labels: -1 where hidden.
        steps: Not more are taken than there are hidden labels.
        temperatures: Of the draws of each example; 0 takes the likeliest label.
        generators: One an example, on the CPU: an example does not depend on its batch.
        order: "confidence": the surest first; "random": any.
        calibration: Divides the logits: above 1 the network is less sure of everything than it says.
        rules: Of each example. A label they forbid gives way to the next likely one, or pushes others away, which
            look for another; where nothing helps a rule is broken.

    Raises:
        ValueError: If there is no step, no such order, or not one generator and temperature an example.
        FloatingPointError: If the denoiser's answer is not a number.
    """
    _check(labels, steps, temperatures, generators, order)
    labels, known = labels.clone(), labels >= 0
    confidence = known.double()
    probability = torch.zeros(0)
    broken = [0] * len(labels)
    counts = (~known).sum(1)
    steps = max(1, min(steps, int(counts.max())))
    for step in range(1, steps + 1):
        if known.all():
            probability = torch.zeros(*labels.shape, 1, dtype=torch.float64)
        if not (labels < 0).any():
            break
        now = (denoiser(labels).cpu().double() / calibration).softmax(-1)
        if not torch.isfinite(now).all():
            raise FloatingPointError("the network's answer is not a number; its weights may be damaged")
        probability = now.clone() if step == 1 else torch.where((labels < 0)[..., None], now, probability)
        stay = (counts * math.cos(math.pi / 2 * step / steps)).long() if step < steps else counts * 0
        for row in range(len(labels)):
            example = _Example(now[row], known[row], None if rules is None else rules[row])
            want = int((labels[row] < 0).sum() - stay[row])
            drawn, scores = _drawn(now[row], example, temperatures[row], generators[row], order)
            broken[row] += example.reveal(labels[row], drawn, scores, want, last=step == steps)
    chosen = probability.gather(-1, labels.clamp(max=probability.shape[-1] - 1)[..., None])[..., 0]
    return LabelSample(labels, torch.where(known, confidence, chosen), probability, broken)


def _check(
    labels: Tensor,
    steps: int,
    temperatures: Sequence[float],
    generators: Sequence[torch.Generator],
    order: str,
) -> None:
    if steps < 1:
        raise ValueError(f"{steps} steps: at least 1 is needed")
    if order not in ORDERS:
        raise ValueError(f"order {order!r}: {' and '.join(map(repr, ORDERS))} are allowed")
    if not len(labels) == len(temperatures) == len(generators):
        raise ValueError(
            f"{len(labels)} examples, {len(temperatures)} temperatures, {len(generators)} generators"
        )


class _Example:
    """One example within a step."""

    def __init__(self, probability: Tensor, known: Tensor, rules: LabelRules | None) -> None:
        self.rules = rules
        self.known: np.ndarray = known.numpy()
        table = probability.numpy()
        if rules is not None:
            fits = rules.allowed & (table > 0)
            # Where nothing is allowed everything is, and counts as broken.
            self.nowhere: np.ndarray = np.logical_not(np.any(fits, axis=1))
            table = np.where(fits | np.expand_dims(self.nowhere, 1), table, 0.0)
        self.table = table

    def reveal(
        self, labels: Int[Tensor, " notes"], drawn: np.ndarray, scores: np.ndarray, want: int, *, last: bool
    ) -> int:
        """Write the labels of so many notes, the highest scores first; gives how many break a rule."""
        own = labels.numpy()
        hidden = np.flatnonzero(own < 0)
        queue = hidden[np.argsort(-scores[hidden], kind="stable")]
        if self.rules is None:
            own[queue[:want]] = drawn[queue[:want]]
            return 0
        for note in queue.tolist():
            if want <= 0:
                break
            if not len(self.rules.in_the_way(own, note, int(drawn[note]))):
                own[note] = drawn[note]
                want -= 1
        if not last:
            return 0
        misplaced = int((self.nowhere & ~self.known).sum())
        return self._settle(own, [note for note in queue.tolist() if own[note] < 0]) + misplaced

    def _settle(self, own: np.ndarray, waiting: list[int]) -> int:
        """Label what is left: the likeliest label that is free, or one whose notes can make way."""
        assert self.rules is not None
        queue, turns, broken = deque(waiting), np.zeros(len(own), np.int64), 0
        while queue:
            note = queue.popleft()
            ways = [
                (label, self.rules.in_the_way(own, note, label))
                for label in np.argsort(-self.table[note], kind="stable").tolist()
                if self.table[note, label] > 0
            ]
            free = next((label for label, found in ways if not len(found)), None)
            if free is not None:
                own[note] = free
                continue
            turns[note] += 1
            movable = [
                (label, found)
                for label, found in ways
                if not (found < 0).any() and not self.known[found].any()
            ]
            if turns[note] > MOST_TURNS or not movable:
                own[note] = ways[0][0]
                broken += 1
                continue
            # Fewest and least moved make way; the likelier label where that is the same.
            label, found = min(movable, key=lambda way: len(way[1]) + int(turns[way[1]].sum()))
            own[found] = -1
            own[note] = label
            queue.extend(found.tolist())
        return broken


def _drawn(
    probability: Tensor, example: _Example, temperature: float, generator: torch.Generator, order: str
) -> tuple[np.ndarray, np.ndarray]:
    """A label for each note, and the order in which notes would be revealed, highest first."""
    chances = torch.rand(2, len(probability), generator=generator, dtype=torch.float64).numpy()
    table = example.table
    if temperature > 0:
        logs = np.log(np.maximum(table, 1e-300)) / temperature
        weights = np.where(table > 0, np.exp(logs - logs.max(1, keepdims=True)), 0.0)
        total = weights.cumsum(1)
        drawn = (total <= chances[0][:, None] * total[:, -1:]).sum(1).clip(max=table.shape[1] - 1)
    else:
        drawn = table.argmax(1)
    scores = np.take_along_axis(table, drawn[:, None], 1)[:, 0]
    return drawn, chances[1] if order == "random" else scores
