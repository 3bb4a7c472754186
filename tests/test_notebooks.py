"""The notebooks run from their first cell to their last, with tiny models, and are kept without outputs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ondes.scores.notation import Page, to_midi
from tiny_model import save_tiny_audio, save_tiny_composer, save_tiny_model, save_tiny_separator

nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
QUARTET = ((40, 84), (40, 72), (41, 60), (42, 48))
"""Programs, and pitches in the middle."""


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """Execute a notebook in a folder, some of its settings replaced."""
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    # `!ondes` means the one that is tested, and nothing of the user's is read or written.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = read(name)
    place = next(index for index, cell in enumerate(notebook.cells) if "tags" in cell.metadata)
    assert set(settings) <= set(notebook.cells[place].source.replace(",", " ").split()), "no such setting"
    lines = "\n".join(f"{setting} = {value!r}" for setting, value in settings.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(lines))
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def write_quartets(folder: Path, count: int, *, first: int = 0) -> Path:
    """Scores of a string quartet, all different."""
    folder.mkdir(parents=True)
    for seed in range(first, first + count):
        random = np.random.default_rng(seed)
        pages = [Page(f"part {number}", program) for number, (program, _) in enumerate(QUARTET)]
        for beat in range(20):
            for page, (_, middle) in zip(pages, QUARTET, strict=True):
                page.note(float(beat), middle + int(random.integers(-4, 5)), 0.9, 80)
        (folder / f"{seed}.mid").write_bytes(to_midi(pages, [(0.0, 60.0)]))
    return folder


def text_of(notebook: Any) -> str:
    """All that was printed."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.parametrize("name", ["use", "train", "evaluate"])
def test_notebooks_are_kept_without_outputs_and_with_one_cell_of_settings(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert ["tags" in cell.metadata for cell in code] == [True] + [False] * (len(code) - 1)


@pytest.mark.slow
def test_the_notebook_on_using_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {
        "SYNTH": save_tiny_model,
        "COMPOSER": save_tiny_composer,
        "SEPARATOR": save_tiny_separator,
        "AUDIO": save_tiny_audio,
    }
    places = {name: str(save(tmp_path / name)) for name, save in models.items()}
    done = run("use", tmp_path, monkeypatch, STEPS=1, BARS=2, SECONDS=3.0, **places)
    assert "violin 1" in text_of(done).lower()
    assert (tmp_path / "played.wav").stat().st_size > 44_100
    assert (tmp_path / "piece.mid").read_bytes()[:4] == b"MThd"


@pytest.mark.slow
def test_the_notebook_on_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_quartets(tmp_path / "songs" / "train", 4)
    write_quartets(tmp_path / "songs" / "validation", 2, first=4)
    sizes: dict[str, Any] = {"WIDTH": 8, "DEPTH": 1, "STEPS": 4, "NOTES": (12, 16), "NOTES_PER_BATCH": 40}
    run("train", tmp_path, monkeypatch, **sizes)
    made = tmp_path / "runs" / "notebook"
    assert (made / "piece.mid").read_bytes()[:4] == b"MThd"
    assert list((made / "tensorboard").glob("events.*"))
    assert (made / "my-composer" / "checksums.json").is_file()


@pytest.mark.slow
def test_the_notebook_on_evaluating_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_tiny_separator(tmp_path / "separator")
    data, train = write_quartets(tmp_path / "test", 2), write_quartets(tmp_path / "train", 2, first=2)
    words = {"MODEL": str(model), "DATA": str(data), "TRAIN": str(train)}
    run("evaluate", tmp_path, monkeypatch, SONGS=2, **words)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        *("separation_report.json", "separation_report.md", "confusion.png", "string_quartet.png")
    }
