from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from ondes.datasets.quick_scores import quick_score
from ondes.datasets.recordings import Rejections
from ondes.datasets.score_folders import read_entry, read_scores
from ondes.errors import UserError
from ondes.score import read_score, to_notes
from public_layouts import write_maestro, write_midi

SCORES = Path(__file__).parents[2] / "src" / "ondes" / "scores"


def write_scores(root: Path, *names: str) -> None:
    for pitch, name in enumerate(names, 60):
        write_midi(root / name, [(0, 240, pitch), (240, 480, pitch + 4)])


def splits(spec: str | Path, rejections: Rejections | None = None) -> dict[str, str]:
    return {entry.id: entry.split for entry in read_scores(spec, rejections=rejections)}


def test_lakh_is_split_by_the_first_digit_of_the_md5(tmp_path: Path) -> None:
    names = [f"{digit}/{digit}{'0123456789abcdef' * 2}"[:34] for digit in "0def"]
    write_scores(tmp_path, *(f"{name}.mid" for name in names))
    assert list(splits(tmp_path).values()) == ["train", "train", "validation", "test"]
    assert {entry.collection for entry in read_scores(tmp_path)} == {"lakh"}
    assert [entry.id[0] for entry in read_scores(f"{tmp_path}:test")] == ["f"]


def test_maestro_has_its_own_splits_in_either_index(tmp_path: Path) -> None:
    write_maestro(tmp_path, [("one", "train"), ("two", "test"), ("three", "validation")])
    expected = {"2004/one": "train", "2004/two": "test", "2004/three": "validation"}
    assert splits(tmp_path) == expected
    entry = read_scores(tmp_path)[0]
    assert (entry.collection, entry.composer, entry.title) == ("maestro", "Bach", "Air")
    columns = json.loads((tmp_path / "maestro-v3.0.0.json").read_text())
    lines = [
        ",".join(columns),
        *(",".join(str(column[row]) for column in columns.values()) for row in ("0", "1", "2")),
    ]
    (tmp_path / "maestro-v3.0.0.json").unlink()
    (tmp_path / "maestro-v3.0.0.csv").write_text("\n".join(lines) + "\n")
    assert splits(tmp_path) == expected


def test_what_an_index_lists_but_is_not_there_is_counted(tmp_path: Path) -> None:
    write_maestro(tmp_path, [("one", "train"), ("two", "test")])
    (tmp_path / "2004/two.midi").unlink()
    rejections = Rejections()
    assert list(splits(tmp_path, rejections)) == ["2004/one"]
    assert rejections.counts == {"missing file": 1}
    (tmp_path / "2004/one.midi").unlink()
    with pytest.raises(UserError, match="lists 2 files but none is there"):
        read_scores(tmp_path)


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "maestro-v3.0.0.json").write_text(
        '{"midi_filename": {"0": "a.midi"}, "split": {"0": "tarin"}}'
    )
    with pytest.raises(UserError, match=r"no index of MAESTRO \(KeyError"):
        read_scores(tmp_path)
    (tmp_path / "maestro-v3.0.0.json").write_text('[{"midi_filename": "../../a.midi", "split": "train"}]')
    with pytest.raises(UserError, match="leads out of"):
        read_scores(tmp_path)


def test_songs_of_pop909_are_whole_and_drafts_are_passed_over(tmp_path: Path) -> None:
    files = (
        "001/001.mid",
        "001/versions/001-v1.mid",
        "001/versions/001-v2.mid",
        "002/002.mid",
        "other/a.mid",
    )
    write_scores(tmp_path / "POP909", *files)
    rejections = Rejections()
    entries = read_scores(tmp_path / "POP909", rejections=rejections)
    assert [(entry.id, entry.collection) for entry in entries] == [
        ("001/001", "pop909"),
        ("002/002", "pop909"),
        ("other/a", "POP909"),
    ]
    assert rejections.counts == {"draft of another score": 2}


def test_a_manifest_says_everything(tmp_path: Path) -> None:
    write_scores(tmp_path, "a.mid", "b.mid", f"{'e' * 32}.mid")
    rows = [
        {"id": name, "collection": "songs", "path": f"{name}.mid", "split": "test", "composer": "Anon"}
        for name in ("a", "e" * 32)
    ]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert splits(tmp_path) == {"a": "test", "e" * 32: "test"}
    with pytest.raises(UserError, match="none is in that split"):
        read_scores(f"{tmp_path}:train")


def test_folders_without_scores_and_names_of_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nor MIDI files"):
        read_scores(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        read_scores(tmp_path / "nowhere")
    with pytest.raises(UserError, match="did you mean 'train'"):
        read_scores(f"{tmp_path}:trian")


@pytest.mark.parametrize("name", ["band.mid", "bwv846_prelude.mid"])
def test_the_quick_reader_reads_the_notes_of_the_careful_one(name: str) -> None:
    quick, careful = to_notes(quick_score(SCORES / name)), to_notes(read_score(SCORES / name))
    assert sorted(zip(quick.onset_s, quick.pitch, quick.program, quick.velocity, strict=True)) == sorted(
        zip(careful.onset_s, careful.pitch, careful.program, careful.velocity, strict=True)
    )


def test_irregular_files_are_left_to_the_careful_reader(tmp_path: Path) -> None:
    data = (SCORES / "band.mid").read_bytes()
    trailing = tmp_path / "trailing.mid"
    trailing.write_bytes(data + b"rubbish")
    assert quick_score(trailing).note_num() == read_score(SCORES / "band.mid").note_num()
    truncated = tmp_path / "truncated.mid"
    truncated.write_bytes(data[:-100])
    with pytest.raises(UserError, match="truncated"):
        quick_score(truncated)
    with pytest.raises(UserError, match="does not exist"):
        quick_score(tmp_path / "nowhere.mid")


def test_music21_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "music21.common", None)
    with pytest.raises(UserError, match=r"pip install 'ondes\[music21\]'"):
        read_scores("music21")


@pytest.mark.slow
def test_music21s_corpus_gives_a_chorale_with_its_upbeat(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    from ondes.representations.note_sequence import to_note_sequence  # noqa: PLC0415

    entry = next(entry for entry in read_scores("music21") if entry.id == "bach/bwv66.6")
    sequence = to_note_sequence(read_entry(entry), quantise=False)
    # 163 notes with ties joined, in 4/4 with an upbeat of a quarter, by music21 itself.
    assert len(sequence) == 163
    assert sequence.bars.length_quarters.tolist()[:3] == [1, 4, 4]
    assert not sequence.offset.any()
    assert sorted(set(sequence.part_number.tolist())) == [0, 1, 2, 3]
    broken = tmp_path / "broken.krn"
    shutil.copy(SCORES / "band.mid", broken)
    with pytest.raises(UserError, match="music21"):
        read_entry(entry.__class__("broken", broken, "music21"))
