"""Labels by masked diffusion: exact likelihoods, what is known, rules, seeds and refusals."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from ondes.diffusion.label_sampling import sample_labels

CHAIN = torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64)
"""Of two notes: the joint probability is half of each row."""


def chain(labels):
    """The exact conditionals of a joint distribution of two labels."""
    logits = torch.zeros(*labels.shape, 2, dtype=torch.float64)
    for row, (first, second) in enumerate(labels.tolist()):
        joint = CHAIN / 2
        logits[row, 0] = (joint.sum(1) if second < 0 else joint[:, second]).log()
        logits[row, 1] = (joint.sum(0) if first < 0 else joint[first]).log()
    return logits


def generators(count, seed=0):
    return [torch.Generator().manual_seed(1000 * seed + row) for row in range(count)]


def draw(denoiser, labels, *, steps=2, temperature=1.0, **settings):
    return sample_labels(
        denoiser,
        labels,
        steps=steps,
        temperatures=[temperature] * len(labels),
        generators=generators(len(labels)),
        **settings,
    )


def test_one_label_a_step_in_any_order_draws_the_joint_distribution():
    count = 500
    sample = draw(chain, torch.full((count, 2), -1), order="random")
    found = Counter(map(tuple, sample.labels.tolist()))
    for pair, probability in (((0, 0), 0.4), ((0, 1), 0.1), ((1, 0), 0.15), ((1, 1), 0.35)):
        # Four standard deviations.
        assert abs(found[pair] / count - probability) < 4 * (probability * (1 - probability) / count) ** 0.5


def test_the_likeliest_labels_come_surest_first():
    sample = draw(chain, torch.full((1, 2), -1), temperature=0.0)
    # The second label, 0 with probability 0.55, is surer than the first, at a half; then 0.4 / 0.55.
    assert sample.labels.tolist() == [[0, 0]]
    np.testing.assert_allclose(sample.confidence.numpy(), [[0.4 / 0.55, 0.55]])


def test_known_labels_stay_and_are_sure():
    sample = draw(chain, torch.tensor([[1, -1], [-1, 0], [1, 0]]), temperature=0.0)
    assert sample.labels.tolist() == [[1, 1], [0, 0], [1, 0]]
    np.testing.assert_allclose(sample.confidence.numpy(), [[1, 0.7], [0.4 / 0.55, 1], [1, 1]])


def test_calibration_is_the_temperature_of_what_is_stated():
    logits = torch.tensor([[[2.0, 0.0]]])
    sample = draw(lambda _: logits, torch.tensor([[-1]]), temperature=0.0, calibration=2.0)
    assert sample.confidence.item() == pytest.approx(1 / (1 + np.exp(-1)))


def test_an_example_does_not_depend_on_its_batch():
    def some(labels):
        return torch.sin(torch.arange(12.0)[None, :, None] * torch.arange(3.0) + labels[..., None])

    many = sample_labels(
        some, torch.full((3, 12), -1), steps=4, temperatures=[0.0, 1.0, 1.0], generators=generators(3)
    )
    alone = sample_labels(
        some, torch.full((1, 12), -1), steps=4, temperatures=[1.0], generators=generators(3)[2:]
    )
    assert many.labels[2].tolist() == alone.labels[0].tolist()
    assert many.labels[1].tolist() != many.labels[2].tolist()


class Different:
    """Notes of one group have different labels."""

    def __init__(self, groups, labels, allowed=None):
        self.groups = np.array(groups)
        self.allowed = np.ones((len(groups), labels), np.bool_) if allowed is None else allowed

    def in_the_way(self, labels, note, label):
        same = (self.groups == self.groups[note]) & (labels == label)
        same[note] = False
        return np.flatnonzero(same)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_rules_hold_within_a_step_and_between_steps(steps, seed):
    logits = 3 * torch.randn(1, 12, 4, generator=torch.Generator().manual_seed(seed))
    groups = [index // 4 for index in range(12)]
    sample = draw(lambda _: logits, torch.full((1, 12), -1), steps=steps, rules=[Different(groups, 4)])
    assert sample.broken == [0]
    for group in sample.labels.reshape(3, 4).tolist():
        assert sorted(group) == [0, 1, 2, 3]


def test_those_that_can_go_elsewhere_make_way():
    # The surest note sits where alone the second may be.
    allowed = np.array([[True, True], [True, False]])
    logits = torch.tensor([[[9.0, 0.0], [1.0, 0.0]]])
    sample = draw(lambda _: logits, torch.full((1, 2), -1), rules=[Different([0, 0], 2, allowed)])
    assert sample.labels.tolist() == [[1, 0]]
    assert sample.broken == [0]


def test_too_many_for_the_rules_get_labels_all_the_same_and_are_counted():
    sample = draw(lambda _: torch.zeros(1, 5, 3), torch.full((1, 5), -1), rules=[Different([0] * 5, 3)])
    assert (sample.labels >= 0).all()
    assert sample.broken == [2]


def test_what_is_allowed_nowhere_goes_where_it_is_likeliest_and_is_counted():
    rules = Different([0, 1], 2, np.array([[False, False], [True, True]]))
    sample = draw(
        lambda _: torch.tensor([[[0.0, 3.0], [1.0, 0.0]]]),
        torch.full((1, 2), -1),
        temperature=0.0,
        rules=[rules],
    )
    assert sample.labels.tolist() == [[1, 0]]
    assert sample.broken == [1]


def test_refusals():
    labels = torch.full((1, 2), -1)
    with pytest.raises(ValueError, match="0 steps"):
        draw(chain, labels, steps=0)
    with pytest.raises(ValueError, match="order 'any'"):
        draw(chain, labels, order="any")
    with pytest.raises(ValueError, match="1 examples, 1 temperatures, 2 generators"):
        sample_labels(chain, labels, steps=1, temperatures=[0.0], generators=generators(2))
    with pytest.raises(FloatingPointError, match="not a number"):
        draw(lambda found: torch.full((*found.shape, 2), torch.nan), labels)
