"""What tests of the command line share: running it, and a model that needs no weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sine_pipeline import Ondes, Run, SinePipeline

from ondes.cli import rendering
from ondes.cli.main import main
from ondes.scores.notation import Page, to_midi


@pytest.fixture
def ondes(capsys: pytest.CaptureFixture[str]) -> Ondes:
    """Runs `ondes` with the given words."""

    def run(*words: object) -> Run:
        with pytest.raises(SystemExit) as leaving:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        code = leaving.value.code
        assert isinstance(code, int)
        return Run(code, captured.out, captured.err)

    return run


@pytest.fixture
def streamed(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., bytes]:
    """Runs `ondes` with the given words; gives what the process has written to its standard output."""

    def run(*words: object) -> bytes:
        with pytest.raises(SystemExit) as leaving:
            main([str(word) for word in words])
        captured = capfdbinary.readouterr()
        assert leaving.value.code == 0, captured.err
        return captured.out

    return run


@pytest.fixture
def sines(monkeypatch: pytest.MonkeyPatch) -> SinePipeline:
    """Replaces every model by sines."""
    pipeline = SinePipeline()
    monkeypatch.setattr(rendering, "load_pipeline", lambda *_, **__: pipeline)
    return pipeline


@pytest.fixture
def beats() -> int:
    """Beats of the song; where networks play it, test files say less."""
    return 4


@pytest.fixture
def song(beats: int, tmp_path: Path) -> Path:
    """A MIDI file of two and a half seconds with three parts, in the folder of the test."""
    pages = [Page("Drums", is_drum=True), Page("Électric piano / Rhodes", 4), Page("Bass", 33)]
    for beat in range(beats):
        pages[0].note(beat, 36, 0.2, 90 + beat)
        pages[1].note(beat, 60 + beat, 1.0, 70)
        pages[2].note(beat, 36, 1.0, 80)
    path = tmp_path / "song.mid"
    path.write_bytes(to_midi(pages, [(0.0, 96.0)]))
    return path
