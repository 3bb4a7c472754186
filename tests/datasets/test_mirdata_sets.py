"""Readers through mirdata's loaders; of mirdata itself only what is used is here, as its version 1.0 behaves."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ondes.datasets.guitarset import read_guitarset
from ondes.datasets.readers import read_recordings
from ondes.datasets.slakh import read_slakh
from ondes.errors import UserError
from public_layouts import write_guitarset, write_slakh

HERE, THERE = "00_BN1-129-Eb_comp", "01_Rock1-90-C_solo"
LOST_AUDIO, LOST_NOTES = "02_SS1-68-E_comp", "05_Funk2-108-Eb_comp"


@pytest.fixture
def mirdata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A package of this name, whose lists a test fills."""
    lists = SimpleNamespace(tracks={}, multitracks={}, homes=[])
    index = tmp_path / "index.json"
    index.write_text("{}")

    def initialize(kind: str, *, data_home: str) -> SimpleNamespace:
        lists.homes.append((kind, Path(data_home)))
        return SimpleNamespace(
            index_path=str(index),
            load_tracks=lambda: lists.tracks,
            load_multitracks=lambda: lists.multitracks,
        )

    def load_notes(path: str, string: int) -> Any:
        if string > 1:
            return None  # as of a string that is not played
        begin_s = 0.25 * string
        return SimpleNamespace(
            intervals=np.array([(begin_s, begin_s + 0.5)]), pitches=np.array([40.4 + 5 * string])
        )

    for name, contents in {
        "mirdata": {"initialize": initialize},
        "mirdata.datasets.guitarset": {"load_notes": load_notes},
    }.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    return lists


def guitar_track(root: Path, name: str) -> SimpleNamespace:
    return SimpleNamespace(
        jams_path=str(root / "annotation" / f"{name}.jams"),
        audio_mic_path=str(root / "audio_mono-mic" / f"{name}_mic.wav"),
    )


def test_excerpts_that_mirdata_lists_and_nobody_has_are_counted(tmp_path, mirdata):
    root = tmp_path / "guitarset"
    write_guitarset(root, [HERE, THERE, LOST_AUDIO])
    (root / "audio_mono-mic" / f"{LOST_AUDIO}_mic.wav").rename(
        root / "audio_mono-mic" / f"{LOST_NOTES}_mic.wav"
    )
    mirdata.tracks.update({name: guitar_track(root, name) for name in (LOST_NOTES, LOST_AUDIO, HERE)})
    recordings, rejections = read_guitarset(root, "train", loader="mirdata")
    assert [recording.id for recording in recordings] == [HERE]
    assert rejections.counts == {"missing audio": 1, "missing notes": 1}
    assert mirdata.homes == [("guitarset", root)]
    recordings, rejections = read_guitarset(root, "train")
    assert [recording.id for recording in recordings] == [HERE, THERE]
    assert rejections.counts == {"missing audio": 1}


def test_notes_of_guitars_are_those_of_the_loader(tmp_path, mirdata):
    write_guitarset(tmp_path, [HERE])
    mirdata.tracks[HERE] = guitar_track(tmp_path, HERE)
    (recording,), _ = read_guitarset(tmp_path, "train", program=24, loader="mirdata")
    notes = recording.read_notes()
    np.testing.assert_allclose(notes.onset_s, [0.0, 0.25])
    np.testing.assert_allclose(notes.release_s, [0.5, 0.75])
    assert notes.pitch.tolist() == [40, 45]
    assert notes.part.tolist() == [0, 1]
    assert len(notes.parts) == 6
    assert recording.options != read_guitarset(tmp_path, "train", program=24)[0][0].options


def test_what_the_loader_cannot_read_is_no_jams(tmp_path, mirdata, monkeypatch):
    write_guitarset(tmp_path, [HERE])
    mirdata.tracks[HERE] = guitar_track(tmp_path, HERE)
    (recording,), _ = read_guitarset(tmp_path, "train", loader="mirdata")

    def fail(*_: Any) -> None:
        raise ValueError("Note annotation or 'data' key not found in the JAMS file.")

    monkeypatch.setattr(sys.modules["mirdata.datasets.guitarset"], "load_notes", fail)
    with pytest.raises(UserError, match=r"is no JAMS file of GuitarSet \(ValueError\(.Note annotation"):
        recording.load_notes()


def test_songs_and_splits_of_slakh_are_those_that_mirdata_lists(tmp_path, mirdata):
    root = tmp_path / "slakh2100_flac_redux"
    for track in ("Track00001", "Track00002"):
        write_slakh(root, track, [(0, False), (25, False), (33, False), (0, True)])
    splits = {"Track00001": "train", "Track00002": "omitted", "Track00003": "train", "Track00004": "test"}
    mirdata.multitracks.update({name: SimpleNamespace(split=split) for name, split in splits.items()})
    recordings, rejections = read_slakh(root, "train", submixes=0, cerberus=False, loader="mirdata")
    assert [recording.id for recording in recordings] == ["Track00001"]
    assert rejections.counts == {"missing song": 1}
    assert mirdata.homes == [("slakh", tmp_path)]
    notes = recordings[0].read_notes()
    assert notes.is_drum.any()
    assert len(read_slakh(root, "train", submixes=0, cerberus=False)[0]) == 2


def test_another_loader_is_refused(tmp_path):
    write_guitarset(tmp_path, [HERE])
    with pytest.raises(UserError, match=r"there is no loader 'mirdat'; did you mean 'mirdata'"):
        read_guitarset(tmp_path, "train", loader="mirdat")
    with pytest.raises(UserError, match=r"maestro has no option 'loader'"):
        read_recordings("maestro", tmp_path, "train", loader="mirdata")
