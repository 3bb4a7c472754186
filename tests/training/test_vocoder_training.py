from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rendered_sines import VOCODER  # pyright: ignore[reportMissingImports]

from ondes.audio import Audio
from ondes.models.griffin_lim import transform
from ondes.models.vocoder import BinPredictions, Vocoder
from ondes.representations.mel import to_log_mel
from ondes.training import vocoder as training
from ondes.training.vocoder import (
    GAIN_RANGE_DB,
    RandomAudio,
    bin_losses,
    critic_loss,
    generator_losses,
    read_int16,
    stft_loss,
    weighted_distance,
)


@pytest.fixture(scope="module")
def audio() -> torch.Tensor:
    return 0.1 * torch.randn(2, 2, 8 * 512, generator=torch.Generator().manual_seed(0))


def pieces() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(-3000, 3000, (2, length)).astype(np.int16) for length in (9000, 500, 20_000)]


def test_batch_k_is_a_function_of_seed_and_k() -> None:
    whole = list(itertools.islice(RandomAudio(pieces(), batch=2, samples=1024, seed=1), 5))
    resumed = itertools.islice(RandomAudio(pieces(), batch=2, samples=1024, seed=1, first=3), 2)
    assert all(itertools.starmap(torch.equal, zip(whole[3:], resumed, strict=True)))
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[0], RandomAudio(pieces(), batch=2, samples=1024, seed=2).at(0))


def test_windows_are_cut_from_long_pieces_at_bounded_levels() -> None:
    constant = [np.full((2, 5000), 16384, np.int16), np.full((2, 100), 1, np.int16)]
    windows = RandomAudio(constant, batch=200, samples=1024, seed=0)
    assert len(windows.pieces) == 1
    levels = windows.at(0)[:, 0, 0]
    least, most = (0.5 * 10 ** (gain / 20) for gain in GAIN_RANGE_DB)
    assert float(levels.min()) >= least
    assert most < float(levels.max()) <= 2 * most


def test_files_are_read_as_16_bits_in_the_layout_asked_for(tmp_path: Path) -> None:
    Audio(np.array([[0.0, 0.5, -1.0] * 400], np.float32), 44_100).write(tmp_path / "a.flac")
    samples = read_int16(tmp_path / "a.flac", sample_rate_hz=44_100, channels=2)
    assert samples.dtype == np.int16
    assert samples[:, :3].tolist() == [[0, 16384, -32767]] * 2
    mono = read_int16(tmp_path / "a.flac", sample_rate_hz=22_050, channels=1)
    assert mono.shape == (1, 600)


def test_true_bins_have_no_loss(audio: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LARGEST_JITTER", 0.0)
    spectrum = transform(audio.flatten(0, 1), Vocoder(**VOCODER).spec).unflatten(0, (2, 2))
    tonal = spectrum[:, :, :32]
    middle = tonal.sum(1)
    phasors = middle / middle.abs()
    carry = torch.zeros(2, 3, 32, 8, dtype=torch.complex64)
    carry[:, 1, :, 1:] = phasors[..., 1:] / phasors[..., :-1]
    fresh = torch.zeros_like(phasors)
    fresh[..., 0] = phasors[..., 0]
    units = spectrum / spectrum.abs()
    truth = BinPredictions(spectrum.abs().log(), carry, fresh, units[:, 0] * units[:, 1].conj())
    losses = bin_losses(truth, spectrum, 32, torch.Generator().manual_seed(0))
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        dict.fromkeys(("magnitude", "phase", "onset", "stereo"), 0.0), abs=1e-5
    )
    louder = truth._replace(log_magnitude=truth.log_magnitude + 0.5)
    assert float(bin_losses(louder, spectrum, 32, torch.Generator())["magnitude"]) > 0.25
    turned = truth._replace(fresh=1j * fresh)
    assert float(bin_losses(turned, spectrum, 32, torch.Generator())["onset"]) == pytest.approx(2, rel=0.05)


def test_distances_are_weighted_means_of_squares() -> None:
    made = torch.tensor([[[1 + 1j, 0, 3]]])
    weight = torch.tensor([[[2.0, 5.0, 1.0]]])
    # (2 * |1+1j|^2 + 1 * 9) / (2 + 5 + 1 + 1)
    assert float(weighted_distance(made, torch.zeros_like(made), weight, slice(None))) == pytest.approx(
        13 / 9
    )
    assert float(weighted_distance(made, torch.zeros_like(made), weight, slice(1, None))) == pytest.approx(
        9 / 7
    )


def test_the_stft_loss_is_nothing_for_the_truth_and_known_for_a_gain(audio: torch.Tensor) -> None:
    flat = audio.flatten(0, 1)
    assert float(stft_loss(flat, flat)) == 0
    # Half the level: a convergence of 1/2, and ln 2 in every bin.
    assert float(stft_loss(0.5 * flat, flat)) == pytest.approx(0.5 + math.log(2), rel=0.01)


def test_adversarial_losses_are_their_closed_forms() -> None:
    judged = [[torch.ones(3), torch.full((3,), 0.25)]]
    real = [[torch.full((3,), 2.0), torch.full((3,), 0.75)]]
    assert float(critic_loss(judged, real)) == pytest.approx(0.25**2 + 0.25**2)
    fooled, features = generator_losses(judged, real)
    assert float(fooled) == pytest.approx(0.75**2)
    assert float(features) == pytest.approx(1 / 2.001)


def test_the_loss_falls_on_a_batch_heard_again_and_again(audio: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = Vocoder(**VOCODER)
    log_mel = to_log_mel(audio)
    spectrum = transform(audio.flatten(0, 1), model.spec).unflatten(0, (2, 2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    totals = []
    for _ in range(60):
        losses = bin_losses(model.predict(log_mel), spectrum, 32, torch.Generator().manual_seed(0))
        total = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.75 * totals[0]
