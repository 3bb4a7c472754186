"""The autoregressive baseline plays scores as a run or `ondes import` saved it: a network alone, with its codec."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ondes.errors import UserError
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.notes import Notes
from ondes.pipelines.opening import open_pipeline, pipeline_class
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_exchange import export_model
from ondes.representations.events import make_codec, pad_tokens
from plain_notes import plain_notes
from tiny_spectrograms import FRAMES, SIZES, PlainVocoder


def network(codec: str = "mt3", *, official: bool = False) -> SpectrogramAutoregressive:
    torch.manual_seed(0)
    made = make_codec(codec)
    settings = {**SIZES, "max_length": 128, "targets_length": FRAMES, "dropout_rate": 0.0}
    sizes = {"vocab_size": made.vocabulary_size, "official": official, "codec": made.to_config()}
    return SpectrogramAutoregressive(**settings, **sizes).eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline") / "model"
    network().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(saved: Path) -> SpectrogramDiffusionPipeline:
    return SpectrogramDiffusionPipeline.from_pretrained(saved, vocoder=PlainVocoder())


@pytest.fixture
def song() -> Notes:
    """0.75 s: two segments of 0.32 s and some frames."""
    return plain_notes([(0.0, 0.4, 60, 80, 0), (0.35, 0.75, 64, 80, 0), (0.4, 0.7, 72, 80, 0)])


def test_each_segment_is_what_the_network_makes_of_its_tokens(
    pipeline: SpectrogramDiffusionPipeline, song: Notes
) -> None:
    made = pipeline.log_mel(song)
    segments = make_codec("mt3").encode(song, segment_frames=FRAMES, limit=128)
    assert len(segments) == 3
    low, high = pipeline.feature_range
    for segment in segments:
        tokens = torch.from_numpy(pad_tokens([segment.tokens], length=len(segment.tokens)))
        wanted = network().generate(tokens, segment.frames)[0].numpy()
        found = made[segment.start_frame : segment.start_frame + segment.frames]
        np.testing.assert_allclose(found, (wanted + 1) / 2 * (high - low) + low, atol=1e-4)


def test_blocks_of_a_stream_and_songs_of_a_batch_are_the_whole(
    pipeline: SpectrogramDiffusionPipeline, song: Notes
) -> None:
    whole = pipeline(song)
    assert whole.duration_s == pytest.approx(0.75)
    streamed = np.concatenate([block.samples for block in pipeline.stream(song)], axis=1)
    np.testing.assert_allclose(streamed, whole.samples, atol=1e-6)
    other = plain_notes([(0.0, 0.2, 50, 80, 0)])
    for found, alone in zip(pipeline([song, other]), (whole, pipeline(other)), strict=True):
        np.testing.assert_allclose(found.samples, alone.samples, atol=1e-5)


def test_the_codec_of_training_is_the_one_of_playing(tmp_path: Path) -> None:
    network("port").save_pretrained(tmp_path / "model")
    pipeline = SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "model")
    assert pipeline.codec.name == "port"
    assert pipeline.config["programs"] == "as-is"
    network(official=True).save_pretrained(tmp_path / "official")
    assert SpectrogramDiffusionPipeline.from_pretrained(tmp_path / "official").config["programs"] == "slakh"


def test_a_saved_pipeline_of_it_is_the_original(
    pipeline: SpectrogramDiffusionPipeline, saved: Path, song: Notes, tmp_path: Path
) -> None:
    alone = SpectrogramDiffusionPipeline.from_pretrained(saved)
    alone.save_pretrained(tmp_path / "whole")
    again = open_pipeline(tmp_path / "whole")
    assert isinstance(again, SpectrogramDiffusionPipeline)
    assert again.model_hash == alone.model_hash
    np.testing.assert_array_equal(again.log_mel(song), pipeline.log_mel(song))
    assert pipeline_class(saved) is SpectrogramDiffusionPipeline


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"sampler": "ddim"}, "makes its music frame by frame, so it has no sampler; leave it out"),
        ({"steps": 20}, "has no steps"),
        ({"guidance_scale": 2.0}, "has no guidance; leave it out"),
        ({"guidance_interval": (0.1, 0.8)}, "has no guidance interval"),
        ({"continuation": "context"}, "makes each segment by itself; leave continuation out"),
        ({"continuation": "inpainting"}, "makes each segment by itself; leave continuation out"),
    ],
)
def test_what_it_does_not_have_is_refused(
    choice: dict[str, Any], words: str, pipeline: SpectrogramDiffusionPipeline, song: Notes
) -> None:
    with pytest.raises(UserError, match=words):
        pipeline(song, **choice)


def test_what_changes_nothing_is_taken(pipeline: SpectrogramDiffusionPipeline, song: Notes) -> None:
    choices = {"seed": 3, "steps": 1, "guidance_scale": 1.0, "continuation": "none"}
    np.testing.assert_array_equal(pipeline(song, **choices).samples, pipeline(song).samples)


def test_8_bits_other_layouts_and_missing_weights_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="baseline does not compute with 8 bits; leave int8 out"):
        open_pipeline(saved, int8=True)
    with pytest.raises(UserError, match="is the baseline, which diffusers does not have"):
        export_model(str(saved), tmp_path / "out")
    broken = shutil.copytree(saved, tmp_path / "broken")
    (broken / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"broken has no weights \(\.safetensors"):
        open_pipeline(broken)
