"""The audio commands with a tiny saved model, from file to file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sine_pipeline import Ondes

from midi_bytes import midi, note, track
from tiny_model import save_tiny_audio, save_tiny_model

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_audio(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def play(ondes: Ondes, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ondes:
    """Runs a command with the tiny model in a folder of 16-bit, 24-bit and float sounds of a second and a half."""
    monkeypatch.chdir(tmp_path)
    time_s = np.arange(RATE_HZ * 3 // 2) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 330 * time_s)
    stereo = np.stack([tone, 0.5 * tone], 1)
    soundfile.write("short.wav", stereo, RATE_HZ, subtype="PCM_16")
    soundfile.write("mono.flac", tone, RATE_HZ, subtype="PCM_24")
    soundfile.write("float.wav", stereo.astype(np.float32), RATE_HZ, subtype="FLOAT")
    return lambda command, *words: ondes(command, *words, "--model", model, "--threads", 1)


def _read(path: str) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


@pytest.mark.parametrize(
    "name",
    ["mono.flac", *(pytest.param(name, marks=pytest.mark.slow) for name in ("float.wav", "short.wav"))],
)
def test_inpainting_and_outpainting_keep_every_sample_outside(name: str, play: Ondes, ondes: Ondes) -> None:
    before = Path(name).read_bytes()
    suffix = Path(name).suffix
    assert play("inpaint", name, "--regions", "0.5-0.75,1-end", "-o", f"new{suffix}").status == 0
    run = play("outpaint", name, "--before", "0.2", "--after", "0.3", "-o", f"longer{suffix}")
    assert (run.status, "exactly" in run.err) == (0, False)
    assert Path(name).read_bytes() == before
    given, new, longer = (_read(file) for file in (name, f"new{suffix}", f"longer{suffix}"))
    outside = np.r_[0 : RATE_HZ // 2, RATE_HZ * 3 // 4 : RATE_HZ]
    assert new.shape == given.shape
    assert np.array_equal(new[outside], given[outside])
    assert not np.allclose(new, given, atol=1e-3)
    assert longer.shape == (RATE_HZ * 2, given.shape[1])
    assert np.array_equal(longer[RATE_HZ // 5 : -RATE_HZ * 3 // 10], given)
    for file in ("new", "longer"):
        assert ondes("replay", f"{file}.json", "-o", f"again{suffix}").status == 0
        assert Path(f"again{suffix}").read_bytes() == Path(f"{file}{suffix}").read_bytes()


def test_new_music_has_its_length_and_seed_and_is_replayed(play: Ondes, ondes: Ondes) -> None:
    words = ["--duration", "1.23", "--style", "piano", "--guidance", 2, "--lufs", "-20"]
    assert play("generate", *words, "-n", 2, "--seed", 3, "-o", "out").status == 0
    assert play("generate", *words, "--seed", 4, "-o", "alone.wav").status == 0
    assert len(_read("alone.wav")) == round(1.23 * 44_100)
    assert (
        Path("out/02.wav").read_bytes() == Path("alone.wav").read_bytes() != Path("out/01.wav").read_bytes()
    )
    assert ondes("replay", "out/02.json", "-o", "again.wav").status == 0
    assert Path("again.wav").read_bytes() == Path("alone.wav").read_bytes()


@pytest.mark.parametrize("method", ["noise", pytest.param("inversion", marks=pytest.mark.slow)])
def test_a_file_of_a_walk_is_that_of_its_ratio(method: str, play: Ondes, ondes: Ondes) -> None:
    words = ["interpolate", "short.wav", "mono.flac", "--method", method, "--seed", 1]
    assert play(*words, "--steps", 3, "-o", "walk").status == 0
    assert play(*words, "--ratio", 0.5, "-o", "middle.wav").status == 0
    files = [Path(f"walk/0{number}.wav").read_bytes() for number in (1, 2, 3)]
    assert len(set(files)) == 3
    assert Path("middle.wav").read_bytes() == files[1]
    assert ondes("replay", "walk/03.json", "-o", "again.wav").status == 0
    assert Path("again.wav").read_bytes() == files[2]


@pytest.mark.parametrize(
    "name",
    ["float.wav", *(pytest.param(name, marks=pytest.mark.slow) for name in ("short.wav", "mono.flac"))],
)
def test_strength_0_gives_the_input_back_and_1_nothing_of_it(name: str, play: Ondes) -> None:
    output = f"new{Path(name).suffix}"
    none = play("vary", name, "--strength", 0, "-o", output)
    assert (none.status, none.err.count("strength")) == (0, 1)
    assert np.array_equal(_read(output), _read(name))
    whole = play("vary", name, "--strength", 1, "-o", output)
    assert (whole.status, whole.err.count("strength")) == (0, 1)
    assert not np.allclose(_read(output), _read(name), atol=1e-3)


def test_what_the_model_cannot_do_is_one_line(play: Ondes) -> None:
    soundfile.write("click.wav", np.full(100, 0.5), RATE_HZ)
    for words, message in (
        (["generate", "--style", "pianoo"], "'pianoo'"),
        (["generate", "--duration", "0.001"], "0.001 s"),
        (["vary", "click.wav"], "click.wav lasts 0.00625 s"),
        (["generate", "--vocoder", "nothing"], "there is no vocoder 'nothing'"),
    ):
        run = play(*words, "-o", "new.wav")
        assert (run.status, run.err.count("\n"), Path("new.wav").exists()) == (2, 1, False), run.err
        assert message in run.err


def test_odd_sounds_are_edited_with_a_word_about_them(play: Ondes) -> None:
    soundfile.write("silent.wav", np.zeros(44_100), 44_100)
    soundfile.write("clipped.wav", np.clip(np.sin(np.arange(44_100) / 40) * 3, -1, 1), 44_100)
    for name, message in (
        ("silent.wav", "is silent"),
        ("clipped.wav", "is clipped"),
        ("mono.flac", "16000 Hz"),
    ):
        run = play("inpaint", name, "--regions", "0.2-0.4", "-o", "new.wav")
        assert (run.status, message in run.err) == (0, True), run.err


def test_a_model_of_another_kind_is_refused(ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("generate", "--model", "synth-small", "-o", tmp_path / "new.wav")
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert "there is no audio 'synth-small'" in run.err


def test_a_region_is_played_from_a_score_and_replayed(
    play: Ondes, ondes: Ondes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    synthesiser = save_tiny_model(tmp_path_factory.mktemp("models") / "synth")
    score = midi(track(note(0, 960, 69)))
    Path("song.mid").write_bytes(score)
    words = ["inpaint", "short.wav", "--midi", "song.mid", "--regions", "0.5-0.75", "--threads", 1]
    assert ondes(*words, "--model", synthesiser, "-o", "new.wav").status == 0
    given, new = _read("short.wav"), _read("new.wav")
    outside = np.r_[0 : RATE_HZ // 2, RATE_HZ * 3 // 4 : len(given)]
    assert np.array_equal(new[outside], given[outside])
    assert not np.allclose(new, given, atol=1e-3)
    assert ondes("replay", "new.json", "-o", "again.wav").status == 0
    assert Path("again.wav").read_bytes() == Path("new.wav").read_bytes()
    Path("song.mid").write_bytes(score + b"\0")
    run = ondes("replay", "new.json", "-o", "again.wav")
    assert (run.status, "is gone or has changed" in run.err) == (2, True)
    run = ondes(*words, "--strength", 0.5)
    assert (run.status, "--strength is of music without a score" in run.err) == (2, True)
