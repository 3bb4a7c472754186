from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ondes.representations.mixtures import collate_parts
from ondes.representations.note_sequence import BarTable, NoteSequence
from ondes.training.mixture_windows import MixtureWindows, labels_of, part_names, random_labels
from ondes.training.separator import label_loss, proposal_loss


def song(seed: int, notes: int = 60) -> NoteSequence:
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 4, notes)
    zeros = np.zeros(notes, np.int64)
    return NoteSequence(
        bar=np.sort(rng.integers(0, 8, notes)),
        position=rng.integers(0, 96, notes),
        offset=zeros,
        pitch=rng.integers(40, 80, notes),
        duration_steps=rng.integers(1, 48, notes),
        velocity=zeros,
        instrument=np.array([40, 40, 41, 42])[part],
        part_number=np.array([0, 1, 0, 0])[part],
        track=part,
        index=np.arange(notes),
        bars=BarTable.constant(8),
    ).sorted()


def test_batches_are_functions_of_their_number() -> None:
    songs = [song(seed) for seed in range(3)]
    unbroken, resumed = (MixtureWindows(songs, batch=3, notes=16, seed=5, first=first) for first in (0, 2))
    batches = iter(unbroken)
    third = [next(batches) for _ in range(3)][2]
    again = next(iter(resumed))
    assert torch.equal(third.labels, again.labels)
    assert torch.equal(third.facts.onset, again.facts.onset)


def test_labels_point_at_the_part_that_plays_the_note() -> None:
    piece = song(1)
    parts = part_names(piece)
    assert parts == [(40, 0), (40, 1), (41, 0), (42, 0)]
    labels = labels_of(piece, parts[1:])
    for note, label in enumerate(labels):
        own = (int(piece.instrument[note]), int(piece.part_number[note]))
        assert (parts[1:][label] == own) if label >= 0 else own == parts[0]


def test_windows_hold_only_notes_of_parts_asked_for() -> None:
    batch = MixtureWindows([song(2)], batch=16, notes=24, seed=0).at(0)
    assert ((batch.labels >= 0) == batch.facts.valid).all()
    count = batch.parts.valid.sum(1)
    assert (batch.labels.amax(1) < count).all()
    assert int(count.min()) >= 1
    assert len(set(count.tolist())) > 1  # some parts are left out, or silent ones asked for


def test_labels_are_taken_away_in_every_manner_and_never_invented() -> None:
    labels = torch.randint(0, 4, (600, 20), generator=torch.Generator().manual_seed(0))
    labels[:, 15:] = -1
    known = random_labels(labels, torch.Generator().manual_seed(1))
    kept = known >= 0
    assert torch.equal(known[kept], labels[kept])
    assert ((labels >= 0) & ~kept).any(1).all()
    share = kept[:, :15].float().mean(1)
    assert 0.15 < float((share == 0).float().mean()) < 0.4  # all lost: a fifth, and some by chance
    assert float((share > 0.8).float().mean()) > 0.05


def test_the_loss_of_a_guess_is_the_logarithm_of_the_number_of_parts() -> None:
    labels = torch.tensor([[0, 1, 2, -1], [3, 3, -1, -1]])
    known = torch.tensor([[0, -1, -1, -1], [-1, -1, -1, -1]])
    loss, right = label_loss(torch.zeros(2, 4, 4), labels, known)
    assert float(loss) == pytest.approx(math.log(4))
    assert float(right) == 0.0
    logits = torch.zeros(2, 4, 4)
    logits[0, 1, 1] = logits[0, 2, 2] = logits[1, :, 3] = 50.0
    loss, right = label_loss(logits, labels, known)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
    assert float(right) == 1.0


def test_the_proposal_counts_parts_that_play() -> None:
    parts = collate_parts([[(40, 0), (40, 1), (41, 0)]])
    labels = torch.tensor([[0, 1, 0, -1]])  # the viola rests
    logits = torch.full((1, 129, 5), -30.0)
    logits[:, :, 0] = 30.0
    logits[0, 40] = torch.tensor([-30.0, -30.0, 30.0, -30.0, -30.0])
    assert float(proposal_loss(logits, parts, labels)) == pytest.approx(0.0, abs=1e-4)
    logits[0, 41] = torch.tensor([-30.0, 30.0, -30.0, -30.0, -30.0])
    assert float(proposal_loss(logits, parts, labels)) == pytest.approx(60.0, rel=1e-3)
