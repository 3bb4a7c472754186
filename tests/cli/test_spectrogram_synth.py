"""`ondes synth` with Spectrogram Diffusion, whose networks are as small and untrained as they come."""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sine_pipeline import Ondes

from ondes.audio import Audio
from ondes.checkpoints.spectrogram_folder import write_spectrogram_folder
from ondes.checkpoints.spectrogram_parts import PUBLIC_SCHEDULER, SpectrogramParts
from ondes.errors import UserError
from ondes.models.framed_vocoder import FramedVocoder
from ondes.models.int8_linear import multiplies_int8
from ondes.models.mel_decoder import FramedGriffinLim
from ondes.pipelines.opening import pipeline_class
from ondes.pipelines.spectrogram_diffusion import SpectrogramDiffusionPipeline
from ondes.pipelines.spectrogram_samplers import choose_sampling
from ondes.pipelines.synthesis import SynthesisPipeline
from onnx_bytes import convolution_decoder
from tiny_model import save_tiny_model
from tiny_spectrograms import tiny_networks, tiny_pipeline


@pytest.fixture
def beats() -> int:
    """The song takes two segments."""
    return 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline with random weights and short segments."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    pipeline = tiny_pipeline()
    pipeline.register_modules(melgan=FramedGriffinLim(iterations=1))
    pipeline.save_pretrained(folder)
    return folder


def test_a_rendering_is_16_khz_mono_and_its_replay_the_same_bytes(
    ondes: Ondes, model: Path, song: Path
) -> None:
    output = song.with_suffix(".wav")
    words = ["--seed", 7, "--sampler", "ddim", "--guidance", 1.5]
    run = ondes("synth", song, "-o", output, "--model", model, *words)
    assert run.status == 0, run.err
    card = json.loads(song.with_suffix(".json").read_text())
    assert (card["output"]["sample_rate_hz"], card["output"]["channels"]) == (16_000, 1)
    assert card["settings"]["steps"] == 3
    written = output.read_bytes()
    output.unlink()
    assert ondes("replay", song.with_suffix(".json")).status == 0
    assert output.read_bytes() == written
    pipeline = SpectrogramDiffusionPipeline.from_pretrained(model)
    pipeline(song, seed=7, sampler="ddim", guidance_scale=1.5).write(output)
    assert output.read_bytes() == written


def test_joins_guidance_and_vocoder_are_recorded_and_played_again(
    ondes: Ondes, model: Path, song: Path, tmp_path: Path
) -> None:
    vocoder = tmp_path / "voice"
    FramedVocoder(width=4, hidden=4, blocks=1, tonal_bins=4).save_pretrained(vocoder)
    output = song.with_suffix(".wav")
    words = ["--continuation", "inpainting", "--guidance-interval", "0.1-0.6", "--vocoder", vocoder]
    run = ondes("synth", song, "-o", output, "--model", model, *words)
    assert run.status == 0, run.err
    settings = json.loads(song.with_suffix(".json").read_text())["settings"]
    found = {name: settings[name] for name in ("continuation", "guidance_interval", "vocoder", "int8")}
    assert found == {
        "continuation": "inpainting",
        "guidance_interval": "0.1-0.6",
        "vocoder": "voice",
        "int8": False,
    }
    written = output.read_bytes()
    pipeline = SpectrogramDiffusionPipeline.from_pretrained(model, vocoder=vocoder)
    pipeline(song, continuation="inpainting", guidance_interval=(0.1, 0.6)).write(output)
    assert output.read_bytes() == written
    assert ondes("replay", song.with_suffix(".json")).status == 0
    moved = vocoder.rename(tmp_path / "moved")
    assert ondes("replay", song.with_suffix(".json"), "--vocoder", moved).status == 0
    assert (
        "--model or --vocoder" in ondes("replay", song.with_suffix(".json"), "--vocoder", "griffin-lim").err
    )


def test_the_version_of_onnxruntime_is_watched_where_it_takes_part(
    ondes: Ondes, model: Path, song: Path
) -> None:
    beside = song.with_suffix(".json")
    words = ["synth", song, "-o", song.with_suffix(".wav"), "--model", model]
    ondes(*words)
    assert "onnxruntime" not in json.loads(beside.read_text())["versions"]
    (song.parent / "voice.onnx").write_bytes(convolution_decoder(np.full((320, 128, 1), 1e-4)))
    run = ondes(*words, "--vocoder", song.parent / "voice.onnx")
    assert run.status == 0, run.err
    card = json.loads(beside.read_text())
    assert card["versions"]["onnxruntime"] == importlib.metadata.version("onnxruntime")
    card["versions"]["onnxruntime"] = "1.2"
    beside.write_text(json.dumps(card))
    assert "onnxruntime was 1.2 and is" in ondes("replay", beside).err


@pytest.mark.skipif(not multiplies_int8(), reason="this processor has no 8-bit products")
def test_8_bits_are_measured_recorded_and_played_again(
    ondes: Ondes, model: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ondes.models.int8_linear.FEWEST_WEIGHTS", 1)
    output, beside = song.with_suffix(".wav"), song.with_suffix(".json")
    run = ondes("synth", song, "-o", output, "--model", model, "--int8")
    assert re.search(r"change the network's answer to noise by [1-9]?\d\.\d\d %", run.err), run.err
    card = json.loads(beside.read_text())
    exact = SpectrogramDiffusionPipeline.from_pretrained(model)
    assert card["settings"]["int8"]
    assert card["model"]["sha256"] == exact.model_hash
    assert ondes("replay", beside).status == 0
    written = output.read_bytes()
    exact(song).write(output)
    assert output.read_bytes() != written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--continuation", "inpainting"], "has no continuation; leave it out, or choose another model"),
        (["--guidance-interval", "0-0.5"], "has no guidance interval; leave it out, or choose another model"),
        (["--vocoder", "vocoder-16k-small"], "which is no vocoder for this model"),
        (["--int8"], "leave out int8"),
    ],
)
def test_what_only_this_model_can_is_refused_by_others(
    words: list[str], message: str, ondes: Ondes, song: Path
) -> None:
    other = save_tiny_model(song.parent / "synth")
    run = ondes("synth", song, "-o", song.with_suffix(".wav"), "--model", other, *words)
    assert run.status == 2
    (line,) = [line for line in run.err.splitlines() if line.startswith("ondes: ")]
    assert message in line
    assert not song.with_suffix(".wav").exists()


@pytest.mark.parametrize(("sampler", "steps"), [("port", 1000), ("ddpm", 100), ("dpm++", 3), (None, 3)])
def test_a_sampler_of_others_takes_their_steps_unless_told(sampler: str | None, steps: int) -> None:
    pipeline = tiny_pipeline()
    assert pipeline.steps_for(sampler) == steps
    chosen = choose_sampling(pipeline.scheduler, default_steps=3, default_guidance=1.0, sampler=sampler)
    assert chosen.steps == steps
    told = choose_sampling(
        pipeline.scheduler, default_steps=3, default_guidance=1.0, sampler=sampler, steps=5
    )
    assert told.steps == 5


def test_a_stream_carries_the_music_of_the_file(
    streamed: Callable[..., bytes], model: Path, song: Path
) -> None:
    output = song.with_suffix(".wav")
    streamed("synth", song, "-o", output, "--model", model)
    stream = streamed("synth", song, "--stream", "--model", model)
    samples, rate_hz = soundfile.read(io.BytesIO(stream), dtype="float32", always_2d=True)
    assert rate_hz == 16_000
    assert samples.shape[1] == 1
    # Half a step of rounding, and full scale is 32767 to us and 32768 to libsndfile.
    assert np.abs(samples.T - Audio.read(output).samples).max() < 1.5 * 2**-15


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "a.wav", "--temperature", "0.5"], "has no temperature"),
        (["-o", "out", "--stems"], "leave out stems"),
        (["-o", "a.wav", "--sampler", "heun"], "no sampler 'heun' for this model"),
        (["-o", "a.wav", "--vocoder", "vocoder-small"], "no vocoder for log-mels of 16 kHz"),
        (["-o", "a.wav", "--guidance-interval", "0.8-0.1"], "'0.8-0.1' is no guidance interval"),
        (["-o", "a.wav", "--guidance-interval", "low"], "'low' is no guidance interval"),
        (["-o", "a.wav", "--guidance-interval", "0.1-0.8", "--guidance", "1"], "leave one of them out"),
    ],
)
def test_what_only_other_models_can_is_refused_in_one_line(
    words: list[str], message: str, ondes: Ondes, model: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(song.parent)
    run = ondes("synth", "song.mid", *words, "--model", model)
    assert run.status == 2
    (line,) = [line for line in run.err.splitlines() if line.startswith("ondes: ")]
    assert message in line
    assert list(song.parent.iterdir()) == [song]


def test_the_pipeline_is_chosen_by_the_model(model: Path, tmp_path: Path) -> None:
    parts = SpectrogramParts(*tiny_networks(), dict(PUBLIC_SCHEDULER), None, {})
    write_spectrogram_folder(parts, tmp_path / "public")
    assert pipeline_class(tmp_path / "public") is SpectrogramDiffusionPipeline
    (tmp_path / "public" / "model_index.json").unlink()
    assert pipeline_class(tmp_path / "public") is SpectrogramDiffusionPipeline
    assert pipeline_class(model) is SpectrogramDiffusionPipeline
    assert pipeline_class("google/music-spectrogram-diffusion") is SpectrogramDiffusionPipeline
    assert pipeline_class("synth-small") is SynthesisPipeline
    assert pipeline_class(save_tiny_model(tmp_path / "synth")) is SynthesisPipeline


def _is_refused_without(lost: str, words: str, folder: Path, ondes: Ondes, song: Path) -> None:
    """A model that lacks a file or folder is refused in one line that says so."""
    gone = folder / lost
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    run = ondes("synth", song, "-o", folder.parent / "out.wav", "--model", folder)
    assert run.status == 2
    assert words in run.err
    assert len(run.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("notes_encoder", "notes_encoder has no config.json; give a whole model"),
        ("decoder", "decoder has no config.json; give a whole model"),
        ("decoder/config.json", "decoder has no config.json; give a whole model"),
        ("decoder/diffusion_pytorch_model.safetensors", "decoder has neither"),
    ],
)
def test_what_a_published_folder_lacks_is_named(
    ondes: Ondes, song: Path, tmp_path: Path, lost: str, words: str
) -> None:
    folder = tmp_path / "public"
    write_spectrogram_folder(SpectrogramParts(*tiny_networks(), dict(PUBLIC_SCHEDULER), None, {}), folder)
    (folder / "model_index.json").unlink()
    _is_refused_without(lost, words, folder, ondes, song)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("scheduler", "has no folder scheduler, which its model_index.json names; save or install the model"),
        ("decoder/config.json", "decoder has no config.json; save or install the model again"),
        ("model_index.json", "is not a saved synthesiser: it has no model_index.json"),
    ],
)
def test_what_a_model_of_ones_own_lacks_is_named(
    ondes: Ondes, model: Path, song: Path, tmp_path: Path, lost: str, words: str
) -> None:
    folder = shutil.copytree(model, tmp_path / "mine")
    _is_refused_without(lost, words, folder, ondes, song)


def test_a_pipeline_that_plays_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(UserError, match="'StableDiffusionPipeline', which plays no scores; give a Synthesis"):
        pipeline_class(tmp_path)
