"""What the audio commands cannot use is one line and status 2, and leaves every file as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hum_pipeline import HumPipeline
from sine_pipeline import Ondes

from ondes.audio import Audio
from ondes.cli import audio_editing

RATE_HZ = 8000
LAST_SEED = str(2**32 - 1)


def _never(*_: object) -> None:
    raise AssertionError("the model was loaded")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with sounds of all kinds of trouble; no model may be loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audio_editing, "load_audio", _never)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * RATE_HZ, 2))
    soundfile.write("take.wav", wave, RATE_HZ)
    soundfile.write("whole.flac", wave, RATE_HZ)
    Path("cut.flac").write_bytes(Path("whole.flac").read_bytes()[:9000])
    spoilt = bytearray(Path("whole.flac").read_bytes())
    spoilt[9000:9100] = bytes(100)
    Path("spoilt.flac").write_bytes(spoilt)
    Path("text.wav").write_text("no sound at all")
    Path("empty.wav").touch()
    soundfile.write("nothing.wav", wave[:0], RATE_HZ)
    soundfile.write("nan.wav", np.full((9, 1), np.nan), RATE_HZ, subtype="FLOAT")
    soundfile.write("seven.wav", np.zeros((100, 7)), RATE_HZ)
    Path("linked.wav").symlink_to("take.wav")
    Path("folder").mkdir()
    soundfile.write("folder/take.wav", wave, RATE_HZ)
    Path("mine.json").write_text('{"my": "own"}')
    return tmp_path


BAD_SOUNDS = {
    "none.wav": "none.wav does not exist; give an audio file",
    "folder": "folder is a folder; give an audio file",
    "text.wav": "text.wav is not audio that can be read",
    "empty.wav": "empty.wav is not audio that can be read",
    "mine.json": "mine.json is not audio that can be read",
    "cut.flac": "cut.flac is not audio that can be read",
    "spoilt.flac": "spoilt.flac is not audio that can be read",
    "nothing.wav": "nothing.wav holds no samples; give a file with sound in it",
    "nan.wav": "nan.wav: 9 samples are NaN or infinite; give finite ones",
    "seven.wav": "seven.wav has 7 channels; mono and stereo can be edited, so mix it down first",
}


def _refused(ondes: Ondes, shelf: Path, words: list[str], message: str) -> None:
    """Run a command that must leave all files as they are, and say one line."""
    before = {file: file.read_bytes() for file in shelf.rglob("*") if file.is_file()}
    run = ondes(*words)
    assert (run.status, run.err.count("\n")) == (2, 1), run.err
    assert run.err.startswith("ondes: ")
    assert message in run.err
    assert {file: file.read_bytes() for file in shelf.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", BAD_SOUNDS)
def test_sounds_that_cannot_be_edited_are_refused(name: str, ondes: Ondes, shelf: Path) -> None:
    _refused(ondes, shelf, ["vary", "take.wav", name, "-o", "out"], BAD_SOUNDS[name])


@pytest.mark.parametrize(
    "words",
    [
        "inpaint text.wav --regions 0-1",
        "outpaint text.wav --after 1",
        "interpolate take.wav text.wav",
        "interpolate text.wav take.wav",
    ],
)
def test_every_command_looks_at_its_sounds(words: str, ondes: Ondes, shelf: Path) -> None:
    _refused(ondes, shelf, words.split(), "text.wav is not audio that can be read")


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ("1-1.5,1.25-2", "the regions 1-1.5 and 1.25-2 overlap"),
        ("1.5-1", "the region 1.5-1 runs backwards"),
        ("1-2.5", "the region 1-2.5 goes past the end of the sound, which is 2 s long"),
        ("1-1", "the region 1-1 has no length"),
        ("1-1.00001", "has no length: it holds no sample at 8000 Hz"),
        ("from here to there", "'from here to there' is no region; write start-stop"),
        ("1", "'1' is no region"),
    ],
)
def test_wrong_regions_are_refused(regions: str, message: str, ondes: Ondes, shelf: Path) -> None:
    _refused(ondes, shelf, ["inpaint", "take.wav", "--regions", regions], message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("outpaint take.wav", "--before 0 and --after 0 add nothing"),
        ("outpaint take.wav --after 0:00 --before 0.0", "add nothing; give one of them more"),
        ("outpaint take.wav --after soon", "--after: 'soon' is no time"),
        ("generate --duration 0", "--duration 0 is no length; give more than 0 seconds"),
        ("generate --duration ten", "--duration: 'ten' is no time"),
        ("generate --duration -5", "--duration: '-5' is no time"),
        (f"generate --seed {LAST_SEED} -n 2", "goes beyond the last seed"),
        ("interpolate take.wav whole.flac --steps 3 --ratio 0.5", "leave out --ratio"),
        ("interpolate take.wav whole.flac --steps 3 -n 2", "-n and --steps both say how many"),
    ],
)
def test_wrong_lengths_and_contradictions_are_refused(
    words: str, message: str, ondes: Ondes, shelf: Path
) -> None:
    _refused(ondes, shelf, words.split(), message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("vary take.wav -o take.wav", "take.wav is the input itself, which is never changed"),
        ("vary take.wav -o linked.wav", "linked.wav is the input itself"),
        ("vary linked.wav -o take.wav", "take.wav is the input itself"),
        ("vary folder/take.wav -o ./folder/../folder/take.wav", "is the input itself"),
        ("interpolate whole.flac take.wav -o take.wav", "take.wav is the input itself"),
        ("vary folder/take.wav whole.flac -o folder", "folder/take.wav is the input itself"),
        ("vary take.wav folder/take.wav -o out", "take.wav and folder/take.wav would both become take.wav"),
        ("vary take.wav -n 2 -o new.wav", "2 files go into a folder, and new.wav looks like a file"),
        ("generate -n 2 -o mine.json", "mine.json looks like a file"),
        ("generate -o new.xyz", "unknown suffix '.xyz'"),
        ("generate -o nowhere/new.wav", "nowhere does not exist"),
        ("generate -o folder", "suffix"),
        ("generate -o mine.wav", "mine.json exists and is no record of ondes"),
        ("generate --duration 60:00:00 -o new.wav", "a WAV file ends at 4 GiB"),
        ("vary take.wav -o new.wav --config none.yaml", "none.yaml cannot be read"),
    ],
)
def test_outputs_that_cannot_be_written_are_refused(
    words: str, message: str, ondes: Ondes, shelf: Path
) -> None:
    _refused(ondes, shelf, words.split(), message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("vary take.wav --strength 1.1", "1"),
        ("interpolate take.wav whole.flac --ratio -0.1", "0"),
        ("interpolate take.wav", "SECOND"),
        ("inpaint take.wav", "--regions"),
        ("vary", "SOUNDS"),
        ("generate --sampler ancestral", "dpm++"),
        ("generate --lufs 3", "--lufs"),
    ],
)
def test_wrong_options_are_explained_with_status_2(
    words: str, message: str, ondes: Ondes, shelf: Path
) -> None:
    run = ondes(*words.split())
    assert run.status == 2
    assert message in run.err


@pytest.fixture
def made(shelf: Path, ondes: Ondes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of an interpolation."""
    monkeypatch.setattr(audio_editing, "load_audio", lambda *_: HumPipeline())
    assert ondes("interpolate", "take.wav", "whole.flac", "-o", "new.wav").status == 0
    return shelf / "new.json"


def test_a_changed_or_missing_sound_is_not_replayed(made: Path, ondes: Ondes) -> None:
    Path("take.wav").rename("moved.wav")
    _refused(ondes, made.parent, ["replay", "new.json"], "take.wav is not there any more; pass --input")
    assert ondes("replay", "new.json", "--input", "moved.wav", "--input", "whole.flac").status == 0
    few = ["replay", "new.json", "--input", "moved.wav"]
    _refused(ondes, made.parent, few, "--input names 1 files, and the record has 2")
    Audio.silence(1.0, sample_rate_hz=RATE_HZ).write("take.wav")
    _refused(ondes, made.parent, ["replay", "new.json"], "sound take.wav is not the one that was played")


def test_a_replay_writes_over_no_input(made: Path, ondes: Ondes) -> None:
    _refused(ondes, made.parent, ["replay", "new.json", "-o", "linked.wav"], "linked.wav is the input itself")


def test_another_model_or_another_file_is_refused(
    made: Path, ondes: Ondes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refused(ondes, made.parent, ["replay", "new.json", "-o", "new.flac"], "another file format")
    monkeypatch.setattr(audio_editing, "load_audio", lambda *_: HumPipeline("b1" * 32))
    _refused(ondes, made.parent, ["replay", "new.json"], "model audio-small is not the one")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ondes_audio", 9, "audio record format 9"),
        ("verb", "very", "unknown verb 'very', did you mean 'vary'"),
        ("verb", None, "verb is None, which is no str"),
        ("model", {"name": "a"}, "damaged audio record"),
        ("inputs", [3], "where an object belongs"),
        ("choises", {}, "unknown field 'choises', did you mean 'choices'"),
    ],
)
def test_a_damaged_record_is_explained(
    name: str, value: object, message: str, made: Path, ondes: Ondes
) -> None:
    made.write_text(json.dumps(json.loads(made.read_text()) | {name: value}))
    _refused(ondes, made.parent, ["replay", "new.json"], message)


def test_other_bytes_leave_the_audio_alone_and_fail(made: Path, ondes: Ondes) -> None:
    before = Path("new.wav").read_bytes()
    card = json.loads(made.read_text())
    card["choices"]["seed"] = 99
    made.write_text(json.dumps(card))
    run = ondes("replay", "new.json")
    assert (run.status, "bytes differ" in run.err) == (1, True)
    assert Path("new.wav").read_bytes() == before
    assert Path("new.replay.wav").read_bytes() != before


def test_a_full_disk_leaves_nothing(shelf: Path, ondes: Ondes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(audio_editing, "load_audio", lambda *_: HumPipeline())
    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    for output in ("new.wav", "new"):
        words = ["generate", "--duration", "1", "-o", output, "-n", "1" if "." in output else "2"]
        run = ondes(*words)
        assert (run.status, "cannot be written" in run.err) == (2, True)
        assert not Path(output).exists()
        assert not list(shelf.glob("**/.ondes-*"))


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (signal.SIGINT, 130, "vary take.wav -n 40 -o out"),
        pytest.param(signal.SIGTERM, 143, "generate --duration 40 -o out.wav", marks=pytest.mark.slow),
    ],
)
def test_stopping_leaves_no_file_and_no_traceback(sent: int, status: int, words: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "take.wav", np.full(800, 0.25), 8000)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("hum_pipeline.py")), *words.split()],
        env=os.environ | {"HUM_DELAY_S": "0.1"},
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    deadline_s = time.monotonic() + 120
    while not list(tmp_path.glob("**/.ondes-*")) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    assert process.returncode == status
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == [tmp_path / "take.wav"]
