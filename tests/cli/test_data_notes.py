"""`ondes data notes`: what a person types, sees and gets."""

from __future__ import annotations

import json
import random

from ondes.datasets.note_cache import open_note_cache
from public_layouts import write_midi


def write_songs(folder, *seeds):
    for seed in seeds:
        pitches = random.Random(seed).choices(range(50, 70), k=20)
        notes = [(120 * index, 120 * index + 90, pitch) for index, pitch in enumerate(pitches)]
        write_midi(folder / f"song{seed}.mid", notes)


def test_scores_are_kept_once_and_what_was_left_out_is_reported(ondes, tmp_path):
    write_songs(tmp_path / "held", 0)
    write_songs(tmp_path / "songs", 0, 1, 2)
    (tmp_path / "songs" / "broken.mid").write_bytes(b"MThd")
    assert ondes("data", "notes", tmp_path / "held", "-o", tmp_path / "test", "--workers", 1).status == 0
    words = ["data", "notes", tmp_path / "songs", "-o", tmp_path / "train", "--without", tmp_path / "test"]
    done = ondes(*words, "--workers", 1)
    assert (done.status, done.out) == (0, "")
    assert "left out: 1 x corrupt file, the first songs broken" in done.err
    assert "2 scores, 40 notes; 2 left out" in done.err
    assert [about.id for _, about in open_note_cache(tmp_path / "train")] == ["song1", "song2"]
    report = json.loads((tmp_path / "train" / "report.json").read_text())
    assert report["counts"] == {"the same notes as in another cache": 1, "corrupt file": 1}


def test_empty_folders_and_damaged_ones_end_with_status_2(ondes, tmp_path):
    done = ondes("data", "notes", tmp_path, "-o", tmp_path / "cache", "--workers", 1)
    assert done.status == 2
    assert "nor MIDI files" in done.err
    assert len(done.err.splitlines()) == 1
