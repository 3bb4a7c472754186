from __future__ import annotations

import pytest
from sine_pipeline import Ondes

from ondes import __version__
from ondes.cli.console import clock


def test_the_version_is_that_of_the_package(ondes: Ondes) -> None:
    run = ondes("--version")
    assert run.status == 0
    assert run.out == f"ondes {__version__}\n"


@pytest.mark.parametrize("command", ["demo", "synth", "replay", "models", "train"])
def test_help_lists_every_command_and_each_explains_itself(command: str, ondes: Ondes) -> None:
    assert command in ondes("--help").out
    assert ondes(command, "--help").status == 0


def test_an_unknown_command_is_status_2(ondes: Ondes) -> None:
    run = ondes("sinth")
    assert run.status == 2
    assert "sinth" in run.err


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.24, "8.2 s"), (125, "2:05"), (3607, "1:00:07"), (59.99, "60.0 s")]
)
def test_durations_read_as_people_write_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text
