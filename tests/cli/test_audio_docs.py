"""The table of options in docs/audio.md is that of the commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from ondes.cli.main import build_app
from ondes.tasks.audio_record import VERBS

PAGE = Path(__file__).parents[2] / "docs" / "audio.md"
ROW = re.compile(r"^\| (`-.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def _documented() -> dict[tuple[str, str], str]:
    """Default by command and option, as the page says."""
    found = {}
    for options, commands, default, _ in ROW.findall(PAGE.read_text("utf-8")):
        for option in re.findall(r"`(--?[a-z-]+)", options):
            for command in VERBS if commands == "all" else commands.split(", "):
                assert (command, option) not in found
                found[command, option] = default
    return found


def _real() -> dict[tuple[str, str], Any]:
    """Default by command and option, as the command line has them."""
    commands = typer.main.get_command(build_app()).commands  # pyright: ignore[reportAttributeAccessIssue]
    return {
        (verb, spelling): parameter.default
        for verb in VERBS
        for parameter in commands[verb].params
        for spelling in [*parameter.opts, *parameter.secondary_opts]
        if spelling.startswith("-") and "help" not in spelling
    }


def test_every_option_is_documented_and_no_other() -> None:
    assert set(_documented()) == set(_real())


def test_documented_defaults_are_the_real_ones() -> None:
    real, documented = _real(), _documented()
    for place, default in real.items():
        if place == ("interpolate", "--ratio"):
            assert documented[place] == "0.5"
        elif place == ("inpaint", "--regions"):
            assert documented[place] == "must be given"
        elif default is None:
            assert re.search("[a-z]", documented[place]), place
        else:
            assert documented[place] == str(getattr(default, "value", default)), place


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_has_an_example_of_every_command(verb: str) -> None:
    assert f"\nondes {verb} " in PAGE.read_text("utf-8")
