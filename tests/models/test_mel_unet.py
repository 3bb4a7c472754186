"""Tests of the audio model's network."""

from __future__ import annotations

import math

import pytest
import torch

from ondes.errors import UserError
from ondes.models.mel_unet import AudioConditions, MelUNet, edge_features


def small(**settings: object) -> MelUNet:
    """A few thousand weights, none of them zero."""
    torch.manual_seed(0)
    network = MelUNet(
        **{
            "styles": ("piano", "strings"),
            "widths": (16, 16, 24),
            "hidden": (16, 16, 24),
            "blocks": (1, 1, 2),
            "heads": 2,
            "kernel": 3,
            "bands": 8,
            **settings,
        }
    ).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    return network


def test_the_velocity_leads_to_what_the_network_takes_for_the_data() -> None:
    network = small()
    noisy = torch.randn(3, 2, 8, 32)
    conditions = network.conditions(3)
    for value in (1.0, 0.3, 0.05):
        level = torch.full((3,), value)
        reached = noisy - value * network(noisy, level, conditions)
        scale = ((1 - level).square() + level.square()).rsqrt()[:, None, None, None]
        told = network._network(noisy * scale, torch.zeros(3, 32), level, conditions)
        torch.testing.assert_close(reached, told, rtol=1e-4, atol=1e-4)


def test_an_untrained_network_expects_the_mean_of_the_data() -> None:
    network = MelUNet(widths=(16, 16), hidden=(16, 16), blocks=(1, 1), strides=(2,), heads=2, bands=4)
    noisy = torch.randn(1, 2, 4, 8)
    torch.testing.assert_close(network(noisy, torch.tensor([0.5]), network.conditions(1)), noisy / 0.5)
    velocity = network(noisy, torch.tensor([0.01]), network.conditions(1))
    torch.testing.assert_close(velocity, noisy / 0.05)


def test_known_frames_are_told_and_their_noise_level_is_not() -> None:
    network = small()
    noisy = torch.randn(1, 2, 8, 64)
    known = torch.arange(64)[None] < 16
    conditions = network.conditions(1)
    told = network(noisy, torch.tensor([0.7]), conditions, known)
    untold = network(noisy, torch.tensor([0.7]), conditions)
    assert not torch.allclose(told[..., 32:], untold[..., 32:], atol=1e-3)


def test_standardised_features_come_back() -> None:
    network = small()
    network.mean.normal_()
    network.deviation.uniform_(0.5, 2)
    log_mel = torch.rand(2, 8, 12) * 5 - 9
    torch.testing.assert_close(network.restore(network.standardise(log_mel)), log_mel)


def test_a_batch_equals_its_items() -> None:
    network = small()
    noisy, level = torch.randn(3, 2, 8, 32), torch.tensor([0.2, 0.5, 0.9])
    conditions = AudioConditions(
        torch.eye(3, 2), torch.tensor([0.0, 3.0, 100.0]), torch.tensor([5.0, math.inf, 0.2])
    )
    together = network(noisy, level, conditions)
    for item in range(3):
        one = slice(item, item + 1)
        alone = network(noisy[one], level[one], AudioConditions(*(part[one] for part in conditions)))
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-5)


def test_style_and_place_matter_and_far_places_are_alike() -> None:
    network = small()
    noisy, level = torch.randn(1, 2, 8, 32), torch.tensor([0.5])

    def made(**told: object) -> torch.Tensor:
        return network(noisy, level, network.conditions(1, **told))  # pyright: ignore[reportArgumentType]

    assert not torch.allclose(made(style=["piano"]), made())
    assert not torch.allclose(made(since_start_s=0.0), made(since_start_s=2.0))
    assert not torch.allclose(made(until_end_s=0.1), made())
    torch.testing.assert_close(made(since_start_s=300.0), made(since_start_s=900.0), atol=1e-5, rtol=0)


def test_edges_are_felt_as_exponentials() -> None:
    conditions = AudioConditions(torch.zeros(1, 1), torch.tensor([1.0]), torch.tensor([3.0]))
    first, second = edge_features(conditions, 2, 2.0)[0]
    near = [math.exp(-2 / time) for time in (0.25, 1, 4, 16)]
    assert first.tolist() == pytest.approx([*near, 0, *near, 0])
    far = [math.exp(-4 / time) for time in (0.25, 1, 4, 16)]
    assert second.tolist() == pytest.approx([*far, 0, *[math.exp(0)] * 4, 0])
    beyond = edge_features(conditions, 3, 2.0)[0, 2]
    assert beyond[-1] == 1


def test_unknown_styles_and_broken_tokens_are_refused() -> None:
    network = small()
    with pytest.raises(UserError, match=r"'pianoo'.*piano"):
        network.conditions(1, style=["pianoo"])
    with pytest.raises(ValueError, match="multiples of 16"):
        network(torch.zeros(1, 2, 8, 40), torch.ones(1), network.conditions(1))


def test_a_saved_network_is_the_same(tmp_path: object) -> None:
    network = small()
    network.save_pretrained(str(tmp_path))
    again = MelUNet.from_pretrained(str(tmp_path)).eval()
    noisy, level = torch.randn(1, 2, 8, 32), torch.tensor([0.5])
    conditions = network.conditions(1, style=["strings"])
    torch.testing.assert_close(again(noisy, level, conditions), network(noisy, level, conditions))
    assert again.styles == network.styles
