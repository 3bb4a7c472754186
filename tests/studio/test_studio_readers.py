"""Uploads are read in children: what they are, what is refused, and that nothing they do reaches the server."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studio_bench import PATIENCE_S, READERS, quiet, tone, wait_until

from musicxml_files import SONG, write_mxl
from ondes.audio import Audio
from ondes.colours import PART_COLOURS
from ondes.errors import UserError
from ondes.score import read_score, to_notes
from ondes.scores import bundled_score
from ondes.studio.media import display_name, is_score
from ondes.studio.readers import Readers
from ondes.studio.service import Studio

BAND = bundled_score("band").path

CRASHING = """
import os, signal, sys, time
import ondes.studio.reading_process as process
def crash(path): os.kill(os.getpid(), signal.SIGSEGV)
def hang(path):
    if os.fork() == 0: time.sleep(1000)
    time.sleep(1000)
def spin(path):
    while True: pass
def swell(path): bytearray(2**40); bytearray(2**33)
def babble(path): return "x" * 2**22
def fault(path): raise ZeroDivisionError(path)
def whose(path): return os.getppid()
def stifle(path): os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)
for name, function in list(globals().items()):
    if callable(function): process.READINGS[name] = ("__main__", name)
if sys.argv[1:] == ["inline"]: process.CAN_FORK = False
process.main([])
"""


def inspect(path: Path, name: str = "a file", **limits: Any) -> dict[str, Any]:
    return READERS.read(
        "inspect", name, path=str(path), name=name, **{"audio_s": 600.0, "notes": 100_000} | limits
    )


@pytest.fixture(scope="module")
def one_process() -> Iterator[Readers]:
    readers = Readers((), wall_s=PATIENCE_S, memory_bytes=2**28)
    readers.command = [sys.executable, "-c", CRASHING]
    yield readers
    readers.close()


@pytest.fixture
def faulty(one_process: Readers) -> Iterator[Readers]:
    """Waits as long as it takes, unless a test says otherwise."""
    yield one_process
    one_process.wall_s = PATIENCE_S


def test_a_score_is_described_by_its_notes() -> None:
    found, notes = inspect(BAND), to_notes(read_score(BAND))
    assert (found["kind"], found["suffix"], found["notes"]) == ("score", ".mid", len(notes))
    assert found["duration_s"] == notes.duration_s


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_audio_is_known_by_what_it_holds_not_by_its_name(tmp_path: Path, suffix: str) -> None:
    Audio(np.tile(tone(1.0, 0).samples, (2, 1)), 8000).write(tmp_path / f"a{suffix}")
    (tmp_path / f"a{suffix}").rename(tmp_path / "anything")
    found = inspect(tmp_path / "anything", "anything.mid")
    assert (found["kind"], found["suffix"]) == ("audio", suffix)
    assert (found["sample_rate_hz"], found["channels"]) == (8000, 2)
    assert found["duration_s"] == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("suffix", [".musicxml", ".mxl"])
def test_musicxml_is_a_score_under_the_limits_of_a_child(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a"
    write_mxl(path) if suffix == ".mxl" else path.write_text(SONG)
    found = inspect(path, "song.wav")
    assert (found["kind"], found["suffix"], found["notes"]) == ("score", suffix, 4)


def test_what_is_no_music_is_refused_by_its_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret place"
    cases = {
        "a.mid": b"MThd\0\0",
        "b.wav": b"RIFF" + bytes(40),
        "c.txt": b"hello world, this is no music at all",
        "d.xml": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>",
        "e.mxl": b"PK\x03\x04" + bytes(100),
        "f.flac": b"fLaC" + bytes(range(256)),
    }
    for name, data in cases.items():
        path.write_bytes(data)
        with pytest.raises(UserError) as refused:
            inspect(path, name)
        assert name in str(refused.value)
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_head_that_promises_hours_costs_nothing(tmp_path: Path) -> None:
    tone(0.5, 0).write(tmp_path / "a.wav")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = (2**31).to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(data)
    assert inspect(tmp_path / "a.wav")["duration_s"] == 0.5


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    import soundfile  # noqa: PLC0415

    soundfile.write(tmp_path / "a.wav", np.full((4000, 1), np.nan, np.float32), 8000, subtype="FLOAT")
    with pytest.raises(UserError, match="NaN or infinite"):
        inspect(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("crash", "cannot be read: it ends the program that reads it"),
        ("hang", r"takes more than 0\.5 s to read"),
        ("spin", r"takes more than 0\.5 s to read"),
        ("swell", "takes more memory to read than is allowed"),
        ("babble", "cannot be read"),
        ("fault", "cannot be read"),
    ],
)
def test_whatever_a_file_does_to_its_reader_is_a_sentence(faulty: Readers, what: str, words: str) -> None:
    faulty.wall_s = 0.5 if "0" in words else PATIENCE_S
    with pytest.raises(UserError, match=rf"^evil\.mid {words}"):
        faulty.read(what, "evil.mid", path="x")


def test_what_a_child_started_ends_with_it(faulty: Readers) -> None:
    server = faulty.read("whose", "a", path="x")
    faulty.wall_s = 0.5
    with pytest.raises(UserError):
        faulty.read("hang", "a", path="x")
    wait_until(lambda: not _children_of(server))


def _children_of(process: int) -> list[int]:
    """Processes that another began, where the system says so."""
    processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [one for one in processes if _parent_of(one) == process]


def _parent_of(process: int) -> int | None:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def test_at_the_end_nobody_is_left_and_nothing_begins_anew() -> None:
    readers = Readers((), wall_s=PATIENCE_S, memory_bytes=2**28)
    readers.command = [sys.executable, "-c", CRASHING]
    server = readers.read("whose", "a", path="x")
    refused = []

    def hang() -> None:
        with pytest.raises(UserError) as found:
            readers.read("hang", "a", path="x")
        refused.append(str(found.value))

    hanging = threading.Thread(target=hang)
    hanging.start()
    wait_until(lambda: len(_children_of(server)) == 1)
    children = _children_of(server)
    readers.close()
    hanging.join()
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert refused == ["the studio is ending and reads nothing any more; try again later"]


def test_others_do_not_wait_for_one_that_hangs(faulty: Readers) -> None:
    server = faulty.read("whose", "a", path="x")

    def hang() -> None:
        with pytest.raises(UserError):
            faulty.read("spin", "a", path="x")

    hanging = threading.Thread(target=hang)
    hanging.start()
    wait_until(lambda: len(_children_of(server)) == 1)
    (spinning,) = _children_of(server)
    assert faulty.read("whose", "a", path="x") == server
    assert hanging.is_alive()
    os.kill(spinning, signal.SIGKILL)
    hanging.join()


def test_the_process_that_reads_is_begun_again_when_it_dies(faulty: Readers) -> None:
    before = faulty.read("whose", "a", path="x")
    with pytest.raises(UserError, match="cannot be read"):
        faulty.read("stifle", "a", path="x")
    assert faulty.read("whose", "a", path="x") != before


def test_where_nothing_can_be_forked_the_process_itself_reads() -> None:
    readers = Readers((), wall_s=PATIENCE_S, memory_bytes=2**28)
    readers.command = [sys.executable, "-c", CRASHING, "inline"]
    assert readers.read("whose", "a", path="x") == os.getpid()
    with pytest.raises(UserError, match="cannot be read"):
        readers.read("crash", "a", path="x")
    assert readers.read("whose", "a", path="x") == os.getpid()
    readers.close()


def test_malformed_files_by_the_dozen_are_refused_one_by_one(tmp_path: Path) -> None:
    chance, score = np.random.default_rng(1), bytearray(BAND.read_bytes())
    outcomes = {"taken": 0, "refused": 0}
    for _ in range(30):
        data = score.copy()
        for place in chance.integers(0, len(data), 20):
            data[place] = chance.integers(0, 256)
        (tmp_path / "x").write_bytes(data[: chance.integers(1, len(data))])
        try:
            inspect(tmp_path / "x", "x.mid")
            outcomes["taken"] += 1
        except UserError:
            outcomes["refused"] += 1
    assert sum(outcomes.values()) == 30
    assert outcomes["refused"] > 15


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (b"MThd\0\0\0\6", "a.wav", True),
        (b"RIFF\0\0\0\0RMID", "a", True),
        (b"RIFF\0\0\0\0WAVE", "a.mid", False),
        (b"\xef\xbb\xbf<?xml", "a.wav", True),
        (b"ID3\4", "a.xml", False),
        (b"\xff\xfb\x90", "a.mid", False),
        (b"\xff\xfe<\0?\0", "a.mp3", True),
        (b"junk", "a.MID", True),
    ],
)
def test_first_bytes_count_more_than_a_name(head: bytes, name: str, expected: bool) -> None:
    assert is_score(head, name) is expected


def test_a_name_is_never_empty_long_or_a_place() -> None:
    for name in ("", "/", "..", "\0", "a/b/../", "\u202e\u2066", "." * 300, "é" * 300 + ".musicxml"):
        shown = display_name(name)
        assert 0 < len(shown) <= 120
        assert not set(shown) & set("/\\\0\n\r\u202e")
        assert display_name(shown) == shown


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = quiet(tmp_path)
    studio.start()
    yield studio
    studio.room.drawers.close()
    studio.stop()


def test_notes_are_what_the_score_says_and_bars_end_with_it(studio: Studio) -> None:
    file = studio.example("band")
    path, media_type = studio.view(file.id, "notes")
    found, notes = json.loads(path.read_text()), to_notes(read_score(BAND))
    assert media_type == "application/json"
    assert len(found["notes"]) == len(notes)
    onset_s, release_s, pitch, velocity, part = found["notes"][10]
    assert onset_s == pytest.approx(notes.onset_s[10], abs=1e-4)
    assert release_s == pytest.approx(notes.release_s[10], abs=1e-4)
    assert [pitch, velocity, part] == [notes.pitch[10], notes.velocity[10], notes.part[10]]
    assert [one["name"] for one in found["parts"]] == [one.name for one in notes.parts]
    colours = [one["colour"] for one in found["parts"]]
    assert len(set(colours)) == len(colours)
    assert [colour in PART_COLOURS for colour in colours] == [not part.is_drum for part in notes.parts]
    bars = found["bars"]
    assert bars[0] == 0
    assert (np.diff(bars) > 0).all()
    assert bars[-2] < notes.onset_s.max() < bars[-1]


def test_peaks_hold_every_sample_between_them(studio: Studio, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    sound = Audio(chance.uniform(-0.9, 0.9, (2, 12_345)).astype(np.float32), 8000)
    sound.write(tmp_path / "a.wav")
    file = studio.add_file("a.wav", tmp_path / "a.wav")
    found = json.loads(studio.view(file.id, "peaks")[0].read_text())
    width = round(found["column_s"] * 8000)
    assert len(found["minima"]) == len(found["maxima"]) == -(-12_345 // width) <= 2000
    first = sound.samples[:, 7 * width : 8 * width]
    assert found["minima"][7] == pytest.approx(first.min(), abs=1e-4)
    assert found["maxima"][7] == pytest.approx(first.max(), abs=1e-4)
    assert (found["duration_s"], found["channels"]) == (12_345 / 8000, 2)


def test_the_same_samples_in_another_container(studio: Studio, tmp_path: Path) -> None:
    tone(0.7, 3).write(tmp_path / "a.wav")
    file = studio.add_file("a.wav", tmp_path / "a.wav")
    path, media_type = studio.view(file.id, "flac")
    assert media_type == "audio/flac"
    assert (Audio.read(path).samples == Audio.read(tmp_path / "a.wav").samples).all()
    assert studio.view(file.id, "wav")[0] == studio.file(file.id)[1]
    made_s = path.stat().st_mtime_ns
    assert studio.view(file.id, "flac")[0].stat().st_mtime_ns == made_s
    for what in ("notes", "../../x", ""):
        with pytest.raises(UserError, match=r"a\.wav is audio and has no view"):
            studio.view(file.id, what)


@pytest.mark.slow
def test_pictures_are_drawn_in_a_child(studio: Studio, tmp_path: Path) -> None:
    import matplotlib.image  # noqa: PLC0415

    tone(0.01, 3).write(tmp_path / "a.wav")
    sound = studio.add_file("$$a^.wav", tmp_path / "a.wav")
    for file, what in ((sound.id, "mel.png"), (studio.example("band").id, "roll.png")):
        path, media_type = studio.view(file, what)
        picture = matplotlib.image.imread(path)
        assert media_type == "image/png"
        assert picture.shape[1] == 1540
        assert picture[..., :3].std() > 0.05


@pytest.mark.slow
def test_a_thousand_malformed_uploads_leave_memory_as_it_was(studio: Studio, tmp_path: Path) -> None:
    chance, score = np.random.default_rng(2), BAND.read_bytes()
    tone(0.3, 1).write(tmp_path / "a.flac")
    seeds = [score, (tmp_path / "a.flac").read_bytes(), b"<?xml version='1.0'?><score-partwise/>"]

    def upload(number: int) -> None:
        data = bytearray(seeds[number % 3])
        data = data[: chance.integers(1, len(data))]
        for place in chance.integers(0, len(data), 10):
            data[place] = chance.integers(0, 256)
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(UserError):
            studio.add_file("x", tmp_path / "x")

    def resident_kib() -> int:
        return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])

    taken = 0
    before = 0
    for number in range(1000):
        if number == 100:
            before = resident_kib()
        try:
            upload(number)
        except pytest.fail.Exception:  # a few lost bytes do not make every file unreadable
            taken += 1
    assert resident_kib() - before < 20_000
    assert taken < 500
    assert len(list((tmp_path / "files").iterdir())) == taken
    assert list((tmp_path / "incoming").iterdir()) == []
