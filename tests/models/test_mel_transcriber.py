"""The transcriber can be differentiated and hears its noise level."""

from __future__ import annotations

import math

import torch

from ondes.models.mel_transcriber import MelTranscriber, roll_log_likelihood
from ondes.representations.piano_rolls import to_rolls
from plain_notes import plain_notes


def tiny() -> MelTranscriber:
    torch.manual_seed(0)
    return MelTranscriber(maps=1, width=8)


def test_rolls_hold_onsets_and_every_frame_a_note_reaches_into() -> None:
    notes = plain_notes([(0.01, 0.05, 60, 80, 0), (0.10, 0.12, 21, 80, 0), (0.0, 1.0, 20, 80, 0)])
    onsets, sounding = to_rolls(notes, start_frame=0, frames=6, frames_per_second=50)
    assert onsets.nonzero().tolist() == [[0, 39], [5, 0]]
    assert sounding.nonzero().tolist() == [[0, 39], [1, 39], [2, 39], [5, 0]]


def test_a_window_of_a_roll_is_a_part_of_the_whole() -> None:
    notes = plain_notes([(0.1 * k, 0.1 * k + 0.25, 40 + 3 * k, 80, 0) for k in range(12)])
    whole = to_rolls(notes, start_frame=0, frames=80, frames_per_second=50)
    part = to_rolls(notes, start_frame=13, frames=30, frames_per_second=50)
    for all_frames, some in zip(whole, part, strict=True):
        assert torch.equal(all_frames[13:43], some)
    late = to_rolls(notes, start_frame=-5, frames=20, frames_per_second=50)
    assert torch.equal(late[1][5:], whole[1][:15])
    assert not late[1][:5].any()


def test_the_likelihood_is_that_of_independent_coins() -> None:
    logits = torch.tensor([[[0.0, 2.0]]]).expand(1, 3, 2)
    rolls = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    up, down = math.log(1 / (1 + math.exp(-2))), math.log(1 / (1 + math.exp(2)))
    expected = 3 * math.log(0.5) + 2 * down + up
    found = roll_log_likelihood((logits, logits), (rolls, rolls), onset_weight=2.0)
    torch.testing.assert_close(found, torch.tensor([3 * expected]))


def test_examples_of_a_batch_are_judged_alone_and_by_their_own_level() -> None:
    network = tiny().eval()
    mels, levels = torch.randn(3, 10, 128), torch.tensor([20.0, 0.0, -5.0])
    together = network(mels, levels)
    for index in range(3):
        alone = network(mels[index : index + 1], levels[index : index + 1])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[index : index + 1], part)
    other = network(mels, levels.flip(0))[0]
    assert (other[0] - together[0][0]).abs().max() > 1e-3
    torch.testing.assert_close(other[1], together[0][1])


def test_the_gradient_reaches_every_frame_and_band() -> None:
    mel = torch.randn(1, 12, 128, requires_grad=True)
    logits = tiny()(mel, torch.zeros(1))
    roll_log_likelihood(logits, (torch.ones(12, 88), torch.zeros(12, 88))).sum().backward()
    assert mel.grad is not None
    assert (mel.grad != 0).all()


def test_the_gradient_is_the_slope_of_the_likelihood() -> None:
    network = tiny().double()
    rolls = (torch.ones(4, 88, dtype=torch.float64), torch.zeros(4, 88, dtype=torch.float64))
    mel = torch.randn(1, 4, 128, dtype=torch.float64, requires_grad=True)
    way = torch.randn(1, 4, 128, dtype=torch.float64)

    def likelihood(step: float) -> torch.Tensor:
        return roll_log_likelihood(network(mel + step * way, torch.zeros(1)), rolls).sum()

    (gradient,) = torch.autograd.grad(likelihood(0.0), mel)
    with torch.no_grad():
        slope = (likelihood(1e-5) - likelihood(-1e-5)) / 2e-5
    torch.testing.assert_close((gradient * way).sum(), slope, rtol=1e-6, atol=1e-8)
