from __future__ import annotations

import torch

from ondes.models.discriminator import Discriminator


def test_every_critic_judges_and_learns() -> None:
    torch.manual_seed(0)
    critics = Discriminator((128, 256), width=4)
    noise = torch.randn(2, 2048)
    seen = critics(noise)
    assert [len(critic) for critic in seen] == [5, 5]
    # A quarter of the size is the hop; three layers halve the frequencies.
    assert [tuple(critic[-1].shape) for critic in seen] == [(2, 1, 9, 65), (2, 1, 17, 33)]
    torch.stack([critic[-1].mean() for critic in seen]).sum().backward()
    for name, weight in critics.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name


def test_silence_has_a_finite_gradient() -> None:
    samples = torch.zeros(1, 1024, requires_grad=True)
    Discriminator((128,), width=4)(samples)[0][-1].sum().backward()
    assert samples.grad is not None
    assert bool(samples.grad.isfinite().all())


def test_a_batch_is_judged_one_by_one() -> None:
    torch.manual_seed(0)
    critics = Discriminator((128,), width=4)
    pair = torch.randn(2, 1024)
    assert torch.allclose(critics(pair)[0][-1][1:], critics(pair[1:])[0][-1], atol=1e-5)
