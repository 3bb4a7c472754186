"""MAESTRO: the index of columns, the list of version 2, the CSV."""

from __future__ import annotations

import csv
import json

import pytest

from ondes.datasets.maestro import read_maestro
from ondes.errors import UserError
from public_layouts import write_maestro

ROWS = [("a", "train"), ("b", "validation"), ("c", "test"), ("d", "train")]


@pytest.mark.parametrize("index", ["columns", "rows", "csv"])
def test_each_form_of_the_index_gives_the_official_splits(tmp_path, index):
    write_maestro(tmp_path, ROWS)
    path = tmp_path / "maestro-v3.0.0.json"
    columns = json.loads(path.read_text())
    rows = [{name: values[key] for name, values in columns.items()} for key in columns["split"]]
    if index == "rows":
        path.write_text(json.dumps(rows))
    elif index == "csv":
        path.unlink()
        with path.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    found = {split: [r.id for r in read_maestro(tmp_path, split)[0]] for split in ("train", "valid", "test")}
    assert found == {"train": ["2004/a", "2004/d"], "valid": ["2004/b"], "test": ["2004/c"]}


def test_a_recording_has_its_length_its_audio_and_its_notes(tmp_path):
    write_maestro(tmp_path / "maestro-v3.0.0", ROWS)
    (recording,), _ = read_maestro(tmp_path, "test")
    assert recording.duration_s == 0.5
    assert recording.read_audio(8000).shape == (4000,)
    notes = recording.read_notes()
    assert notes.onset_s.tolist() == [0.0, 0.25]
    assert notes.pitch.tolist() == [60, 64]
    assert notes.program.tolist() == [0, 0]


def test_missing_files_are_counted_and_paths_may_not_lead_outside(tmp_path):
    write_maestro(tmp_path, ROWS)
    (tmp_path / "2004" / "a.wav").unlink()
    (tmp_path / "2004" / "d.midi").unlink()
    recordings, rejections = read_maestro(tmp_path, "train")
    assert recordings == []
    assert rejections.counts == {"missing audio": 1, "missing notes": 1}
    path = tmp_path / "maestro-v3.0.0.json"
    path.write_text(path.read_text().replace("2004/a.wav", "../a.wav"))
    with pytest.raises(UserError, match="leads out of"):
        read_maestro(tmp_path, "train")


def test_a_folder_without_a_whole_index_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no maestro-v\*\.json and no maestro-v\*\.csv"):
        read_maestro(tmp_path, "train")
    (tmp_path / "maestro-v3.0.0.json").write_text('{"split": {"0": "train"}}')
    with pytest.raises(UserError, match="is no index of MAESTRO"):
        read_maestro(tmp_path, "train")
