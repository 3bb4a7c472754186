from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ondes.models.framed_vocoder import DELAY_SAMPLES, FramedVocoder
from ondes.models.griffin_lim import transform
from ondes.models.overlap_add import inverse_stft
from ondes.representations.framed_mel import to_framed_log_mel


@pytest.fixture(scope="module")
def vocoder() -> FramedVocoder:
    torch.manual_seed(0)
    model = FramedVocoder(width=8, hidden=8, blocks=1, kernel_frames=3, tonal_bins=64).eval()
    torch.nn.init.normal_(model.core.phasors.weight, std=0.3)
    return model


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return 0.1 * torch.randn(1, 1, 100 * 320 + 320, generator=torch.Generator().manual_seed(1))


def test_the_target_is_what_the_official_frames_are_centred_on(
    vocoder: FramedVocoder, noise: torch.Tensor
) -> None:
    log_mel, target = vocoder.analyse(noise)
    assert log_mel.shape == (1, 1, 128, 100)
    assert target.shape == (1, 1, 100 * 320)
    click = torch.zeros_like(noise)
    click[..., 50 * 320 + 320] = 1  # the centre of the official frame 50
    log_mel, target = vocoder.analyse(click)
    assert int(log_mel[0, 0].mean(0).argmax()) == 50
    ours = transform(target[0], vocoder.spec).abs()[0].mean(0)
    assert int(ours.argmax()) == 50
    assert float(ours[49]) == pytest.approx(float(ours[51]), rel=1e-4)


def test_the_true_spectrum_gives_the_audio_back_at_its_place(
    vocoder: FramedVocoder, noise: torch.Tensor
) -> None:
    _, target = vocoder.analyse(noise)
    rebuilt = inverse_stft(transform(target[0], vocoder.spec), spec=vocoder.spec)
    inner = slice(1024, 99 * 320 - 1024)
    assert (rebuilt[0, inner] - noise[0, 0, DELAY_SAMPLES:][inner]).abs().max() < 1e-5


def test_a_burst_sounds_where_it_was(vocoder: FramedVocoder) -> None:
    samples = torch.zeros(60 * 320)
    samples[6400:8000] = 0.3 * torch.randn(1600, generator=torch.Generator().manual_seed(0))
    made = vocoder(to_framed_log_mel(samples))
    assert made.shape == (60 * 320,)
    times = torch.arange(len(made))
    power = made.square()
    assert abs(float((times * power).sum() / power.sum()) - 7200) < 160


@pytest.mark.parametrize("sizes", [[100], [1, 99], [64, 36], [7, 60, 33]])
def test_any_pieces_give_the_very_samples_of_the_whole(
    sizes: list[int], vocoder: FramedVocoder, noise: torch.Tensor
) -> None:
    log_mel = vocoder.analyse(noise)[0][0, 0].T
    stream = vocoder.stream()
    made = [stream.push(piece) for piece in log_mel.split(sizes)]
    made.append(stream.push(log_mel[:0], last=True))
    assert torch.equal(torch.cat(made), vocoder(log_mel))


def test_a_saved_and_loaded_vocoder_is_the_original(
    vocoder: FramedVocoder, noise: torch.Tensor, tmp_path: Path
) -> None:
    vocoder.save_pretrained(tmp_path)
    loaded = FramedVocoder.from_pretrained(tmp_path).eval()
    log_mel = vocoder.analyse(noise)[0][0, 0].T
    assert torch.equal(loaded(log_mel), vocoder(log_mel))
