"""URMP: annotations, scores, saxophones, the script that cleans scores."""

from __future__ import annotations

import numpy as np
import pytest

from ondes.datasets.urmp import PROGRAMS, clean_urmp, read_urmp
from ondes.errors import UserError
from ondes.score import read_score, to_notes
from public_layouts import write_midi, write_urmp

PIECES = ["01_Jupiter_vn_vc", "03_Dance_fl_cl_sax", "31_Slavonic_tpt_tpt_hn_tbn"]


def test_validation_and_test_are_the_same_pieces(tmp_path):
    write_urmp(tmp_path / "Dataset", PIECES)
    found = {split: [r.id for r in read_urmp(tmp_path, split)[0]] for split in ("train", "val", "test")}
    assert found == {"train": PIECES[1:2], "val": PIECES[::2], "test": PIECES[::2]}


def test_annotations_are_seconds_hertz_and_seconds_in_the_order_of_players(tmp_path):
    write_urmp(tmp_path, PIECES)
    (recording,), _ = read_urmp(tmp_path, "train", sax=64)
    notes = recording.read_notes()
    np.testing.assert_allclose(notes.onset_s, [0.1] * 3 + [0.4] * 3)
    np.testing.assert_allclose(notes.release_s, [0.35] * 3 + [0.5] * 3)
    assert notes.pitch.tolist() == [81, 69, 57, 69, 57, 45]
    assert notes.program.tolist() == [73, 71, 64] * 2


def test_clean_scores_have_the_programs_of_the_folder_and_are_read(tmp_path):
    write_urmp(tmp_path / "urmp", PIECES)
    written = clean_urmp(tmp_path / "urmp", tmp_path / "new" / "clean")
    assert [path.name for path in written] == [f"{piece}.mid" for piece in PIECES]
    for piece, path in zip(PIECES, written, strict=True):
        before = to_notes(read_score(tmp_path / "urmp" / piece / f"Sco_{piece}.mid"))
        after = to_notes(read_score(path))
        assert [part.program for part in after.parts] == [PROGRAMS[code] for code in piece.split("_")[2:]]
        np.testing.assert_array_equal(before.onset_s, after.onset_s)
        np.testing.assert_array_equal(before.pitch, after.pitch)
    (recording,), _ = read_urmp(
        tmp_path / "urmp", "train", notes="score", midi_folder=tmp_path / "new" / "clean"
    )
    assert recording.read_notes().program.tolist() == [73, 71, 65]
    soprano = clean_urmp(tmp_path / "urmp", tmp_path / "soprano", sax=64)[1]
    assert to_notes(read_score(soprano)).program.tolist() == [73, 71, 64]


def test_a_score_that_does_not_fit_its_folder_is_refused_before_anything_is_written(tmp_path):
    write_urmp(tmp_path / "urmp", PIECES)
    write_midi(tmp_path / "urmp" / PIECES[1] / f"Sco_{PIECES[1]}.mid", [(0, 480, 60)], [(0, 480, 62)])
    with pytest.raises(
        UserError, match=r"2 tracks with notes but the folder names 3 instruments \(fl cl sax\)"
    ):
        clean_urmp(tmp_path / "urmp", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="program 66 for saxophones; give 65"):
        clean_urmp(tmp_path / "urmp", tmp_path / "out", sax=66)


def test_missing_players_and_mixes_are_counted(tmp_path):
    write_urmp(tmp_path, PIECES)
    (tmp_path / PIECES[0] / "Notes_2_vc_01_Jupiter.txt").unlink()
    (tmp_path / PIECES[2] / f"AuMix_{PIECES[2]}.wav").unlink()
    recordings, rejections = read_urmp(tmp_path, "test")
    assert recordings == []
    assert rejections.counts == {"missing notes": 1, "missing audio": 1}


def test_files_that_are_named_otherwise_are_passed_over(tmp_path):
    write_urmp(tmp_path, PIECES[:1])
    (tmp_path / PIECES[0] / "Notes_1a_vn_01_Jupiter.txt").write_text("of a second take\n")
    (recording,), rejections = read_urmp(tmp_path, "test")
    assert [path.name.split("_")[1] for path in recording.labels] == ["1", "2"]
    assert not rejections.counts


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no URMP"):
        read_urmp(tmp_path, "train")
    write_urmp(tmp_path, ["03_Dance_fl_xx"])
    with pytest.raises(UserError, match="make it with 'ondes data clean-urmp'"):
        read_urmp(tmp_path, "train", notes="score")
    with pytest.raises(UserError, match="unknown source of notes 'scores'; did you mean 'score'"):
        read_urmp(tmp_path, "train", notes="scores")
    (recording,), _ = read_urmp(tmp_path, "train")
    with pytest.raises(UserError, match="unknown instrument 'xx'"):
        recording.load_notes()
    for pitch in ("loud", "0", "inf"):
        (tmp_path / "03_Dance_fl_xx" / "Notes_1_fl_03_Dance.txt").write_text(f"0.1 {pitch} 0.2\n")
        with pytest.raises(UserError, match="line 1 is not onset, pitch and duration"):
            recording.load_notes()
