"""`ondes data cache`, `clean-urmp` and `check`: what a person types, sees and gets."""

from __future__ import annotations

import json

import pytest

from ondes.cli.recordings import Kind
from ondes.datasets import checksums
from ondes.datasets.feature_cache import open_cache
from ondes.datasets.readers import READERS
from public_layouts import write_guitarset, write_musicnet, write_urmp


def test_a_data_set_is_cached_and_what_was_left_out_is_reported(ondes, tmp_path):
    write_musicnet(tmp_path / "musicnet", [1727, 2336, 2118, 1728])
    (tmp_path / "musicnet" / "train_data" / "1728.wav").write_bytes(b"no audio")
    words = ["data", "cache", tmp_path / "musicnet", "--kind", "musicnet", "-o", tmp_path / "cache"]
    words += ["--workers", 1, "--shortest", 0.1]
    done = ondes(*words)
    assert (done.status, done.out) == (0, "")
    assert "left out: 1 x corrupt audio, the first musicnet 1728" in done.err
    assert "3 of musicnet, 1.5 s; 1 left out" in done.err
    report = json.loads((tmp_path / "cache" / "rejected-musicnet.json").read_text())
    assert report["counts"] == {"corrupt audio": 1}
    assert [song.split for song in open_cache(tmp_path / "cache")] == ["train", "validation", "test"]
    again = ondes(*words, "--split", "test", "--set", "splits=official")
    assert again.status == 2
    assert "nothing of" in again.err


def test_options_reach_the_reader(ondes, tmp_path):
    write_guitarset(tmp_path / "guitarset", ["00_BN1-129-Eb_comp"])
    words = ["data", "cache", tmp_path / "guitarset", "--kind", "guitarset", "-o", tmp_path / "cache"]
    done = ondes(*words, "--workers", 1, "--shortest", 0.1, "--set", "program=24", "--split", "train")
    assert done.status == 0
    assert open_cache(tmp_path / "cache")[0].notes.program.tolist() == [24, 24]


def test_urmp_scores_are_cleaned(ondes, tmp_path):
    write_urmp(tmp_path / "urmp", ["01_Jupiter_vn_vc"])
    done = ondes("data", "clean-urmp", tmp_path / "urmp", tmp_path / "out", "--sax", 64)
    assert done.status == 0
    assert "1 scores" in done.err
    assert (tmp_path / "out" / "01_Jupiter_vn_vc.mid").is_file()


def test_checking_fails_where_a_file_is_damaged(ondes, tmp_path, monkeypatch):
    found = checksums.Checked(3, ("a.flac",), ("b.flac",), "CC BY 4.0")
    monkeypatch.setattr(checksums, "check_dataset", lambda *_, **__: found)
    done = ondes("data", "check", tmp_path, "--kind", "slakh")
    assert done.status == 1
    assert "missing: 1, the first a.flac" in done.err
    assert "1 of 3 files are whole; licence: CC BY 4.0" in done.err
    monkeypatch.setattr(checksums, "check_dataset", lambda *_, **__: checksums.Checked(3, (), (), "MIT"))
    assert ondes("data", "check", tmp_path, "--kind", "slakh").status == 0


def test_every_reader_can_be_asked_for():
    assert {kind.value for kind in Kind} == set(READERS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cache", "nowhere", "--kind", "slakh"], "the Slakh2100 folder nowhere does not exist"),
        (["cache", ".", "--kind", "maestro"], "it has no maestro-v*.json and no maestro-v*.csv"),
        (["cache", ".", "--kind", "urmp", "--split", "vla"], "unknown split 'vla'; did you mean 'val'"),
        (
            ["cache", ".", "--kind", "urmp", "--set", "sax"],
            "--set 'sax' has no value; write it as NAME=VALUE",
        ),
        (["cache", ".", "--kind", "urmp", "--set", "sax=66"], "program 66 for saxophones; give 65"),
        (["clean-urmp", ".", "out"], ". is no URMP: it has no [0-9][0-9]_*/*.mid"),
        (["check", ".", "--kind", "urmp"], "no checksums of 'urmp'"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(ondes, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    output = ["-o", "out"] if words[0] == "cache" else []
    refused = ondes("data", *words, *output)
    assert refused.status == 2
    assert said in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
