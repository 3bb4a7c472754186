from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ondes.models.griffin_lim import GriffinLim
from ondes.models.vocoder import Vocoder
from ondes.models.vocoder_joins import (
    STEER_FRAMES,
    Surroundings,
    _difference,
    _turned,
    surroundings,
    voiced_between,
)
from ondes.pipelines.loading import load_vocoder
from ondes.representations.mel import MEL, to_log_mel


@pytest.fixture(scope="module")
def tiny() -> Vocoder:
    torch.manual_seed(0)
    vocoder = Vocoder(width=8, hidden=8, blocks=1).eval()
    torch.nn.init.normal_(vocoder.phasors.weight, std=0.1)
    return vocoder


def chord(frames: int) -> torch.Tensor:
    """Stereo of three tones."""
    time = torch.arange(frames * MEL.hop_samples) / MEL.sample_rate_hz
    tones = [torch.sin(2 * math.pi * hz * time + hz) for hz in (220.0, 331.0, 1237.0)]
    return 0.2 * torch.stack([sum(tones[:2], tones[2]), sum(tones[1:], tones[0] / 2)])


def between(vocoder: object, sound: torch.Tensor, first: int, stop: int, sizes: list[int]) -> torch.Tensor:
    """The frames of a sound made from its own log-mel, in pieces, between what is around them."""
    pieces = to_log_mel(sound)[..., first:stop].split(sizes, -1)
    blocks = voiced_between(
        vocoder,
        pieces,
        stop - first,
        before=surroundings(sound, 0, first, spec=MEL) if first else None,
        after=surroundings(sound, stop, sound.shape[-1] // 512 - 2, spec=MEL),
    )
    return torch.cat(list(blocks), -1)


def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one * other).sum() / (one.square().sum() * other.square().sum()).sqrt())


def test_frames_of_surroundings_are_those_of_the_whole() -> None:
    sound = chord(40)
    around = surroundings(sound, 10, 25, spec=MEL)
    assert torch.allclose(around.log_mel, to_log_mel(sound)[..., 10:25], atol=1e-5)
    assert around.spectrum.shape == (2, 1025, 15)
    assert surroundings(sound, 0, 3, spec=MEL).log_mel.shape == (2, 128, 3)


def test_without_surroundings_it_is_the_vocoder_bit_for_bit(tiny: Vocoder) -> None:
    log_mel = to_log_mel(chord(150))
    made = torch.cat(list(voiced_between(tiny, log_mel.split(37, -1), 150, before=None, after=None)), -1)
    with torch.no_grad():
        assert torch.equal(made, tiny(log_mel[None])[0])


def test_pieces_change_nothing(tiny: Vocoder) -> None:
    sound = chord(240)
    whole = between(tiny, sound, 30, 200, [170])
    assert whole.shape == (2, 170 * 512)
    assert torch.equal(between(tiny, sound, 30, 200, [1, 100, 69]), whole)
    assert between(tiny, sound, 0, 7, [7]).shape == (2, 7 * 512)


def test_differences_are_whole_at_a_join_and_gone_after_half_a_second() -> None:
    wanted, made = torch.tensor([[1j, -2.0, 1e-9]]), torch.tensor([[1.0 + 0j, 2.0, 0.5]])
    turn = _difference(wanted, made)
    away = torch.tensor([0, 1, STEER_FRAMES + 1, 900])
    factors = _turned(turn, away, 1000)
    assert torch.allclose((made[..., None] * factors)[:, :2, 0], wanted[:, :2], atol=1e-4)
    assert torch.allclose((made[..., None] * factors)[:, :2, 1], wanted[:, :2], atol=1e-2)
    # No bin becomes softer by more than two nepers.
    assert torch.allclose(factors[0, 2, 0].abs(), torch.tensor(math.exp(-2.0)))
    assert torch.allclose(factors[..., 2:], torch.ones(1, 3, 2, dtype=torch.complex64), atol=1e-6)
    assert torch.allclose(_turned(turn, torch.tensor([4]), 3), torch.ones(1, 3, 1, dtype=torch.complex64))


def test_tones_go_on_in_step_at_both_joins() -> None:
    vocoder = load_vocoder("vocoder-small").eval()
    sound = chord(190)
    truth = sound[:, 64 * 512 : 128 * 512]
    made = between(vocoder, sound, 64, 128, [64])
    assert min(likeness(made[:, :1024], truth[:, :1024]), likeness(made[:, -1024:], truth[:, -1024:])) > 0.6
    alone = torch.cat(
        list(voiced_between(vocoder, [to_log_mel(sound)[..., 64:128]], 64, before=None, after=None)), -1
    )
    assert likeness(alone[:, -1024:], truth[:, -1024:]) < 0.7
    assert np.isfinite(made.numpy()).all()


def test_other_vocoders_hear_what_is_around() -> None:
    sound = chord(60)
    made = between(GriffinLim(iterations=1), sound, 16, 40, [10, 14])
    assert made.shape == (2, 24 * 512)
    changed = surroundings(0.1 * sound, 0, 16, spec=MEL)
    other = voiced_between(
        GriffinLim(iterations=1),
        [to_log_mel(sound)[..., 16:40]],
        24,
        before=Surroundings(changed.log_mel, changed.spectrum),
        after=surroundings(sound, 40, 58, spec=MEL),
    )
    assert not torch.allclose(torch.cat(list(other), -1), made)
