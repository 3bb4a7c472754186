"""Diffusion that holds on to a classifier: labels are drawn from what both say, the classifier first of all.

A network that learned to go on from right labels goes on from wrong ones, too: alone it ends below a classifier that
never saw a label (docs/log.md). The product of both (Hinton 2002, products of experts) keeps what the classifier knows
and still lets notes see each other's labels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ondes.models.part_labeller import PartLabeller
from ondes.representations.mixtures import MixtureFacts, PartSet

LEAST_LOG = -1e9
"""Instead of minus infinity, which times no weight is no number."""


@dataclass(eq=False)
class Anchored:
    """A network and a classifier as one: log p = a log p(classifier) + (1 - a) log p(network), up to a constant.

    Attributes:
        network: Asked with the labels that are known by then.
        classifier: Asked once a window, without labels.
        temperatures: That divide the logits of both.
        least: a goes from 1, where all labels are hidden, to this, where none is.
    """

    network: PartLabeller
    classifier: PartLabeller
    temperatures: tuple[float, float]
    least: float
    _window: MixtureFacts | None = field(default=None, init=False)
    _first: Tensor | None = field(default=None, init=False)

    @property
    def device(self) -> torch.device:
        """Of both networks."""
        return self.network.device

    def __call__(self, facts: MixtureFacts, labels: Tensor, parts: PartSet) -> Tensor:
        """Logits as of a `PartLabeller`; all examples are the same window."""
        own, others = self.temperatures
        if self._first is None or self._window is not facts:
            one, cast = (type(many)(*(values[:1] for values in many)) for many in (facts, parts))
            none = torch.full_like(labels[:1], -1)
            self._first = _log(self.classifier(one, none, cast), others)
            self._window = facts
        share = self.least + (1 - self.least) * (labels < 0).double().mean(1)[:, None, None]
        return share * self._first + (1 - share) * _log(self.network(facts, labels, parts), own)


def _log(logits: Tensor, temperature: float) -> Tensor:
    return (logits.double() / temperature).log_softmax(-1).clamp(min=LEAST_LOG)
