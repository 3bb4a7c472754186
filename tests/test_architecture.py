"""Data flows one way: no module imports a later layer, and networks and diffusion do not know each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ondes

ROOT = Path(ondes.__file__).parent
LAYERS = [
    {
        "errors",
        "audio",
        "colours",
        "ogg",
        "sound_files",
        "wav",
        "files",
        "midi_file",
        "midi_notes",
        "midi_scan",
        "midi_tracks",
        "musicxml",
        "musicxml_process",
        "ordering",
        "tempo",
        "controls",
        "notes",
        "score_reading",
        "score",
    },
    {"representations"},
    {"models", "diffusion"},
    {"pipelines", "checkpoints"},
    {"picture"},
    {"scores", "datasets", "training", "evaluation"},
    {"sidecar"},
    {"tasks"},
    {"studio"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
STRANGERS = {("models", "diffusion"), ("diffusion", "models")}


def unit(path: Path) -> str:
    """The module or folder directly under `ondes` that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(source: str) -> set[str]:
    """The modules and folders under `ondes` that a source file imports, at its top or in functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("ondes.")} & set(LEVEL)


def arrows_back(name: str, source: str) -> list[str]:
    """What a file of this unit imports although it comes later, or is a stranger."""
    return sorted(o for o in imported(source) if LEVEL[o] > LEVEL[name] or (name, o) in STRANGERS)


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_runs_back(path: Path) -> None:
    assert unit(path) in LEVEL, f"{unit(path)} has no layer"
    assert arrows_back(unit(path), path.read_text("utf-8")) == []


def test_arrows_that_run_back_are_found() -> None:
    assert arrows_back("models", "def f():\n    from ondes.diffusion import flow") == ["diffusion"]
    assert arrows_back("audio", "import ondes.pipelines.synthesis\nfrom ondes import cli") == [
        "cli",
        "pipelines",
    ]
    assert arrows_back("cli", "from ondes.models.vocoder import Vocoder") == []
