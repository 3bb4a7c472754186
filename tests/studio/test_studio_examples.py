"""The examples that speak to a studio do so in three languages, and come back with the same file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_studio import FakeStudio
from served_app import served

from ondes.studio.api import create_app
from ondes.studio.security import Security

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TOKEN = "correct-horse-battery-staple"
PROGRAMS = {
    "py": sys.executable,
    "sh": shutil.which("curl") and shutil.which("sh"),
    "js": shutil.which("node"),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    studio = FakeStudio(tmp_path_factory.mktemp("studio"))
    with served(create_app(studio, Security(token=TOKEN))) as port:
        yield f"http://127.0.0.1:{port}"


def _run(language: str, token: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = PROGRAMS[language]
    if program is None:
        pytest.skip("the program that runs it is not installed")
    return subprocess.run(
        [
            program,
            str(EXAMPLES / f"studio_synthesize.{language}"),
            url,
            str(folder / "song.mid"),
            str(folder / "out"),
        ],
        env={"ONDES_TOKEN": token, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("language", PROGRAMS)
def test_an_example_sends_a_score_and_fetches_the_music(language: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(b"MThd" + bytes(100))
    ran = _run(language, TOKEN, url, tmp_path)
    assert ran.returncode == 0, ran.stderr
    made = (tmp_path / "out").read_bytes()
    assert made.startswith(b"RIFF")
    assert len(made) == 4 + 32
    assert language == "sh" or "done: 2.0 of 2.0 s" in ran.stdout


@pytest.mark.parametrize("language", ["sh", "js"])
def test_an_example_says_what_the_server_refuses(language: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(b"MThd")
    ran = _run(language, "a wrong token of mine", url, tmp_path)
    assert ran.returncode != 0
    assert not (tmp_path / "out").exists()
    assert "needs its token" in ran.stdout + ran.stderr
