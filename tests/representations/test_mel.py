from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.representations.mel import (
    MEL,
    MelSpec,
    hz_to_mel,
    mel_filters,
    mel_inverse,
    mel_to_hz,
    to_log_mel,
    to_magnitudes,
)

GOLDEN = Path(__file__).parent.parent / "golden" / "mel.npz"
"""Made by librosa 0.11: tests/golden/make_mel.py."""


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def test_log_mels_are_those_of_librosa(golden: dict[str, torch.Tensor]) -> None:
    made = to_log_mel(golden["samples"].double() / 32768)
    theirs = golden["log_mel"].double()
    assert made.shape == theirs.shape
    # The 1e-9 under our root lifts bands near the floor; everything else is the same.
    assert torch.allclose(made, theirs, atol=2e-4)
    audible = theirs > math.log(1e-2)
    assert audible.sum() > 1000
    assert (made - theirs)[audible].abs().max() < 2e-5


def test_filters_are_those_of_librosa(golden: dict[str, torch.Tensor]) -> None:
    assert (mel_filters() - golden["filters"]).abs().max() < 1e-6


def test_silence_is_the_floor() -> None:
    # A bin of exact silence counts as the root of 1e-9, which no filter lifts to the floor.
    assert torch.equal(to_log_mel(torch.zeros(4096)), torch.full((128, 8), MEL.floor).log())


@pytest.mark.parametrize("frame", [0, 3, 7])
def test_a_click_at_the_centre_of_a_frame_is_loudest_there(frame: int) -> None:
    samples = torch.zeros(8 * MEL.hop_samples)
    samples[frame * MEL.hop_samples + MEL.hop_samples // 2] = 1
    energy = to_magnitudes(samples).square().sum(0)
    assert int(energy.argmax()) == frame
    assert torch.allclose(energy[max(0, frame - 1)], energy[frame + 1]) if 0 < frame < 7 else True


def test_a_sine_of_a_bin_has_its_windowed_magnitude() -> None:
    time_s = torch.arange(16 * MEL.hop_samples) / MEL.sample_rate_hz
    hz = 100 * MEL.sample_rate_hz / MEL.fft_size
    middle = to_magnitudes(0.5 * torch.sin(2 * math.pi * hz * time_s))[:, 4:12]
    # Amplitude times half the sum of the Hann window, and half of that in the bins beside.
    assert torch.allclose(middle[100], torch.tensor(0.5 * MEL.fft_size / 4), rtol=1e-3)
    assert torch.allclose(middle[99], middle[100] / 2, rtol=1e-3)


def test_batches_and_a_rest_of_a_hop_change_nothing() -> None:
    samples = torch.randn(2, 3, 4 * 512 + 100, generator=torch.Generator().manual_seed(0))
    together = to_log_mel(samples)
    assert together.shape == (2, 3, 128, 4)
    assert torch.allclose(together[1, 2], to_log_mel(samples[1, 2, : 4 * 512]), atol=1e-5)


def test_audio_shorter_than_the_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="768 samples are too few"):
        to_log_mel(torch.zeros(768))


def test_the_gradient_at_silence_is_finite() -> None:
    samples = torch.zeros(2048, requires_grad=True)
    to_magnitudes(samples).sum().backward()
    assert samples.grad is not None
    assert bool(samples.grad.isfinite().all())


def test_mels_and_hertz_are_inverse() -> None:
    hz = torch.linspace(0, 22_050, 1001, dtype=torch.float64)
    assert torch.allclose(mel_to_hz(hz_to_mel(hz)), hz, atol=1e-8)
    # Anchors of Slaney's scale.
    assert torch.allclose(hz_to_mel(torch.tensor([1000.0, 6400.0])), torch.tensor([15.0, 42.0]))


@pytest.mark.parametrize("spec", [MEL, MelSpec(22_050, 1024, 256, 40)])
def test_the_inverse_of_a_flat_spectrum_is_flat(spec: MelSpec) -> None:
    flat = torch.ones(spec.fft_size // 2 + 1)
    assert torch.allclose(mel_inverse(spec) @ (mel_filters(spec) @ flat), flat, atol=1e-5)
    assert float(mel_inverse(spec).min()) >= 0
