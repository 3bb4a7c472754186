"""MusicNet: its columns, its programs from 1, both ways to split it."""

from __future__ import annotations

import numpy as np
import pytest

from ondes.datasets.musicnet import TEST, VALIDATION, read_labels, read_musicnet
from ondes.errors import UserError
from public_layouts import write_musicnet


def test_times_are_samples_at_44100_hz_and_instruments_count_from_1(tmp_path):
    write_musicnet(tmp_path, [1727])
    notes = read_labels(tmp_path / "train_labels" / "1727.csv")
    np.testing.assert_array_equal(notes.onset_s, [0.0, 0.1])
    np.testing.assert_array_equal(notes.release_s, [0.5, 0.3])
    assert notes.pitch.tolist() == [48, 67]
    assert notes.program.tolist() == [0, 40]
    assert [part.program for part in notes.parts] == [0, 40]


def test_the_port_pools_both_folders_and_the_official_splits_are_the_folders(tmp_path):
    write_musicnet(tmp_path / "musicnet", [1727, 2336, 2118], test_ids=[2303, 1729])
    names = {
        (rule, split): [recording.id for recording in read_musicnet(tmp_path, split, splits=rule)[0]]
        for rule in ("port", "official")
        for split in ("train", "val", "test")
    }
    assert names == {
        ("port", "train"): ["1727", "2303"],
        ("port", "val"): ["2336"],
        ("port", "test"): ["2118", "1729"],
        ("official", "train"): ["1727", "2118", "2336"],
        ("official", "val"): [],
        ("official", "test"): ["1729", "2303"],
    }


def test_held_out_recordings_are_thirty_different_ones():
    assert len({*VALIDATION, *TEST}) == 30


def test_audio_or_labels_that_are_missing_are_counted(tmp_path):
    write_musicnet(tmp_path, [1727, 1728, 1730])
    (tmp_path / "train_labels" / "1728.csv").unlink()
    (tmp_path / "train_data" / "1730.wav").unlink()
    recordings, rejections = read_musicnet(tmp_path, "train")
    assert [recording.id for recording in recordings] == ["1727"]
    assert rejections.counts == {"missing notes": 1, "missing audio": 1}


def test_what_is_no_musicnet_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"it has no train_data/\*\.wav and no test_data/\*\.wav"):
        read_musicnet(tmp_path, "train")
    with pytest.raises(UserError, match=r"MusicNet folder .*nowhere does not exist"):
        read_musicnet(tmp_path / "nowhere", "train")
    write_musicnet(tmp_path, [1727])
    with pytest.raises(UserError, match="unknown split 'vall'; did you mean 'val'"):
        read_musicnet(tmp_path, "vall")
    with pytest.raises(UserError, match="unknown rule 'offical' of splits; did you mean 'official'"):
        read_musicnet(tmp_path, "train", splits="offical")
    labels = tmp_path / "train_labels" / "1727.csv"
    for damaged in ("start,end\n0,1\n", "start_time\n" + "1" * 200_000):
        labels.write_text(damaged)
        with pytest.raises(UserError, match="is no MusicNet label file"):
            read_labels(labels)
