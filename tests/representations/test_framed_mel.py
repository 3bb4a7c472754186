from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.representations.framed_mel import (
    FEATURE_RANGE,
    OFFICIAL,
    PORT,
    FramedMelSpec,
    framed_mel_filters,
    framed_mel_inverse,
    from_scaled,
    htk_hz,
    htk_mel,
    to_framed_log_mel,
    to_port_log_mel,
    to_scaled,
)
from ondes.representations.mel import mel_filters, to_log_mel

GOLDEN = Path(__file__).parent.parent / "golden" / "framed_mel.npz"
"""Made by librosa 0.11 and a DFT in numpy: tests/golden/make_framed_mel.py."""


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def sine(hz: float) -> torch.Tensor:
    return torch.sin(2 * math.pi * hz * torch.arange(16_000, dtype=torch.float64) / 16_000)


def test_forward_frames_are_those_of_a_plain_dft(golden: dict[str, torch.Tensor]) -> None:
    made = to_framed_log_mel(golden["samples"].double() / 32768)
    assert made.shape == golden["forward"].shape == (24, 128)
    assert (made - golden["forward"]).abs().max() < 1e-5


def test_centred_frames_are_those_of_librosa(golden: dict[str, torch.Tensor]) -> None:
    made = to_port_log_mel(golden["samples"].double() / 32768)
    assert made.shape == golden["centred"].shape == (25, 128)
    assert (made - golden["centred"]).abs().max() < 1e-5
    assert (framed_mel_filters(PORT) - golden["filters"]).abs().max() < 1e-6


def test_single_precision_is_enough(golden: dict[str, torch.Tensor]) -> None:
    made = to_framed_log_mel(golden["samples"].float() / 32768)
    audible = golden["forward"] > math.log(1e-2)
    assert audible.sum() > 1000
    assert (made - golden["forward"])[audible].abs().max() < 1e-4


def test_a_full_scale_sine_of_1_khz_is_5_51_and_a_square_of_100_hz_is_5_25() -> None:
    for sound, peak in ((sine(1000), 5.51), (sine(100 + 1e-9).sign(), 5.25)):
        assert float(to_framed_log_mel(sound)[5:40].max()) == pytest.approx(peak, abs=0.01)
        assert peak > FEATURE_RANGE[1]


def test_a_frame_of_the_port_is_the_official_frame_before_it() -> None:
    samples = noise(20 * 320)
    ours, theirs = to_framed_log_mel(samples), to_port_log_mel(samples, OFFICIAL)
    assert torch.allclose(theirs[1:20], ours[:19], atol=1e-9)
    assert (theirs[0] - ours[0]).abs().max() > 0.1  # reflected edge
    assert (theirs[20] - ours[19]).abs().max() > 0.1  # reflected against zeros


def test_the_two_kinds_of_triangle_differ_as_little_as_published() -> None:
    difference = (framed_mel_filters(OFFICIAL) - framed_mel_filters(PORT)).abs().max()
    assert float(difference) == pytest.approx(0.0024, abs=1e-4)
    for spec in (OFFICIAL, PORT):
        assert framed_mel_filters(spec).sum(1).min() > 0  # no empty band


def test_a_frame_sees_its_own_640_samples_only() -> None:
    samples = noise(10 * 320)
    changed = samples.clone()
    changed[4 * 320] += 0.5  # the first sample of frame 4 has weight 0, frame 3 sees it at its middle
    moved = (to_framed_log_mel(changed) - to_framed_log_mel(samples)).abs().amax(1) > 1e-12
    assert torch.nonzero(moved)[:, 0].tolist() == [3]
    changed[4 * 320 + 1] += 0.5
    moved = (to_framed_log_mel(changed) - to_framed_log_mel(samples)).abs().amax(1) > 1e-12
    assert torch.nonzero(moved)[:, 0].tolist() == [3, 4]


def test_extra_samples_make_the_last_frames_true() -> None:
    song = noise(40 * 320)
    whole = to_framed_log_mel(song)
    cut, extended = to_framed_log_mel(song[: 20 * 320]), to_framed_log_mel(song[: 20 * 320 + 640])
    assert (cut - whole[:20])[-1].abs().max() > 0.1
    assert torch.allclose(extended[:20], whole[:20], atol=1e-12)


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (319, 0), (320, 1), (639, 1), (1000, 3)])
def test_whole_hops_are_counted(samples: int, frames: int) -> None:
    assert to_framed_log_mel(torch.zeros(2, samples)).shape == (2, frames, 128)


def test_a_batch_is_its_members() -> None:
    batch = torch.stack([noise(1000), noise(1000).flip(0)])
    for front_end in (to_framed_log_mel, to_port_log_mel):
        together = front_end(batch)
        for index in range(2):
            assert torch.allclose(together[index], front_end(batch[index]), atol=1e-12)


def test_silence_is_the_floor_and_has_a_gradient() -> None:
    samples = torch.zeros(1000, requires_grad=True)
    log_mel = to_framed_log_mel(samples)
    assert torch.allclose(log_mel, torch.tensor(FEATURE_RANGE[0]))
    log_mel.sum().backward()
    assert samples.grad is not None
    assert torch.isfinite(samples.grad).all()


def test_filters_first_used_in_inference_serve_training() -> None:
    with torch.inference_mode():
        framed_mel_filters.cache_clear()
        to_framed_log_mel(torch.zeros(1000))
        mel_filters.cache_clear()
        to_log_mel(torch.zeros(4096))
    samples = torch.zeros(4096, requires_grad=True)
    (to_framed_log_mel(samples).sum() + to_log_mel(samples).sum()).backward()
    assert samples.grad is not None


def test_scaling_goes_from_minus_one_to_one_and_clips() -> None:
    low, high = FEATURE_RANGE
    assert low == pytest.approx(-11.512925465)
    log_mel = torch.tensor([low - 1, low, (low + high) / 2, high, high + 1.5])
    scaled = to_scaled(log_mel)
    assert torch.allclose(scaled, torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]), atol=1e-6)
    assert scaled.abs().max() <= 1
    assert torch.allclose(from_scaled(scaled), log_mel.clamp(low, high), atol=1e-5)
    own = (-9.0, 5.0)
    assert torch.allclose(
        from_scaled(to_scaled(log_mel, feature_range=own), feature_range=own)[2], log_mel[2]
    )


def test_the_mel_scale_is_htks() -> None:
    hz = torch.tensor([0.0, 700.0, 1000.0, 8000.0], dtype=torch.float64)
    mels = torch.tensor([0.0, 781.1728, 999.9855, 2840.0230], dtype=torch.float64)
    assert torch.allclose(htk_mel(hz), mels, atol=1e-3)
    assert torch.allclose(htk_hz(htk_mel(hz)), hz)


def test_a_flat_spectrum_comes_back_flat() -> None:
    flat = torch.full((513,), 0.3)
    assert torch.allclose(framed_mel_inverse() @ (framed_mel_filters() @ flat), flat, atol=1e-6)
    assert framed_mel_inverse().min() >= 0


def test_frequencies_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bands from 0.0 Hz to 9000.0 Hz; give 0 <= low_hz"):
        framed_mel_filters(FramedMelSpec(high_hz=9000.0))


def test_audio_too_short_to_reflect_is_refused() -> None:
    with pytest.raises(ValueError, match="320 samples are too few: reflection needs more than 320"):
        to_port_log_mel(torch.zeros(320))
