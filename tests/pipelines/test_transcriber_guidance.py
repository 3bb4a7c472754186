"""A transcriber that listens makes the sampler go where it hears the notes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ondes.audio import Audio
from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.diffusion.predictions import Prediction, from_noise
from ondes.errors import UserError
from ondes.models.mel_transcriber import MelTranscriber, roll_log_likelihood
from ondes.models.spectrogram_layers import Memory
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_judge import judge_notes
from ondes.pipelines.spectrogram_samplers import make_spectrogram_scheduler
from ondes.representations.framed_mel import FEATURE_RANGE, to_scaled
from ondes.representations.piano_rolls import to_rolls
from plain_notes import plain_notes
from tiny_spectrograms import port_pipeline, tiny_pipeline

SONG = plain_notes([(0.0, 0.4, 60, 80, 0), (0.3, 0.6, 64, 80, 0), (0.5, 0.64, 67, 80, 0)], duration_s=0.64)
SHORT = plain_notes([(0.1, 0.32, 50, 80, 0)], duration_s=0.32)


@pytest.fixture(scope="module")
def transcriber() -> MelTranscriber:
    torch.manual_seed(5)
    network = MelTranscriber(maps=1, width=8).eval()
    with torch.no_grad():  # as sure of itself as a trained one
        network.onset.weight.mul_(100)
        network.sounding.weight.mul_(100)
    return network


def likelihood(pipeline: SpectrogramDiffusionPipeline, listener: MelTranscriber, **choices: Any) -> float:
    """What the transcriber says of the notes in the log-mel that is made, which nobody told the decoder."""
    made = pipeline.log_mel(SONG, steps=20, guidance_scale=0.0, continuation="none", **choices)
    rolls = to_rolls(SONG, start_frame=0, frames=len(made), frames_per_second=50)
    with torch.no_grad():
        logits = listener(to_scaled(torch.from_numpy(made))[None], torch.tensor([20.0]))
        return float(roll_log_likelihood(logits, rolls))


def port() -> SpectrogramDiffusionPipeline:
    return port_pipeline(with_context=False)


@pytest.mark.parametrize(
    ("make", "sampler"),
    [
        (tiny_pipeline, "dpm++"),
        (port, "ancestral"),
        pytest.param(tiny_pipeline, "ddim", marks=pytest.mark.slow),
        pytest.param(tiny_pipeline, "ancestral", marks=pytest.mark.slow),
        pytest.param(port, "dpm++", marks=pytest.mark.slow),
        pytest.param(port, "ddim", marks=pytest.mark.slow),
    ],
)
def test_the_notes_become_likelier(make: Any, sampler: str, transcriber: MelTranscriber) -> None:
    pipeline = make()
    plain = likelihood(pipeline, transcriber, sampler=sampler)
    steered = likelihood(pipeline, transcriber, sampler=sampler, transcriber=transcriber)
    assert steered > plain + 100


def test_songs_of_a_batch_and_blocks_of_a_stream_are_steered_as_they_are_alone(
    transcriber: MelTranscriber,
) -> None:
    pipeline = tiny_pipeline()
    choices: dict[str, Any] = {"transcriber": transcriber, "seed": 2}
    together = pipeline([SONG, SHORT], **choices)
    for made, song in zip(together, (SONG, SHORT), strict=True):
        assert np.abs(made.samples - pipeline(song, **choices).samples).max() < 1e-5
    streamed = Audio.concatenate(list(pipeline.stream(SONG, **choices)))
    assert np.array_equal(streamed.samples, pipeline(SONG, **choices).samples)
    assert np.abs(pipeline.log_mel(SONG, seed=2) - pipeline.log_mel(SONG, **choices)).max() > 0.05


def test_the_judge_hears_each_window_in_the_official_scaling() -> None:
    asked: list[tuple[Tensor, Tensor]] = []

    def deaf(log_mel: Tensor, log_snr: Tensor) -> tuple[Tensor, Tensor]:
        asked.append((log_mel, log_snr))
        return torch.zeros(len(log_mel), 16, 88), torch.full((len(log_mel), 16, 88), 2.0)

    judge = judge_notes(deaf, [(SONG, 16), (SHORT, -1)], frames=16, feature_range=(-11.5, 5.0))
    found = judge(torch.full((2, 16, 128), 0.25), torch.tensor([0.5, 0.5]))
    log_mel = -11.5 + 16.5 * 1.25 / 2
    low, high = FEATURE_RANGE
    assert asked[0][0].unique().item() == pytest.approx(2 * (log_mel - low) / (high - low) - 1, abs=1e-5)
    assert asked[0][1].tolist() == pytest.approx([0, 0], abs=1e-5)
    # Frames that sound: 16..20 of the first note, 16..30 of the second, 25..32 of the third; then 5..16 one later.
    keys = 16 * 88
    for value, sounding in zip(found.tolist(), (4 + 14 + 7, 10), strict=True):
        wanted = -keys * np.log(2) - keys * np.log1p(np.exp(2.0)) + 2.0 * sounding
        assert value == pytest.approx(wanted, rel=1e-5)


def test_scale_0_changes_nothing_and_what_cannot_be_steered_is_refused(transcriber: MelTranscriber) -> None:
    pipeline = tiny_pipeline()
    silent = pipeline.log_mel(SHORT, transcriber=transcriber, transcriber_scale=0.0)
    assert np.array_equal(silent, pipeline.log_mel(SHORT))
    with pytest.raises(UserError, match="transcriber scale of -1"):
        pipeline.log_mel(SHORT, transcriber=transcriber, transcriber_scale=-1.0)


@pytest.mark.parametrize("prediction", [pytest.param("sample", marks=pytest.mark.slow), "v_prediction"])
def test_a_model_that_says_the_same_in_other_words_is_steered_alike(
    prediction: Prediction, transcriber: MelTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices: dict[str, Any] = {"transcriber": transcriber, "sampler": "ddim", "guidance_interval": (0, 0.9)}
    wanted = tiny_pipeline().log_mel(SONG, **choices)
    pipeline = tiny_pipeline()
    pipeline.register_modules(scheduler=make_spectrogram_scheduler("ddim", prediction_type=prediction))
    plain = pipeline.decoder.forward

    def other_words(noisy: Tensor, time: Tensor, memory: Memory) -> Tensor:
        said = from_noise(
            lambda noisy, time: plain(noisy, time, memory),
            shares=lambda time: alpha_sigma(cosine_log_snr(time)),
            prediction=prediction,
        )
        return said(noisy, time)

    monkeypatch.setattr(pipeline.decoder, "forward", other_words)
    assert np.abs(pipeline.log_mel(SONG, **choices) - wanted).max() < 0.01
