"""The product of a network and a classifier: its two ends, and what is between."""

from __future__ import annotations

import torch
from separation_scores import mixture, score_of, separator

from ondes.pipelines.separation_anchor import Anchored
from ondes.pipelines.separation_parts import Labels
from ondes.pipelines.separation_windows import part_set, window_facts
from ondes.representations.ensembles import parse_ensemble
from ondes.representations.note_sequence import to_note_sequence


def test_the_classifier_comes_first_and_gives_way_as_labels_are_known() -> None:
    score = score_of(mixture([(240 * step, 240, 50 + step, 60) for step in range(8)]))
    sequence = to_note_sequence(score)
    network, classifier = separator(0).network, separator(3).network
    parts = part_set(Labels.of(parse_ensemble("string quartet")), network.device)
    facts = window_facts(sequence, (0, 8), network.device)
    hidden = torch.full((1, 8), -1)
    both = Anchored(network, classifier, (2.0, 0.5), least=0.25)

    def told(model: torch.nn.Module, labels: torch.Tensor, temperature: float) -> torch.Tensor:
        return (model(facts, labels, parts).double() / temperature).log_softmax(-1)

    with torch.no_grad():
        first = told(classifier, hidden, 0.5)
        assert torch.allclose(both(facts, hidden, parts), first)
        for known in (2, 4, 8):
            labels = hidden.clone()
            labels[:, :known] = 1
            share = 0.25 + 0.75 * (1 - known / 8)
            wanted = share * first + (1 - share) * told(network, labels, 2.0)
            assert torch.allclose(both(facts, labels, parts), wanted)
