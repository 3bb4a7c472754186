"""The transcriber learns from recordings and from what a model takes noisy ones for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rendered_sines import TRAINER  # pyright: ignore[reportMissingImports]
from spectrogram_runs import Unbroken

from ondes.diffusion.log_snr import alpha_sigma, cosine_log_snr
from ondes.models.mel_transcriber import MelTranscriber
from ondes.pipelines.segment_network import SegmentNetwork
from ondes.representations.framed_mel import to_scaled
from ondes.training.cli import main
from ondes.training.transcriber import (
    CLEAN_LOG_SNR,
    RandomRolls,
    RollBatch,
    TranscriberTraining,
    estimated,
    frame_f1,
    roll_loss,
)
from plain_notes import plain_notes
from tiny_spectrograms import FRAMES, tiny_pipeline

NOTES = plain_notes([(0.02 * frame, 0.02 * frame + 0.02, 30 + frame, 80, 0) for frame in range(40)])


class Stairs:
    """Songs whose every frame is its number, and plays the note of that number."""

    frames = np.array([40, 10])

    def __getitem__(self, index: int) -> Any:
        class Song:
            log_mel = np.repeat(np.arange(float(self.frames[index]))[:, None] / 10 - 5, 128, 1)
            notes = NOTES

        return Song()


def test_rolls_are_those_of_the_frames_they_stand_beside() -> None:
    batch = RandomRolls([Stairs()], batch=12, frames=16, temperature=1.0, seed=0).at(3)
    assert batch.log_mel.shape == (12, 16, 128)
    starts = set()
    for log_mel, onsets, sounding in zip(*batch, strict=True):
        frames = (log_mel[:, 0] > -1).sum()
        first = int(onsets[0].argmax()) - 9  # note 30 is key 9
        starts.add(first)
        heights = to_scaled(torch.arange(first, first + int(frames)) / 10 - 5.0)
        torch.testing.assert_close(log_mel[:frames, 0], heights)
        assert torch.equal(onsets, sounding)
        assert onsets.argmax(1).tolist() == list(range(first + 9, first + 25))
    assert len(starts) > 4


def test_batches_are_functions_of_seed_and_number() -> None:
    one, other = (RandomRolls([Stairs()], batch=2, frames=8, temperature=1.0, seed=s) for s in (1, 2))
    assert torch.equal(one.at(5).log_mel, one.at(5).log_mel)
    assert not torch.equal(one.at(5).log_mel, one.at(6).log_mel)
    assert not torch.equal(one.at(5).log_mel, other.at(5).log_mel)
    later = RandomRolls([Stairs()], batch=2, frames=8, temperature=1.0, seed=1, first=5)
    assert torch.equal(next(iter(later)).log_mel, one.at(5).log_mel)


def test_an_estimate_is_what_the_deaf_model_says_the_data_are() -> None:
    pipeline = tiny_pipeline(with_context=False)
    data, noise = torch.rand(2, FRAMES, 128) * 2 - 1, torch.randn(2, FRAMES, 128)
    time = torch.tensor([0.2, 0.7])
    alpha, sigma = (share[:, None, None] for share in alpha_sigma(cosine_log_snr(time)))
    network = pipeline.network
    assert isinstance(network, SegmentNetwork)
    with torch.no_grad():
        both = network.encode([np.arange(1, 9)] * 2, None).and_deaf()
        noisy = (alpha * data + sigma * noise).repeat(2, 1, 1)
        answer = network.denoise(noisy, time.repeat(2), both)[2:]
    wanted = ((noisy[2:] - sigma * answer) / alpha).clamp(-1, 1)
    torch.testing.assert_close(estimated(pipeline, data, noise, time), wanted, atol=1e-4, rtol=0)


def test_recordings_are_shown_as_they_are_and_the_rest_as_estimates(tmp_path: Path) -> None:
    tiny_pipeline(with_context=False).save_pretrained(tmp_path / "model")
    training = TranscriberTraining(MelTranscriber(maps=1, width=8), judged=tmp_path / "model")
    assert not any("judged" in name for name in training.state_dict())
    data, time = torch.rand(2, FRAMES, 128) * 2 - 1, torch.tensor([0.0, 0.9])
    shown, log_snr = training.seen(data, time, torch.Generator().manual_seed(0))
    assert torch.equal(shown[0], data[0])
    assert (shown[1] - data[1]).abs().mean() > 0.1
    assert log_snr.tolist() == [CLEAN_LOG_SNR, pytest.approx(float(cosine_log_snr(time[1:])))]


def test_the_loss_counts_a_beginning_four_times() -> None:
    zeros = torch.zeros(1, 5, 88)
    logits = zeros.clone()
    logits[0, 0, 0] = -50.0
    wanted = zeros.clone()
    wanted[0, 0, 0] = 1.0
    right = roll_loss((zeros, zeros), RollBatch(zeros, wanted, wanted))
    missed = roll_loss((logits, zeros), RollBatch(zeros, wanted, wanted))
    faded = roll_loss((zeros, logits), RollBatch(zeros, wanted, wanted))
    assert float(missed - right) == pytest.approx(4 * float(faded - right), rel=1e-4)
    found = zeros.clone()
    found[0, 0, :3] = 1.0
    wanted[0, 0, 1:5] = 1.0
    assert float(frame_f1(found, wanted)) == pytest.approx(2 * 3 / (3 + 5))


@pytest.mark.slow
def test_a_run_saves_a_transcriber_that_learned(rendered: Path, unbroken: Unbroken, tmp_path: Path) -> None:
    judged, _ = unbroken("diffusion")
    config = {
        "run": str(tmp_path),
        "save_every": 4,
        "seed_everything": 0,
        "model": {
            "model": {
                "class_path": "ondes.models.mel_transcriber.MelTranscriber",
                "init_args": {"maps": 1, "width": 8},
            },
            "judged": str(judged / "model"),
            "ema_decay": 0.5,
            "learning_rate": 0.02,
            "warm_up_steps": 1,
        },
        "data": {
            "batch_size": 2,
            "rendered_path": str(rendered),
            "cache_folder": str(rendered.parent / "cache"),
            "validation_batches": 1,
        },
        "trainer": {**TRAINER, "max_steps": 4},
    }
    (tmp_path / "given.yaml").write_text(yaml.safe_dump(config))
    main("transcriber", ["--config", str(tmp_path / "given.yaml")])
    made = MelTranscriber.from_pretrained(tmp_path / "model").eval()
    torch.manual_seed(0)
    silence = torch.full((1, 9, 128), -1.0), torch.tensor([CLEAN_LOG_SNR])
    fresh = MelTranscriber(maps=1, width=8).eval()
    with torch.no_grad():
        assert made(*silence)[0].mean() < fresh(*silence)[0].mean() - 0.05  # few keys ever begin
