from __future__ import annotations

import numpy as np
import torch

from ondes.representations.mixtures import MEASURES, RANK_KINDS, to_mixture_facts


def facts_of_chord() -> tuple[torch.Tensor, torch.Tensor]:
    """A held bass, above it a third, then one note alone while the bass still sounds."""
    facts = to_mixture_facts(
        np.array([0.0, 0.0, 0.0, 1.5]),
        np.array([2.0, 1.0, 1.0, 0.5]),
        np.array([40, 64, 67, 65]),
        np.array([0, 64, 96, 80]),
        np.zeros(4),
        np.full(4, 4.0),
    )
    return facts.numbers[0], facts.ranks[0]


def test_places_in_the_chord_count_what_sounds_and_what_begins() -> None:
    _, ranks = facts_of_chord()
    # from the top, from the bottom, how many; from the top and how many of those that begin together
    assert ranks.tolist() == [[2, 0, 3, 2, 3], [1, 1, 3, 1, 3], [0, 2, 3, 0, 3], [0, 1, 2, 0, 1]]
    assert ranks.shape[1] == RANK_KINDS


def test_measures_are_phases_logarithms_loudness_and_the_beat() -> None:
    numbers, _ = facts_of_chord()
    assert numbers.shape[1] == MEASURES
    late = numbers[3]
    turns = 2 * np.pi * np.array([1.5, 0.75, 1.5 / 4])
    expected = [*np.sin(turns), *np.cos(turns), -1.0, np.log2(1.5), 2.0, 0.0, 0.0]
    assert torch.allclose(late, torch.tensor(expected, dtype=torch.float32), atol=1e-6)
    assert numbers[:, 9].tolist() == [0.0, -1.0, 1.0, 0.0]
    assert numbers[:, 10].tolist() == [1.0, 1.0, 1.0, 0.0]


def test_a_crowd_counts_as_fifteen() -> None:
    count = 40
    facts = to_mixture_facts(
        np.zeros(count),
        np.ones(count),
        np.arange(40, 80),
        np.zeros(count, np.int64),
        np.zeros(count),
        np.full(count, 4.0),
    )
    assert int(facts.ranks.max()) == 15
