from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from sine_pipeline import Ondes, SinePipeline

from ondes.audio import Audio
from ondes.score import read_score, to_notes
from ondes.scores import bundled_score


def test_the_demo_writes_music_picture_and_sidecar_and_is_replayed(
    ondes: Ondes, sines: SinePipeline, tmp_path: Path
) -> None:
    folder = tmp_path / "music"
    run = ondes("demo", "-o", folder, "--score", "band", "--seed", 4)
    assert run.status == 0
    assert sorted(file.name for file in folder.iterdir()) == ["band.json", "band.png", "band.wav"]
    notes = to_notes(read_score(bundled_score("band").path))
    assert Audio.read(folder / "band.wav").duration_s == pytest.approx(notes.duration_s, abs=0.01)
    with Image.open(folder / "band.png") as picture:
        assert picture.width > 1000
    assert json.loads((folder / "band.json").read_text())["score"]["name"] == "bundled:band"
    assert str(folder / "band.wav") in run.err
    assert run.out == ""
    assert ondes("replay", folder / "band.json", "-o", folder / "again.wav").status == 0
    assert (folder / "again.wav").read_bytes() == (folder / "band.wav").read_bytes()


def test_a_folder_that_cannot_be_made_is_found_before_the_model_loads(ondes: Ondes, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = ondes("demo", "-o", tmp_path / "file" / "music")
    assert run.status == 2
    assert "choose another folder" in run.err


def test_a_failed_demo_leaves_nothing(
    ondes: Ondes, sines: SinePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sines, "stream", fail)
    run = ondes("demo", "-o", tmp_path / "music")
    assert run.status == 2
    assert "not enough memory" in run.err
    assert list(tmp_path.iterdir()) == []


def test_only_bundled_scores_can_be_asked_for(ondes: Ondes) -> None:
    assert "prelude" in ondes("demo", "--score", "fugue").err
