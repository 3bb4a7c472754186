from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.models.part_labeller import PartLabeller, note_angles
from ondes.representations.mixtures import (
    MixtureFacts,
    PartSet,
    collate_facts,
    collate_parts,
    to_mixture_facts,
)

QUARTET = [(40, 0), (40, 1), (41, 0), (42, 0)]


def mixture(notes: int, seed: int) -> MixtureFacts:
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.integers(0, 4 * notes, notes)) / 8
    return to_mixture_facts(
        onset,
        rng.integers(1, 16, notes) / 8,
        rng.integers(30, 90, notes),
        rng.integers(1, 127, notes),
        np.floor(onset / 4) * 4,
        np.full(notes, 4.0),
    )


@pytest.fixture
def network() -> PartLabeller:
    torch.manual_seed(0)
    network = PartLabeller(width=16, hidden=16, blocks=2, heads=2)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)  # layers begin as nothing
    return network.eval()


def unknown(facts: MixtureFacts) -> torch.Tensor:
    return torch.full_like(facts.pitch, -1)


@torch.no_grad()
def test_padding_of_notes_and_parts_changes_nothing(network: PartLabeller) -> None:
    short, long = mixture(7, 1), mixture(12, 2)
    alone = network(short, unknown(short), collate_parts([QUARTET[:2]]))
    both = collate_facts([short, long])
    together = network(both, unknown(both), collate_parts([QUARTET[:2], QUARTET]))
    assert torch.allclose(together[:1, :7, :2], alone, atol=1e-5)
    assert together[0, :, 2:].eq(-torch.inf).all()
    assert torch.allclose(network.propose(both)[:1], network.propose(short), atol=1e-5)


@torch.no_grad()
def test_the_order_of_notes_and_of_parts_means_nothing(network: PartLabeller) -> None:
    facts = mixture(9, 3)
    labels = torch.tensor([[-1, 0, -1, 3, -1, -1, 1, -1, -1]])
    logits = network(facts, labels, collate_parts([QUARTET]))
    notes, parts = torch.randperm(9), torch.tensor([2, 0, 3, 1])
    moved = MixtureFacts(*(value[:, notes] for value in facts))
    relabelled = torch.where(labels < 0, -1, parts.argsort()[labels.clamp(min=0)])[:, notes]
    other = network(moved, relabelled, collate_parts([[QUARTET[index] for index in parts.tolist()]]))
    assert torch.allclose(other, logits[:, notes][:, :, parts], atol=1e-5)


@torch.no_grad()
def test_a_known_label_is_heard_by_the_other_notes(network: PartLabeller) -> None:
    facts, parts = mixture(9, 4), collate_parts([QUARTET])
    labels = unknown(facts)
    told = labels.clone()
    told[0, 4] = 2
    assert (network(facts, told, parts) - network(facts, labels, parts))[0, 0].abs().max() > 1e-4


@torch.no_grad()
def test_the_same_music_later_is_labelled_alike(network: PartLabeller) -> None:
    facts, parts = mixture(9, 5), collate_parts([QUARTET])
    later = facts._replace(onset=facts.onset + 64.0)
    assert torch.allclose(
        network(later, unknown(facts), parts), network(facts, unknown(facts), parts), atol=1e-4
    )


def test_half_the_angles_follow_time_and_half_pitch() -> None:
    onset, pitch = torch.tensor([[0.0, 1.0]]), torch.tensor([[60, 60]])
    turned = note_angles(onset, pitch, 16).diff(dim=1)[0, 0]
    assert (turned[:4] > 0).all()
    assert (turned[4:] == 0).all()
    turned = note_angles(torch.zeros(1, 2), torch.tensor([[60, 67]]), 16).diff(dim=1)[0, 0]
    assert (turned[:4] == 0).all()
    assert (turned[4:] > 0).all()


@torch.no_grad()
def test_a_saved_network_is_the_same_again(network: PartLabeller, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    facts, parts = mixture(9, 6), collate_parts([QUARTET])
    again = PartLabeller.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(again(facts, unknown(facts), parts), network(facts, unknown(facts), parts))


def test_no_part_is_nobody() -> None:
    none = collate_parts([[]])
    assert isinstance(none, PartSet)
    assert none.valid.shape == (1, 0)
