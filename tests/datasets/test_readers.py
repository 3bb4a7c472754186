"""Readers by name, their options, folders of one's own, and mixing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ondes.datasets.named import split_of
from ondes.datasets.readers import READERS, mixing_weights, read_recordings, reader_options
from ondes.errors import UserError
from public_layouts import write_midi, write_tone


def test_weights_are_sizes_to_the_power_of_0_3():
    weights = mixing_weights([1000, 10, 0])
    np.testing.assert_allclose(weights[0] / weights[1], 100**0.3)
    assert weights.sum() == pytest.approx(1)
    assert weights[2] == 0
    np.testing.assert_allclose(mixing_weights([1, 3], exponent=1), [0.25, 0.75])
    np.testing.assert_allclose(mixing_weights([1, 3, 0], exponent=0), [0.5, 0.5, 0])
    with pytest.raises(ValueError, match="at least one above 0"):
        mixing_weights([0, 0])


def test_options_are_those_of_the_readers():
    assert {kind: reader_options(kind) for kind in READERS} == {
        "musicnet": ["splits"],
        "maestro": [],
        "guitarset": ["program", "loader"],
        "urmp": ["sax", "notes", "midi_folder"],
        "slakh": ["seed", "submixes", "cerberus", "loader"],
        "folder": [],
        "rendered": [],
    }


def test_unknown_kinds_and_options_are_refused(tmp_path):
    with pytest.raises(UserError, match="unknown kind of data set 'musicnt'; did you mean 'musicnet'"):
        read_recordings("musicnt", tmp_path, "train")
    with pytest.raises(UserError, match="slakh has no option 'sed'; did you mean 'seed'"):
        read_recordings("slakh", tmp_path, "train", sed=1)
    with pytest.raises(UserError, match="musicnet has no option 'split'; did you mean 'splits'"):
        read_recordings("musicnet", tmp_path, "train", **{"split": "official"})
    with pytest.raises(UserError, match="maestro has no option 'sax'; it has none"):
        read_recordings("maestro", tmp_path, "train", sax=64)
    with pytest.raises(UserError, match="the option program is 'steel'; give something like 25"):
        read_recordings("guitarset", tmp_path, "train", program="steel")


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("guitarset", {"program": 999}, "program 999 for guitars; General MIDI has 0 to 127"),
        ("slakh", {"seed": -1}, "seed -1 and 10 sub-mixes a song; give numbers from 0"),
        ("slakh", {"submixes": -2}, "seed 0 and -2 sub-mixes a song"),
        ("urmp", {"midi_folder": 2020}, "the option midi_folder is 2020; give a folder, such as ./2020"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, kind, options, words):
    with pytest.raises(UserError, match=words):
        read_recordings(kind, tmp_path, "train", **options)


@pytest.mark.parametrize("kind", READERS)
def test_every_reader_names_a_folder_that_is_missing_and_a_split_that_is_unknown(tmp_path, kind):
    with pytest.raises(UserError, match="does not exist; give the folder that holds"):
        read_recordings(kind, tmp_path / "none", "train")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file; give the folder"):
        read_recordings(kind, tmp_path / "file", "train")
    (tmp_path / "file").unlink()
    with pytest.raises(UserError, match="unknown split 'tset'; did you mean 'test'"):
        read_recordings(kind, tmp_path, "tset")


def test_pairs_of_a_folder_are_split_by_folders_or_by_a_hash_of_their_names(tmp_path):
    names = [f"song {number}" for number in range(30)]
    for name in names:
        write_tone(tmp_path / "deep" / f"{name}.wav", seconds=0.01)
        write_midi(tmp_path / "deep" / f"{name}.MID", [(0, 240, 60)])
    found = {
        split: [recording.id for recording in read_recordings("folder", tmp_path, split)[0]]
        for split in ("train", "validation", "test")
    }
    for split, ids in found.items():
        assert ids == sorted(f"deep/{name}" for name in names if split_of(name) == split)
    assert len(found["train"]) < 30
    (tmp_path / "val").mkdir()
    (tmp_path / "deep").rename(tmp_path / "val" / "deep")
    assert len(read_recordings("folder", tmp_path, "validation")[0]) == 30
    assert read_recordings("folder", tmp_path, "train")[0] == []
    write_tone(tmp_path / "beside.wav", seconds=0.01)
    write_midi(tmp_path / "beside.mid", [(0, 240, 60)])
    counts = [read_recordings("folder", tmp_path, split)[1].counts for split in ("train", "validation")]
    assert counts == [{"in no folder of a split": 1}, {}]


def test_suffixes_in_capitals_count_and_second_files_of_a_name_are_counted(tmp_path):
    for name in ("a.WAV", "a.Flac", "b.FLAC"):
        write_tone(tmp_path / "x.wav", seconds=0.01)
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "x.wav").rename(tmp_path / "train" / name)
    for name in ("a.Midi", "a.MID", "b.mid"):
        write_midi(tmp_path / "train" / name, [(0, 240, 60)])
    recordings, rejections = read_recordings("folder", tmp_path, "train")
    found = [(one.id, one.audio[0].name, one.labels[0].name) for one in recordings]
    assert found == [("train/a", "a.WAV", "a.MID"), ("train/b", "b.FLAC", "b.mid")]
    assert rejections.counts == {"another file of the same name": 2}
    assert [row["id"] for row in rejections.rows] == ["train/a.Flac", "train/a.Midi"]


def test_rendered_pairs_are_read_by_their_manifest(tmp_path):
    rows = []
    for number, split in enumerate(["train", "validation", "train"]):
        write_tone(tmp_path / f"0000/{number}.flac")
        write_midi(tmp_path / f"0000/{number}.mid", [(0, 240, 60 + number)])
        paths = {"audio": f"0000/{number}.flac", "midi": f"0000/{number}.mid"}
        rows.append({"id": f"{number:07}", "split": split, "seconds": 0.5, **paths})
    (tmp_path / "0000" / "2.mid").unlink()
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recordings, rejections = read_recordings("rendered", tmp_path, "train")
    assert [(r.id, r.duration_s, r.read_notes().pitch.tolist()) for r in recordings] == [
        ("0000000", 0.5, [60])
    ]
    assert rejections.counts == {"missing notes": 1}
    manifest.write_text('{"id": "a", "split": "train", "path": "a.mid"}\n')
    with pytest.raises(UserError, match="row 1 is no rendered pair"):
        read_recordings("rendered", tmp_path, "train")
