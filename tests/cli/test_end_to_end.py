"""The command line with a real pipeline, whose networks are as small and untrained as they come."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sine_pipeline import Ondes

from ondes.audio import Audio
from ondes.cli.synth import Sampler
from ondes.pipelines.samplers import SAMPLERS
from ondes.pipelines.spectrogram_samplers import SPECTROGRAM_SAMPLERS
from ondes.pipelines.synthesis import SynthesisPipeline
from tiny_model import save_tiny_model  # pyright: ignore[reportMissingImports]


@pytest.fixture
def beats() -> int:
    """The song takes five segments with the tail."""
    return 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved pipeline with random weights and short segments."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_a_rendering_and_its_replay_are_the_same_bytes_as_from_python(
    ondes: Ondes, model: Path, song: Path
) -> None:
    output = song.with_suffix(".wav")
    assert ondes("synth", song, "-o", output, "--model", model, "--seed", 7).status == 0
    written = output.read_bytes()
    output.unlink()
    assert ondes("replay", song.with_suffix(".json")).status == 0
    assert output.read_bytes() == written
    SynthesisPipeline.from_pretrained(model)(song, seed=7).write(output)
    assert output.read_bytes() == written


def test_stems_sum_to_the_mix(ondes: Ondes, model: Path, song: Path) -> None:
    folder = song.with_name("out")
    assert ondes("synth", song, "-o", folder, "--stems", "--model", model, "--steps", 1).status == 0
    total = sum(Audio.read(file).samples for file in folder.glob("0*.wav"))
    assert np.abs(Audio.read(folder / "mix.wav").samples - total).max() <= 4 * 2**-23


def test_a_stream_carries_the_music_of_the_file(
    streamed: Callable[..., bytes], model: Path, song: Path
) -> None:
    output = song.with_suffix(".wav")
    streamed("synth", song, "-o", output, "--model", model)
    stream = streamed("synth", song, "--stream", "--model", model)
    samples, _ = soundfile.read(io.BytesIO(stream), dtype="float32", always_2d=True)
    assert np.abs(samples.T - Audio.read(output).samples).max() < 2**-15


@pytest.mark.slow
def test_another_process_streams_the_same_bytes(
    streamed: Callable[..., bytes], model: Path, song: Path
) -> None:
    words = ["synth", str(song), "--stream", "--model", str(model), "--threads", "1"]
    done = subprocess.run([sys.executable, "-m", "ondes.cli.main", *words], capture_output=True, check=True)
    assert done.stdout == streamed(*words)


def test_a_score_without_notes_is_silence_with_a_warning(ondes: Ondes, model: Path, tmp_path: Path) -> None:
    score = tmp_path / "silent.mid"
    score.write_bytes(bytes.fromhex("4d546864000000060000000101e04d54726b000000058f00ff2f00"))
    run = ondes("synth", score, "-o", tmp_path / "silent.wav", "--model", model)
    assert run.status == 0
    assert "no notes" in run.err
    silence = Audio.read(tmp_path / "silent.wav")
    assert silence.duration_s > 2.0
    assert not silence.samples.any()


def test_damaged_weights_are_one_line_and_status_2(
    ondes: Ondes, model: Path, song: Path, tmp_path: Path
) -> None:
    weights = next(model.glob("denoiser/*.safetensors"))
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        run = ondes("synth", song, "-o", tmp_path / "a.wav", "--model", model)
    finally:
        weights.write_bytes(whole)
    assert run.status == 2
    assert run.err.count("\n") == 1
    assert "is damaged" in run.err
    assert list(tmp_path.iterdir()) == [song]


@pytest.mark.parametrize("name", ["synth-smal", "nowhere/at/all", "."])
def test_a_model_that_is_none_is_one_line_and_status_2(
    name: str, ondes: Ondes, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(song.parent)
    run = ondes("synth", song, "-o", "a.wav", "--model", name)
    assert run.status == 2
    assert run.err.count("\n") == 1


def test_the_samplers_of_the_command_line_are_those_of_the_pipelines() -> None:
    assert {sampler.value for sampler in Sampler} == SAMPLERS.keys() | SPECTROGRAM_SAMPLERS.keys()


@pytest.mark.slow
def test_the_temperature_reaches_the_pipeline_and_the_replay(ondes: Ondes, model: Path, song: Path) -> None:
    output = song.with_suffix(".wav")
    assert ondes("synth", song, "-o", output, "--model", model, "--temperature", 0.25).status == 0
    cold = output.read_bytes()
    output.unlink()
    assert ondes("replay", song.with_suffix(".json")).status == 0
    assert output.read_bytes() == cold
    SynthesisPipeline.from_pretrained(model)(song, temperature=0.25).write(output)
    assert output.read_bytes() == cold
    SynthesisPipeline.from_pretrained(model)(song).write(output)
    assert output.read_bytes() != cold
