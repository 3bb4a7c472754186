from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ondes.models.griffin_lim import transform
from ondes.models.overlap_add import inverse_stft
from ondes.models.vocoder import (
    LOG_GAIN_LIMIT,
    BinPredictions,
    Vocoder,
    centre_turns,
    position_walk,
    predict_phasors,
)
from ondes.representations.mel import MEL, to_log_mel


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    """A small network that has left its first weights."""
    torch.manual_seed(0)
    model = Vocoder(width=8, hidden=8, blocks=2, kernel_frames=3, tonal_bins=64).eval()
    for weight in (model.gain.weight, model.phasors.weight, model.phasors.bias):
        torch.nn.init.normal_(weight, std=0.3)
    assert model.spread is not None
    torch.nn.init.normal_(model.spread.weight, std=0.3)
    return model


@pytest.fixture(scope="module")
def log_mel() -> torch.Tensor:
    noise = torch.randn(2, 150 * 512, generator=torch.Generator().manual_seed(1))
    return to_log_mel(0.1 * noise)


@pytest.fixture(scope="module")
def whole(vocoder: Vocoder, log_mel: torch.Tensor) -> torch.Tensor:
    """The audio of the log-mel, in one piece."""
    return vocoder(log_mel[None])


def test_the_inverse_transform_undoes_the_transform_of_noise() -> None:
    noise = torch.randn(2, 40 * 512, generator=torch.Generator().manual_seed(0))
    assert (inverse_stft(transform(noise, MEL)) - noise).abs().max() < 1e-5


def test_the_centre_of_a_bin_turns_as_a_real_sinusoid_does() -> None:
    time_s = torch.arange(8 * 512, dtype=torch.float64) / MEL.sample_rate_hz
    tone = torch.sin(2 * math.pi * (37 * MEL.sample_rate_hz / MEL.fft_size) * time_s).float()
    bins = transform(tone[None], MEL)[0, 37, 3:6]
    turn = bins[1:] / bins[:-1]
    assert (turn / turn.abs() - centre_turns(64, MEL)[37]).abs().max() < 1e-3


def test_true_advances_carry_a_sine_from_its_first_phase(vocoder: Vocoder) -> None:
    hz, frames, bins = 443.7, 60, vocoder.tonal_bins
    time_s = torch.arange(frames * 512, dtype=torch.float64) / MEL.sample_rate_hz
    tone = (0.3 * torch.sin(2 * math.pi * hz * time_s)).float()
    spectrum = transform(tone[None], MEL)[:, :bins]
    turn = 2 * math.pi * hz * MEL.hop_samples / MEL.sample_rate_hz
    carry = torch.zeros(1, 3, bins, frames, dtype=torch.complex64)
    carry[:, 1] = torch.tensor(complex(math.cos(turn), math.sin(turn)))
    carry[..., 0] = 0
    # Frames that reach over the edges see a reflection, so the walk begins in the third.
    fresh = torch.zeros(1, bins, frames, dtype=torch.complex64)
    fresh[..., 0] = spectrum[..., 3] / spectrum[..., 3].abs()
    nothing = torch.zeros(1, 2, vocoder.bins, frames)
    walked = vocoder.integrate(BinPredictions(nothing, carry, fresh, fresh))
    magnitude = torch.zeros(1, vocoder.bins, 50)
    magnitude[:, :bins] = spectrum[..., 3:53].abs()
    phasors = torch.zeros(1, vocoder.bins, 50, dtype=torch.complex64)
    phasors[:, :bins] = walked[..., :50]
    rebuilt = inverse_stft(magnitude * phasors)[0]
    inner = slice(4 * 512, 46 * 512)
    assert (rebuilt[inner] - tone[3 * 512 :][inner]).abs().max() < 2e-3


def test_neighbours_vote_on_a_phase() -> None:
    carry = torch.tensor([[[1j, 1j, 1j], [2, 2, 2], [-1, -1, -1]]], dtype=torch.complex64)
    fresh = torch.tensor([[10, 20, 30]], dtype=torch.complex64)
    before = torch.tensor([[1, 1j, -1]], dtype=torch.complex64)
    expected = [10 + 2 * 1 - 1 * 1j, 20 + 1j * 1 + 2j + 1, 30 + 1j * 1j - 2]
    assert torch.allclose(
        predict_phasors(carry, fresh, before)[0], torch.tensor(expected, dtype=torch.complex64)
    )


def test_phases_go_on_from_the_frame_before(vocoder: Vocoder, log_mel: torch.Tensor) -> None:
    with torch.no_grad():
        predictions = vocoder.predict(log_mel[None])
    whole = vocoder.integrate(predictions)
    assert torch.allclose(whole.abs(), torch.ones(()), atol=1e-3)
    first = vocoder.integrate(predictions.frames(slice(0, 70)))
    rest = vocoder.integrate(predictions.frames(slice(70, None)), first[..., -1])
    assert torch.equal(torch.cat([first, rest], -1), whole)


@pytest.mark.parametrize("sizes", [[150], [1] * 20 + [130], [64, 64, 22], [7, 100, 43], [149, 1]])
def test_any_pieces_give_the_very_samples_of_the_whole(
    sizes: list[int], vocoder: Vocoder, log_mel: torch.Tensor, whole: torch.Tensor
) -> None:
    stream = vocoder.stream()
    made = [stream.push(piece) for piece in log_mel.split(sizes, -1)]
    made.append(stream.push(log_mel[..., :0], last=True))
    assert torch.equal(torch.cat(made, -1), whole[0])


@pytest.mark.parametrize("frames", [1, 2, 63, 64, 65])
def test_audio_has_a_hop_a_frame(frames: int, vocoder: Vocoder, log_mel: torch.Tensor) -> None:
    assert vocoder(log_mel[None, ..., :frames]).shape == (1, 2, frames * 512)


def test_nothing_beyond_the_reach_changes_a_sample(
    vocoder: Vocoder, log_mel: torch.Tensor, whole: torch.Tensor
) -> None:
    changed = log_mel.clone()
    changed[..., 100:] -= 3
    ours, theirs = whole, vocoder(changed[None])
    same = (100 - vocoder.reach_frames) * 512 - MEL.edge_samples
    assert torch.equal(ours[..., :same], theirs[..., :same])
    assert not torch.equal(ours[..., same : 100 * 512], theirs[..., same : 100 * 512])


def test_an_untrained_network_answers_the_interpolated_mel(log_mel: torch.Tensor) -> None:
    torch.manual_seed(0)
    fresh = Vocoder(width=8, hidden=8, blocks=1, tonal_bins=64)
    magnitude = fresh.predict(log_mel[None]).log_magnitude.exp()
    assert torch.allclose(magnitude[0], fresh.interpolate @ log_mel.exp(), rtol=1e-4)


def test_the_network_moves_a_bin_by_a_bounded_gain(vocoder: Vocoder, log_mel: torch.Tensor) -> None:
    wild = Vocoder(width=8, hidden=8, blocks=1, tonal_bins=64)
    torch.nn.init.normal_(wild.gain.weight, std=1000.0)
    with torch.no_grad():
        gain = wild.predict(log_mel[None]).log_magnitude[0] - (wild.interpolate @ log_mel.exp()).log()
    assert float(gain.abs().max()) == pytest.approx(LOG_GAIN_LIMIT, abs=1e-3)


def test_coherent_channels_differ_by_their_gain_alone(vocoder: Vocoder) -> None:
    frames, bins = 20, vocoder.tonal_bins
    level = torch.randn(1, 1, vocoder.bins, frames, generator=torch.Generator().manual_seed(0))
    level = torch.cat([level, level - math.log(2)], 1)
    phasors = torch.polar(torch.ones(1, bins, frames), torch.rand(1, bins, frames) * 6)
    one = torch.ones(1, bins, frames, dtype=torch.complex64)
    alike = torch.ones(1, vocoder.bins, frames, dtype=torch.complex64)
    predictions = BinPredictions(level, one[:, None].expand(-1, 3, -1, -1), one, alike)
    left, right = vocoder.spectrum(predictions, phasors)[0]
    # A coherence of one is clipped just below it: a scatter of a hundredth of a radian.
    assert (left - 2 * right).abs().max() < 0.1 * left.abs().max()
    assert torch.allclose(left.abs(), level[0, 0].exp(), rtol=1e-4)
    turned = BinPredictions(level, predictions.carry, one, alike * 1j)
    left, right = vocoder.spectrum(turned, phasors)[0]
    angle = (left / right).angle()
    assert (angle - math.pi / 2).abs().max() < 0.1


def test_less_coherence_scatters_the_channels_more(vocoder: Vocoder) -> None:
    frames, bins = 1200, vocoder.tonal_bins
    level = torch.zeros(1, 2, vocoder.bins, frames)
    one = torch.ones(1, bins, frames, dtype=torch.complex64)
    alike = torch.ones(1, vocoder.bins, frames, dtype=torch.complex64)
    for coherence in (0.9, 0.5):
        predictions = BinPredictions(level, one[:, None].expand(-1, 3, -1, -1), one, alike * coherence)
        left, right = vocoder.spectrum(predictions, one)[0]
        # The expected phasor of left over right is what was asked for, of tones and of the noise above them.
        products = left * right.conj()
        assert abs(complex(products[:bins].mean()) - coherence) < 0.04
        assert abs(complex(products[bins:].mean()) - coherence) < 0.04


def test_position_walks_are_smooth_with_unit_variance_and_of_their_place_alone() -> None:
    walk = position_walk(64, 0, 12 * 200, knot_frames=12, purpose="test")
    assert abs(float(walk.square().mean()) - 1) < 0.05
    assert abs(float(walk.mean())) < 0.05
    assert float(walk.diff(dim=1).square().mean()) < 0.05
    for start in (5, 12, 100, 767):
        window = position_walk(64, start, 50, knot_frames=12, purpose="test")
        assert torch.allclose(window, walk[:, start : start + 50], atol=2e-4)
    other = position_walk(64, 0, 12 * 200, knot_frames=12, purpose="other")
    assert abs(float((walk * other).mean())) < 0.05


def test_a_saved_and_loaded_vocoder_is_the_original(
    vocoder: Vocoder, log_mel: torch.Tensor, tmp_path: Path
) -> None:
    vocoder.save_pretrained(tmp_path)
    loaded = Vocoder.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(log_mel[None, ..., :30]), vocoder(log_mel[None, ..., :30]))
