from __future__ import annotations

from pathlib import Path

import pytest
from sine_pipeline import Ondes

from ondes import __version__
from ondes.cli import rendering
from ondes.cli.console import clock
from ondes.cli.main import main


def test_the_version_is_that_of_the_package(ondes: Ondes) -> None:
    run = ondes("--version")
    assert run.status == 0
    assert run.out == f"ondes {__version__}\n"


@pytest.mark.parametrize("command", ["demo", "synth", "replay", "models", "train", "import", "export"])
def test_help_lists_every_command_and_each_explains_itself(command: str, ondes: Ondes) -> None:
    assert command in ondes("--help").out
    assert ondes(command, "--help").status == 0


def test_an_unknown_command_is_status_2(ondes: Ondes) -> None:
    run = ondes("sinth")
    assert run.status == 2
    assert "sinth" in run.err


@pytest.mark.parametrize(
    "words",
    ["[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory", "CUDA out of memory."],
)
def test_running_out_of_memory_is_one_line(
    words: str, ondes: Ondes, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(rendering, "load_pipeline", load)
    run = ondes("synth", song, "-o", song.with_suffix(".wav"))
    assert run.status == 2
    assert run.err == "ondes: not enough memory; close other programs, or make less music at once\n"


def test_a_defect_of_ours_is_not_hidden(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(rendering, "load_pipeline", load)
    with pytest.raises(RuntimeError, match="shapes"):
        main(["synth", str(song), "-o", str(song.with_suffix(".wav"))])


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.24, "8.2 s"), (125, "2:05"), (3607, "1:00:07"), (59.99, "60.0 s")]
)
def test_durations_read_as_people_write_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text
