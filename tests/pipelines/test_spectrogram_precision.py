"""Spectrogram Diffusion in other arithmetic than float32."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.checkpoints.spectrogram_folder import write_spectrogram_folder
from ondes.checkpoints.spectrogram_parts import PUBLIC_SCHEDULER, SpectrogramParts
from ondes.errors import UserError
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.int8_linear import multiplies_int8
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from plain_notes import plain_notes
from tiny_spectrograms import tiny_networks, tiny_pipeline

SHORT = plain_notes([(0.1, 0.5, 50, 80, 0)])


@pytest.mark.skipif(not multiplies_int8(), reason="this processor has no 8-bit products")
def test_8_bit_layers_are_close_and_the_error_is_logged(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = tiny_pipeline()
    SpectrogramDiffusionPipeline(*tiny_networks(), pipeline.scheduler).save_pretrained(tmp_path / "model")
    monkeypatch.setattr("ondes.models.int8_linear.FEWEST_WEIGHTS", 1)
    with caplog.at_level(logging.INFO, "ondes"):
        loaded = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model", int8=True)
    (told,) = re.findall(r"8-bit linear layers change the answer to noise by ([\d.]+) %", caplog.text)
    assert 0 < float(told) < 10
    moved = np.abs(loaded.log_mel(SHORT, steps=3) - pipeline.log_mel(SHORT, steps=3))
    assert 0 < moved.mean() < 0.5


def test_precision_is_the_one_setting_of_the_published_layout(tmp_path: Path) -> None:
    parts = SpectrogramParts(*tiny_networks(), dict(PUBLIC_SCHEDULER), None, {})
    write_spectrogram_folder(parts, tmp_path / "public")
    loaded = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "public", torch_dtype=torch.float64)
    assert {loaded.notes_encoder.dtype, loaded.continuous_encoder.dtype, loaded.decoder.dtype} == {
        torch.float64
    }
    with pytest.raises(UserError, match="is loaded without 'scheduler'"):
        SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "public", scheduler=loaded.scheduler)


def test_the_vocoder_stays_in_single_precision() -> None:
    pipeline = tiny_pipeline()
    vocoder = FramedVocoder(width=4, hidden=4, blocks=1, tonal_bins=4).eval()
    pipeline.register_modules(melgan=vocoder)
    before = pipeline(SHORT)
    torch.nn.Module.to(vocoder, torch.bfloat16)  # as `pipeline.to` does
    after = pipeline(SHORT)
    assert after.samples.shape == before.samples.shape
    assert after.samples.std() == pytest.approx(before.samples.std(), rel=0.05)
