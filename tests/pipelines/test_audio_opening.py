"""Msanii behind the verbs of the audio pipeline, opened by what its folder says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msanii_layout import networks
from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines.audio_opening import is_msanii, open_audio_pipeline
from ondes.pipelines.msanii import MsaniiPipeline, make_msanii_scheduler
from ondes.pipelines.msanii_audio import MsaniiAudio
from ondes.representations.msanii_mel import MelScaling, MsaniiFeatures, MsaniiSpec

CONFIG = MsaniiFeatures(MsaniiSpec(8000, 64, 32, 6), MelScaling(-2.0, 19.0, -2.2, 1.7)).to_config()
SOUND = Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 1600)).astype(np.float32), 8000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    unet, vocoder = networks()
    for network in (unet, vocoder):
        network.register_to_config(features=CONFIG)
    settings: dict[str, Any] = {"default_steps": 2, "griffin_lim_iterations": 2, "window_frames": 64}
    place = tmp_path_factory.mktemp("msanii") / "model"
    MsaniiPipeline(unet, vocoder, make_msanii_scheduler(), **settings).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> MsaniiAudio:
    opened = open_audio_pipeline(folder)
    assert isinstance(opened, MsaniiAudio)
    return opened


def test_a_folder_says_which_pipeline_it_is(folder: Path, tmp_path: Path) -> None:
    assert is_msanii(folder)
    assert is_msanii(folder / "unet")
    for name, kind in (("ours", "AudioPipeline"), ("broken", None)):
        (tmp_path / name).mkdir()
        text = "{" if kind is None else json.dumps({"_class_name": kind})
        (tmp_path / name / "model_index.json").write_text(text)
    assert not is_msanii(tmp_path / "ours")
    with pytest.raises(UserError, match="is damaged"):
        is_msanii(tmp_path / "broken")
    with pytest.raises(UserError, match="there is no audio 'nothing'"):
        open_audio_pipeline("nothing")


def test_streamed_music_is_generated_music_and_items_have_the_next_seed(model: MsaniiAudio) -> None:
    told: list[tuple[float, float]] = []
    both = model.generate(0.1, n=2, seed=4, progress=lambda *at: told.append(at))
    (alone,) = model.stream(0.1, seed=5, style=[], sampler="ddim", guidance_scale=1.0)
    assert np.array_equal(both[1].samples, alone.samples)
    assert told[-1] == (pytest.approx(0.2), pytest.approx(0.2))
    assert model.default_steps == 2
    assert model.model_hash == model.pipeline.model_hash


def test_loudness_is_set_where_it_is_asked_for(model: MsaniiAudio) -> None:
    quiet, loud = (model.generate(1.0, seed=1, loudness_lufs=level)[0] for level in (-40.0, -30.0))
    factor = 20 * np.log10(np.std(loud.samples) / np.std(quiet.samples))
    assert factor == pytest.approx(10, abs=0.1)


def test_edits_keep_what_they_should(model: MsaniiAudio, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        same = model.vary(SOUND, 0)
    assert isinstance(same, Audio)
    assert np.array_equal(same.samples, SOUND.samples)
    assert "comes back as it is" in caplog.text
    varied = model.vary([SOUND, SOUND], 0.4)
    assert isinstance(varied, list)
    assert not np.array_equal(varied[0].samples, varied[1].samples)
    mended = model.inpaint(SOUND, "0.05-0.1")
    assert isinstance(mended, Audio)
    assert np.array_equal(mended.samples[:, 800:], SOUND.samples[:, 800:])
    longer = model.outpaint(SOUND, before_s=0.05, after_s=0.1)
    assert isinstance(longer, Audio)
    assert np.array_equal(longer.samples[:, 400:2000], SOUND.samples)
    assert longer.samples.shape == (2, 2800)


def test_a_ratio_goes_from_the_first_to_the_second(
    model: MsaniiAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        model.pipeline, "interpolate", lambda one, _, **given: seen.append((one, given)) or [SOUND]
    )
    short = Audio(SOUND.samples[:, :900], 8000)
    assert len(model.interpolate(SOUND, short, ratios=[0.0, 0.25])) == 2  # pyright: ignore[reportArgumentType]
    assert [given["ratio"] for _, given in seen] == [1.0, 0.75]
    assert seen[0][0][0].samples.shape == (2, 900)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"style": ["jazz"]}, "Msanii knows no styles"),
        ({"sampler": "heun"}, "no sampler 'heun'; 'ddim'"),
        ({"guidance_scale": 2.0}, "no guidance_scale"),
        ({"temperature": 0.9}, "no temperature"),
        ({"loudness_lufs": 3.0}, "3"),
    ],
)
def test_what_the_model_does_not_have_is_refused(
    model: MsaniiAudio, choices: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        model.generate(0.1, **choices)  # pyright: ignore[reportArgumentType]
