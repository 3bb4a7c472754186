"""What README and documents show works: Python blocks run, shell commands parse, links lead somewhere."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer

from ondes.audio import Audio
from ondes.cli.main import build_app
from ondes.pipelines import bundled
from ondes.scores.notation import Page, to_midi
from ondes.sidecar import Sidecar
from ondes.tasks.audio_record import AudioRecord
from tiny_model import save_tiny_published_audio, save_tiny_published_composer

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SLOW_PAGES = ("audio.md", "published_audio.md", "published_composer.md", "synthesis.md")
"""Whose code takes seconds."""


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _shell_words() -> list[list[str]]:
    """Every `ondes` command in a shell block of any page, as words."""
    lines = [
        line
        for page in PAGES
        for block in _blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    commands = [part.strip() for line in lines for part in re.split(r"\||&&", line)]
    return [shlex.split(command, comments=True)[1:] for command in commands if command.startswith("ondes ")]


@functools.cache
def _option_files() -> dict[str, str]:
    """The YAML files of all pages that begin with their name in a comment."""
    blocks = [block for page in PAGES for block in _blocks(page, "yaml")]
    named = [(re.match(r"# (\S+\.yaml)\n", block), block) for block in blocks]
    return {name[1]: block for name, block in named if name}


def _parse_only(command: Any) -> Any:
    """The command line with every command's work taken out."""
    for child in getattr(command, "commands", {}).values():
        _parse_only(child)
    if not getattr(command, "commands", {}):
        command.callback = lambda **_: None
    return command


@functools.cache
def _parser() -> Any:
    """The command line without work, put together once."""
    return _parse_only(typer.main.get_command(build_app()))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny published systems where pages have them: `msanii`, and what trainings leave in `runs`."""
    folder = tmp_path_factory.mktemp("published")
    save_tiny_published_composer(folder / "runs" / "compose_dmc" / "model")
    msanii = save_tiny_published_audio(folder / "msanii")
    for part, stage in (("unet", "audio"), ("vocoder", "vocoder")):
        shutil.copytree(msanii / part, folder / "runs" / f"{stage}_msanii" / "model")
    return folder


@pytest.fixture
def shelf(published: Path, tiny_shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short song in the current folder, and tiny models under the bundled names."""
    page = Page("Piano")
    page.note(0, 60, 0.5, 80)
    Audio.silence(3.0, sample_rate_hz=22_050).write(tmp_path / "take.wav")
    (tmp_path / "song.mid").write_bytes(to_midi([page], [(0.0, 120.0)]))
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(bundled, "WEIGHTS", tiny_shelf)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What docs/studio.md shows speaks to a server: tests/studio/test_client.py runs it.
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in SLOW_PAGES else ())
        for page in PAGES
        if page.name != "studio.md"
    ],
    ids=lambda page: page.name,
)
def test_python_blocks_run(page: Path, shelf: Path) -> None:
    for block in _blocks(page, "python"):
        exec(compile(block, str(page), "exec"), {})
        assert [
            *shelf.glob("song.[wf]*"),
            *shelf.glob("piece*.[mw]*"),
            *shelf.glob("parts.mid"),
        ]


@pytest.mark.parametrize("words", _shell_words(), ids=" ".join)
def test_shell_commands_parse(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in _option_files().items():
        Path(name).write_text(text)
    assert _parser().main(args=words, prog_name="ondes", standalone_mode=False) in (None, 0)


def test_shell_commands_are_found() -> None:
    assert ["synth", "song.mid", "-o", "song.wav"] in _shell_words()
    assert len(_shell_words()) > 10


def test_a_wrong_option_in_a_page_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        _parser().main(args=["synth", "song.mid", "--stepz", "3"], prog_name="ondes", standalone_mode=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_the_records_in_the_documents_can_be_read(tmp_path: Path) -> None:
    song, fixed = _blocks(ROOT / "docs" / "formats.md", "json")
    (tmp_path / "song.json").write_text(song)
    (tmp_path / "fixed.json").write_text(fixed)
    assert Sidecar.read(tmp_path / "song.json").settings.seed == 7
    assert AudioRecord.read(tmp_path / "fixed.json").choices["seed"] == 4
