"""The corpus built from clones: what is found, what it becomes, and where it goes."""

import json

import pytest

from musicxml_files import SONG, write_mxl
from ondes.datasets.named import dataset, folder_entries
from ondes.datasets.openscore import build_corpus, find_scores, held_out
from ondes.errors import UserError
from ondes.score import notes_to_score, read_score, to_notes

pytest.importorskip("verovio", reason="verovio converts MusicXML; pip install 'ondes[corpus]'")


@pytest.fixture
def clones(tmp_path, notes_of):
    lieder, quartets, orchestra, freedoom = (tmp_path / name for name in ("L", "Q", "H", "F"))
    write_mxl(lieder / "scores" / "Arne,_Thomas" / "_" / "The_Weeders" / "lc29161304.mxl")
    song = lieder / "scores" / "Faisst,_Clara" / "5_Lieder,_Op.6" / "5_Das_sind" / "lc5.musicxml"
    song.parent.mkdir(parents=True)
    song.write_text(SONG)
    write_mxl(quartets / "scores" / "Haydn,_Joseph" / "Quartet" / "sq10.mxl")
    for movement in (1, 3):
        write_mxl(orchestra / "data" / "Bach" / "BWV.1048" / str(movement) / f"Bach_{movement}.mxl")
    (freedoom / "musics").mkdir(parents=True)
    band = notes_of([(0.0, 0.5, 36, 100, 0), (0.0, 1.0, 40, 90, 1)], (-1, 33))
    (freedoom / "musics" / "d_e1m1.mid").write_bytes(bytes(notes_to_score(band).dumps_midi()))
    return [lieder, quartets, orchestra, freedoom]


def test_musicxml_becomes_exact_notes(tmp_path):
    write_mxl(tmp_path / "song.mxl")
    notes = to_notes(read_score(tmp_path / "song.mxl"))
    assert notes.pitch.tolist() == [72, 74, 76, 77]
    assert notes.onset_s == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=2e-3)
    assert set(notes.program.tolist()) == {73}


def test_a_corpus_is_built_and_can_be_named(tmp_path, clones, monkeypatch):
    seen = []
    report = build_corpus(clones, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert (report.scores, report.failed) == (6, [])
    assert seen[-1] == (6, 6)
    rows = {
        row["id"]: row
        for row in map(json.loads, (tmp_path / "out" / "manifest.jsonl").read_text().splitlines())
    }
    assert set(rows) == {"lc29161304", "lc5", "sq10", "Bach_1", "Bach_3", "freedoom_d_e1m1"}
    song = rows["lc5"]
    assert (song["composer"], song["title"]) == ("Faisst, Clara", "5 Lieder, Op.6 / 5 Das sind")
    assert song["work"] == "Faisst, Clara|lc5"
    assert song["split"] == "train"
    assert rows["lc29161304"]["split"] == held_out().get("Arne, Thomas|lc29161304", "train")
    assert rows["lc29161304"]["title"] == "The Weeders"
    assert rows["Bach_1"]["work"] == rows["Bach_3"]["work"] == "Bach|BWV.1048"
    assert rows["Bach_1"]["split"] == rows["Bach_3"]["split"]
    assert [part["is_drum"] for part in rows["freedoom_d_e1m1"]["parts"]] == [True, False]
    assert rows["lc5"]["seconds"] == pytest.approx(2.0, abs=0.01)
    assert {row["licence"].split()[0] for row in rows.values()} == {"CC0-1.0", "BSD-3-Clause"}

    from ondes.datasets.adding import add_dataset  # noqa: PLC0415

    monkeypatch.setenv("ONDES_DATA", str(tmp_path / "home"))
    add_dataset("corpus", tmp_path / "out")
    assert len(dataset("corpus")) == 6


def test_works_that_the_models_never_saw_stay_unseen(tmp_path):
    work = next(work for work, split in held_out().items() if split == "test" and "|sq" in work)
    composer, stem = work.split("|")
    write_mxl(tmp_path / "scores" / composer.replace(" ", "_") / "Quartet" / f"{stem}.mxl")
    (found,) = find_scores(tmp_path)
    assert found.row()["split"] == "test"
    assert found.row()["work"] == work


def test_repeating_converts_nothing_again(tmp_path, clones, monkeypatch):
    build_corpus(clones, tmp_path / "out")
    before = (tmp_path / "out" / "manifest.jsonl").read_bytes()
    monkeypatch.setattr(
        "ondes.datasets.openscore.to_midi", lambda _, name: pytest.fail(f"{name} converted again")
    )
    build_corpus(clones, tmp_path / "out")
    assert (tmp_path / "out" / "manifest.jsonl").read_bytes() == before


def test_broken_scores_are_reported_and_the_rest_is_built(tmp_path, clones):
    (clones[1] / "scores" / "Haydn,_Joseph" / "Quartet" / "sq11.mxl").write_bytes(b"not a zip")
    report = build_corpus(clones[1:2], tmp_path / "out")
    assert report.scores == 1
    assert [failure["id"] for failure in report.failed] == ["sq11"]
    assert [entry.id for entry in folder_entries(tmp_path / "out")] == ["sq10"]


def test_one_format_of_a_score_is_enough(tmp_path, clones):
    song = clones[0] / "scores" / "Arne,_Thomas" / "_" / "The_Weeders" / "lc29161304.musicxml"
    song.write_text(SONG)
    assert len(find_scores(clones[0])) == 2


def test_folders_without_scores_are_refused(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        build_corpus([tmp_path / "missing"], tmp_path / "out")
    with pytest.raises(UserError, match="holds no scores of a known kind"):
        build_corpus([tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()
