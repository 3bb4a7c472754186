"""GuitarSet: strings, rounding, splits by progression."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ondes.datasets.guitarset import read_guitarset, read_strings
from ondes.errors import UserError
from public_layouts import write_guitarset

NAMES = ["00_BN1-129-Eb_comp", "00_BN2-131-B_solo", "03_Rock3-148-C_comp", "05_SS3-84-Bb_solo"]


def test_progression_3_is_held_out_for_validation_and_test_alike(tmp_path):
    write_guitarset(tmp_path, NAMES)
    found = {
        split: [recording.id for recording in read_guitarset(tmp_path, split)[0]]
        for split in ("train", "validation", "test")
    }
    assert found == {"train": NAMES[:2], "validation": NAMES[2:], "test": NAMES[2:]}


def test_notes_of_all_strings_are_rounded_and_have_one_program(tmp_path):
    write_guitarset(tmp_path, NAMES[:1])
    (recording,), rejections = read_guitarset(tmp_path, "train", program=24)
    notes = recording.read_notes()
    np.testing.assert_allclose(notes.onset_s, [0.0, 0.1])
    np.testing.assert_allclose(notes.release_s, [0.2, 0.3])
    assert notes.pitch.tolist() == [41, 46]
    assert notes.part.tolist() == [0, 1]
    assert set(notes.program.tolist()) == {24}
    assert [len(notes.parts), not rejections.rows] == [6, True]


def test_notes_are_those_that_mirdata_reads(tmp_path):
    golden = json.loads((Path(__file__).parent.parent / "golden" / "guitarset.json").read_text())
    path = tmp_path / "00_BN1-129-Eb_comp.jams"
    path.write_text(json.dumps(golden["jams"]))
    notes = read_strings(path)
    found = sorted(zip(notes.onset_s, notes.release_s, notes.pitch, notes.part, strict=True))
    expected = sorted((start, end, round(pitch), string) for start, end, pitch, string in golden["notes"])
    assert len(expected) == 18
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_columns_mean_the_same_as_rows(tmp_path):
    write_guitarset(tmp_path, NAMES[:1])
    path = tmp_path / "annotation" / f"{NAMES[0]}.jams"
    rows = read_strings(path)
    jams = json.loads(path.read_text())
    for annotation in jams["annotations"][1:]:
        data = annotation["data"]
        annotation["data"] = {key: [row[key] for row in data] for key in ("time", "duration", "value")}
    path.write_text(json.dumps(jams))
    columns = read_strings(path)
    for name in ("onset_s", "release_s", "pitch", "part"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(columns, name))


def test_what_is_no_guitarset_is_refused_and_missing_audio_is_counted(tmp_path):
    with pytest.raises(UserError, match=r"is no GuitarSet: it has no annotation/\*\.jams"):
        read_guitarset(tmp_path, "train")
    write_guitarset(tmp_path, NAMES[:2])
    (tmp_path / "audio_mono-mic" / f"{NAMES[0]}_mic.wav").unlink()
    recordings, rejections = read_guitarset(tmp_path, "train")
    assert [len(recordings), rejections.counts["missing audio"]] == [1, 1]
    path = tmp_path / "annotation" / f"{NAMES[1]}.jams"
    path.write_text('{"annotations": []}')
    with pytest.raises(UserError, match="no annotation of namespace note_midi"):
        read_strings(path)
    endless = {"time": 0, "duration": 1, "value": float("inf")}
    for jams in ([], {"annotations": [{"namespace": "note_midi", "data": [endless]}]}):
        path.write_text(json.dumps(jams))
        with pytest.raises(UserError, match="is no JAMS file"):
            read_strings(path)
