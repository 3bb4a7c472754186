"""The examples run, and are as short as promised."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from ondes.audio import Audio
from ondes.pipelines import bundled
from ondes.scores.notation import Page, to_midi

EXAMPLES = Path(__file__).parent.parent / "examples"
WORDS = {
    "compose_and_play": ["out.wav"],
    "mend_a_second": ["out.wav"],
    "separate_and_play": ["song.mid", "out.wav"],
    "play": ["song.mid", "out.wav"],
    "stop_and_resume": ["song.mid", "out"],
    "stream_while_playing": ["song.mid", "out.wav"],
    "write_a_score": ["out.wav"],
    "what_an_edit_changes": ["song.mid"],
}


@pytest.fixture(autouse=True)
def shelf(tiny_shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds of song in the current folder, and tiny models under the bundled names."""
    page = Page("Piano")
    for beat in range(6):
        page.note(beat, 60 + beat, 0.9, 80)
    (tmp_path / "song.mid").write_bytes(to_midi([page], [(0.0, 120.0)]))
    monkeypatch.setattr(bundled, "WEIGHTS", tiny_shelf)
    monkeypatch.chdir(tmp_path)


def _run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *WORDS[name]])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_every_example_is_tested_and_under_40_lines() -> None:
    files = {file.stem: len(file.read_text().splitlines()) for file in EXAMPLES.glob("*.py")}
    assert set(files) == set(WORDS) | {"studio_synthesize"}  # run in tests/studio, where its server is
    assert max(files.values()) < 40


@pytest.mark.parametrize(
    "name",
    [
        "play",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("compose_and_play", "separate_and_play", "stream_while_playing", "write_a_score")
        ),
    ],
)
def test_examples_write_music(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(name, monkeypatch)
    audio = Audio.read("out.wav")
    assert audio.channels == 2
    assert audio.samples.any()


@pytest.mark.slow
def test_an_edit_leaves_what_comes_before_its_segment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("what_an_edit_changes", monkeypatch)
    edited, differs = (float(line.split()[-2]) for line in capsys.readouterr().out.splitlines())
    assert edited == pytest.approx(2.5, abs=0.01)
    segment_s = 64 * 512 / 44_100
    assert edited - segment_s < differs < edited + 0.1


@pytest.mark.slow
def test_mending_a_second_changes_that_second_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("mend_a_second", monkeypatch)
    first, last = (float(word) for word in capsys.readouterr().out.split() if word[0].isdigit())
    assert 1.5 <= first < 1.51
    assert 2.49 < last <= 2.5
    assert Audio.read("out.wav").duration_s == 4.0


@pytest.mark.slow
def test_a_task_stops_and_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("stop_and_resume", monkeypatch)
    *told, files = capsys.readouterr().out.splitlines()
    stopped = told.index("stopped")
    assert files == "audio.wav record.json"
    assert 0 < stopped < len(told) - stopped - 1
    assert Audio.read(Path("out") / "audio.wav").duration_s == pytest.approx(4.95, abs=0.02)
