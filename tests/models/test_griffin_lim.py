from __future__ import annotations

import math

import pytest
import torch

from ondes.models.griffin_lim import BLOCK_FRAMES, MARGIN_FRAMES, GriffinLim
from ondes.representations.mel import MEL, to_log_mel

FRAMES = BLOCK_FRAMES + MARGIN_FRAMES + 30


@pytest.fixture(scope="module")
def log_mel() -> torch.Tensor:
    """A chord of decaying harmonics, softer on the right."""
    time_s = torch.arange(FRAMES * 512) / MEL.sample_rate_hz
    partials = [
        torch.sin(2 * math.pi * hz * h * time_s) / h for hz in (220.0, 277.2, 329.6) for h in range(1, 6)
    ]
    chord = 0.1 * torch.stack(partials).sum(0)
    return to_log_mel(torch.stack([chord, 0.5 * chord]))


@pytest.fixture(scope="module")
def decoder() -> GriffinLim:
    return GriffinLim(iterations=8)


@pytest.fixture(scope="module")
def audio(decoder: GriffinLim, log_mel: torch.Tensor) -> torch.Tensor:
    return decoder(log_mel[None])[0]


def distance(audio: torch.Tensor, log_mel: torch.Tensor) -> float:
    """Mean distance of the log-mel of audio from what it was made of, in nepers."""
    return float((to_log_mel(audio) - log_mel).abs().mean())


def test_the_result_is_always_the_same_and_a_hop_a_frame(
    audio: torch.Tensor, decoder: GriffinLim, log_mel: torch.Tensor
) -> None:
    assert audio.shape == (2, FRAMES * 512)
    assert torch.equal(decoder(log_mel[None])[0], audio)


@pytest.mark.parametrize("sizes", [[FRAMES - 1, 1], [100] * 3 + [FRAMES - 300]])
def test_any_pieces_give_the_very_samples_of_the_whole(
    sizes: list[int], audio: torch.Tensor, decoder: GriffinLim, log_mel: torch.Tensor
) -> None:
    stream = decoder.stream()
    made = [stream.push(piece) for piece in log_mel.split(sizes, -1)]
    made.append(stream.push(log_mel[..., :0], last=True))
    assert torch.equal(torch.cat(made, -1), audio)


def test_iterations_come_nearer_to_the_mel_than_random_phases(
    audio: torch.Tensor, log_mel: torch.Tensor
) -> None:
    random = GriffinLim(iterations=0)(log_mel[None])[0]
    assert distance(audio, log_mel) < 0.6 * distance(random, log_mel)


def test_blocks_join_without_a_click(audio: torch.Tensor) -> None:
    steps = audio[0].diff(n=2).abs()
    join = BLOCK_FRAMES * 512
    assert float(steps[join - 4 : join + 4].max()) < 1.5 * float(steps[4096:-4096].quantile(0.999))


def test_the_softer_channel_is_softer(audio: torch.Tensor) -> None:
    left, right = audio.square().mean(1).sqrt()
    assert float(right / left) == pytest.approx(0.5, abs=0.05)
