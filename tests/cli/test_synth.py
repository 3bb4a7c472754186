from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sine_pipeline import Ondes, SinePipeline

from musicxml_files import SONG, write_mxl
from ondes.audio import Audio
from ondes.score import read_score, to_notes


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_every_suffix_holds_the_music_of_the_pipeline(
    suffix: str, ondes: Ondes, sines: SinePipeline, song: Path, tmp_path: Path
) -> None:
    output = tmp_path / f"song{suffix}"
    assert ondes("synth", song, "-o", output, "--seed", 7).status == 0
    expected = Audio.concatenate(sines.stream(to_notes(read_score(song)), seed=7))
    got = Audio.read(output)
    tolerance = 2e-7 if suffix in (".wav", ".flac") else 0.05
    assert got.samples.shape == expected.samples.shape
    assert np.abs(got.samples - expected.samples).max() < tolerance


def test_the_sidecar_tells_what_was_made_from_what(
    ondes: Ondes, sines: SinePipeline, song: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "song.wav"
    output.parent.mkdir()
    ondes(
        "synth", song, "-o", output, "--seed", 3, "--sampler", "heun", "--guidance", 1.5, "--temperature", 0.5
    )
    card = json.loads((tmp_path / "out" / "song.json").read_text())
    assert card["score"] == {"name": "../song.mid", "sha256": _sha256(song)}
    assert card["model"] == {"name": "synth-small", "sha256": sines.model_hash}
    assert card["settings"]["seed"] == 3
    assert card["settings"]["steps"] == sines.default_steps
    assert card["settings"]["sampler"] == "heun"
    assert card["settings"]["guidance_scale"] == 1.5
    assert card["settings"]["temperature"] == 0.5
    assert card["output"]["sha256"] == _sha256(output)
    assert card["output"]["sample_rate_hz"] == 44_100
    assert card["output"]["duration_s"] == pytest.approx(Audio.read(output).duration_s)
    assert {"ondes", "torch", "diffusers"} <= set(card["versions"])


@pytest.mark.slow
def test_the_record_of_a_composition_stays_when_it_is_played(
    ondes: Ondes, song: Path, tmp_path: Path
) -> None:
    beside = tmp_path / "song.json"
    beside.write_text('{"ondes_composition": 1}')
    assert ondes("synth", song, "-o", tmp_path / "song.wav").status == 0
    assert beside.read_text() == '{"ondes_composition": 1}'
    card = json.loads((tmp_path / "song.wav.json").read_text())
    assert card["output"]["sha256"] == _sha256(tmp_path / "song.wav")
    assert ondes("replay", tmp_path / "song.wav.json", "-o", tmp_path / "again.wav").status == 0
    assert _sha256(tmp_path / "again.wav") == _sha256(tmp_path / "song.wav")


def test_zipped_musicxml_is_played_and_its_losses_are_said(
    ondes: Ondes, sines: SinePipeline, tmp_path: Path
) -> None:
    pytest.importorskip("verovio", reason="verovio converts MusicXML; pip install 'ondes[musicxml]'")
    forte = "<direction><direction-type><dynamics><f/></dynamics></direction-type></direction>"
    write_mxl(tmp_path / "song.mxl", SONG.replace("<note>", f"{forte}<note>", 1))
    run = ondes("synth", tmp_path / "song.mxl", "-o", tmp_path / "song.wav")
    assert run.status == 0
    assert "song.mxl: dynamics and hairpins not played: 1" in run.err
    assert Audio.read(tmp_path / "song.wav").duration_s == pytest.approx(2.0, abs=0.01)
    card = json.loads((tmp_path / "song.json").read_text())
    assert card["score"] == {"name": "song.mxl", "sha256": _sha256(tmp_path / "song.mxl")}


def test_no_sidecar_where_none_is_wanted(
    ondes: Ondes, sines: SinePipeline, song: Path, tmp_path: Path
) -> None:
    ondes("synth", song, "-o", tmp_path / "a.wav", "--no-sidecar")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.wav", "song.mid"]


def test_stems_sum_to_the_mix(ondes: Ondes, sines: SinePipeline, song: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert ondes("synth", song, "-o", folder, "--stems").status == 0
    names = sorted(file.name for file in folder.iterdir())
    assert names == [
        "01-drums.wav",
        "02-electric-piano-rhodes.wav",
        "03-bass.wav",
        "mix.json",
        "mix.wav",
    ]
    total = sum(Audio.read(folder / name).samples for name in names[:3])
    assert np.abs(Audio.read(folder / "mix.wav").samples - total).max() <= 4 * 2**-23


def test_stems_of_an_earlier_rendering_are_pointed_out(
    ondes: Ondes, sines: SinePipeline, song: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "07-tuba.wav").touch()
    assert (
        "07-tuba.wav is a stem of an earlier rendering" in ondes("synth", song, "-o", folder, "--stems").err
    )


@pytest.fixture
def odd_files(sines: SinePipeline, song: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a song and files that are not what they should be."""
    monkeypatch.chdir(song.parent)
    Path("text.mid").write_text("no music")
    Path("empty.mid").touch()
    Path("cut.mid").write_bytes(song.read_bytes()[:200])
    Path("silent.mid").write_bytes(bytes.fromhex("4d546864000000060000000101e04d54726b0000000400ff2f00"))
    Path("mine.json").write_text('{"my": "own"}')
    return song.parent


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.mid", "-o", "a.wav"], "missing.mid does not exist"),
        (["text.mid", "-o", "a.wav"], "text.mid"),
        (["empty.mid", "-o", "a.wav"], "empty.mid"),
        (["cut.mid", "-o", "a.wav"], "cut.mid"),
        (["song.mid", "-o", "a.xyz"], "unknown suffix '.xyz'"),
        (["song.mid", "-o", "nowhere/a.wav"], "nowhere does not exist"),
        (["song.mid", "-o", "."], "suffix"),
        (["song.mid", "-o", "mine.wav"], "mine.json exists and is no record of ondes"),
        (["song.mid", "-o", "a.wav", "--stems"], "pass -o a/"),
        (["song.mid", "-o", "text.mid", "--stems"], "text.mid is a file"),
        (["silent.mid", "-o", "out", "--stems"], "has no notes"),
        (["song.mid", "-o", "a.wav", "--stream"], "leave out -o"),
        (["song.mid", "--stems", "--stream"], "leave out --stems"),
        (["song.mid", "--raw"], "add --stream"),
    ],
)
def test_what_cannot_be_used_gives_one_line_and_status_2(
    words: list[str], message: str, ondes: Ondes, odd_files: Path
) -> None:
    before = sorted(odd_files.iterdir())
    run = ondes("synth", *words)
    assert run.status == 2
    assert run.err.startswith("ondes: ")
    assert run.err.count("\n") == 1
    assert message in run.err
    assert sorted(odd_files.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["song.mid", "--bogus"], "No such option"),
        (["song.mid", "--sampler", "plms"], "dpm++"),
        (["song.mid", "--temperature", "3"], "equal to 2"),
        (["song.mid", "--steps", "0"], "equal to 1"),
        (["song.mid", "--seed", "-1"], "equal to 0"),
        ([], "Missing argument"),
    ],
)
def test_wrong_options_are_explained_with_status_2(words: list[str], message: str, ondes: Ondes) -> None:
    run = ondes("synth", *words)
    assert run.status == 2
    assert message in run.err


def test_the_output_is_checked_before_the_model_loads(
    ondes: Ondes, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("ondes.cli.rendering.load_pipeline", never)
    assert ondes("synth", song, "-o", "/nowhere/a.wav").status == 2
    assert ondes("synth", song, "-o", song / "out", "--stems").status == 2


def test_a_defect_on_the_way_leaves_no_file(
    ondes: Ondes, sines: SinePipeline, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(*args: object, **kwargs: object):
        yield Audio.silence(1.0)
        raise OSError(28, "No space left on device", "a.wav")

    monkeypatch.setattr(sines, "stream", half)
    run = ondes("synth", song, "-o", tmp_path / "a.wav")
    assert run.status == 2
    assert run.err.endswith("ondes: a.wav: No space left on device\n")
    assert list(tmp_path.iterdir()) == [song]


@pytest.mark.parametrize(
    ("sent", "status", "stems"),
    [(signal.SIGINT, 130, False), pytest.param(signal.SIGTERM, 143, True, marks=pytest.mark.slow)],
)
def test_stopping_leaves_no_file_and_no_traceback(sent: int, status: int, stems: bool, song: Path) -> None:
    output = song.parent / ("out" if stems else "out.wav")
    words = ["synth", str(song), "-o", str(output)] + ["--stems"] * stems
    program = Path(__file__).with_name("sine_pipeline.py")
    process = subprocess.Popen(
        [sys.executable, str(program), *words],
        env=os.environ | {"SINE_DELAY_S": "20"},  # it must not end before it is told to
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 120
    while not list(song.parent.glob("**/.ondes-*")) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    assert process.returncode == status
    assert "Traceback" not in err
    assert list(song.parent.iterdir()) == [song]
