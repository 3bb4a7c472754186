"""Data sets by name, and what is refused on the way into the data folder."""

import io
import json
import tarfile
import zipfile
from collections import Counter

import pytest

from ondes.datasets import adding
from ondes.datasets.adding import add_dataset, unpack
from ondes.datasets.named import data_home, dataset, dataset_names, split_of
from ondes.errors import UserError
from ondes.score import notes_to_score


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ONDES_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def midi(notes_of):
    return bytes(notes_to_score(notes_of([(0.0, 1.0, 60, 80, 0)])).dumps_midi())


@pytest.fixture
def corpus(tmp_path, midi):
    """A folder with a manifest of three scores in two collections."""
    folder = tmp_path / "source"
    rows = []
    for name, collection, split in (
        ("x", "lieder", "train"),
        ("y", "lieder", "test"),
        ("z", "solo", "train"),
    ):
        path = folder / collection / f"{name}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(midi)
        parts = [{"name": "Piano", "program": 0, "is_drum": False, "notes": 1}]
        rows.append(
            {
                "id": name,
                "collection": collection,
                "licence": "CC0-1.0",
                "composer": "C",
                "title": name.upper(),
                "path": f"{collection}/{name}.mid",
                "parts": parts,
                "seconds": 1.0,
                "split": split,
            }
        )
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def tar_of(path, members):
    with tarfile.open(path, "w:xz") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_folder_becomes_a_data_set_with_its_splits(corpus):
    assert add_dataset("corpus", corpus) == data_home() / "corpus"
    assert dataset_names() == ["corpus"]
    assert [entry.id for entry in dataset("corpus")] == ["x", "y", "z"]
    (entry,) = dataset("corpus:test")
    assert (entry.id, entry.collection, entry.licence, entry.title) == ("y", "lieder", "CC0-1.0", "Y")
    assert entry.parts[0]["program"] == 0
    assert entry.path.is_file()


def test_an_archive_beside_its_manifest_becomes_a_data_set(tmp_path, corpus, midi):
    apart = tmp_path / "apart"
    apart.mkdir()
    members = [(f"{name}.mid", midi) for name in ("lieder/x", "lieder/y", "solo/z")]
    tar_of(apart / "scores.tar.xz", members)
    (apart / "manifest.jsonl").write_bytes((corpus / "manifest.jsonl").read_bytes())
    add_dataset("folder", apart)
    add_dataset("archive", apart / "scores.tar.xz")
    assert len(dataset("folder")) == len(dataset("archive")) == 3


def test_a_zip_with_one_folder_and_the_manifest_inside_becomes_a_data_set(tmp_path, corpus):
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as zipped:
        for path in corpus.rglob("*"):
            if path.is_file():
                zipped.write(path, f"top/{path.relative_to(corpus)}")
        zipped.writestr("top/virus.exe", b"no")
    folder = add_dataset("zipped", tmp_path / "c.zip")
    assert len(dataset("zipped:train")) == 2
    assert not list(folder.rglob("*.exe"))


def test_any_folder_of_midi_files_is_a_data_set(tmp_path, midi):
    folder = tmp_path / "my songs"
    (folder / "deep").mkdir(parents=True)
    for number in range(40):
        (folder / "deep" / f"{number}.mid").write_bytes(midi)
    entries = dataset(folder)
    assert len(entries) == 40
    assert {entry.collection for entry in entries} == {"my songs"}
    assert {entry.split for entry in dataset(f"{folder}:train")} == {"train"}
    add_dataset("songs", folder)
    assert [(e.id, e.split) for e in dataset("songs")] == [(e.id, e.split) for e in entries]


def test_splits_depend_on_the_work_alone_and_keep_their_shares():
    counts = Counter(split_of(f"work {number}") for number in range(4000))
    assert counts["test"] / 4000 == pytest.approx(0.10, abs=0.02)
    assert counts["validation"] / 4000 == pytest.approx(0.05, abs=0.015)
    assert split_of("BWV 846") == "train"


def test_unknown_data_sets_say_how_to_add_them(corpus):
    with pytest.raises(UserError, match="ondes data add corpus FOLDER_OR_ARCHIVE"):
        dataset("corpus:test")
    add_dataset("corpus", corpus)
    with pytest.raises(UserError, match="did you mean 'corpus'"):
        dataset("corpsu:test")
    with pytest.raises(UserError, match="did you mean 'test'"):
        dataset("corpus:tset")
    with pytest.raises(UserError, match="holds no scores"):
        dataset("corpus:validation")


def test_empty_folders_and_broken_manifests_are_refused(tmp_path, corpus):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither a manifest"):
        dataset(tmp_path / "empty")
    (corpus / "manifest.jsonl").write_text("nonsense\n")
    with pytest.raises(UserError, match="is not a manifest"):
        dataset(corpus)
    (corpus / "manifest.jsonl").write_text(
        '{"id": "x", "collection": "c", "path": "x.mid", "split": "tset"}\n'
    )
    with pytest.raises(UserError, match="row 1 has a wrong or missing field"):
        dataset(corpus)
    (corpus / "manifest.jsonl").write_text(
        '{"id": "x", "collection": "c", "path": "../../etc/x.mid", "split": "test"}\n'
    )
    with pytest.raises(UserError, match="leads out of"):
        dataset(corpus)


def test_names_are_checked_and_never_replaced(corpus):
    with pytest.raises(UserError, match="cannot be called"):
        add_dataset("../evil", corpus)
    add_dataset("corpus", corpus)
    with pytest.raises(UserError, match="already in"):
        add_dataset("corpus", corpus)


def test_missing_scores_leave_nothing_behind(corpus, home):
    (corpus / "solo" / "z.mid").unlink()
    with pytest.raises(UserError, match=r"lacks 1 of the 3 scores .* such as solo/z\.mid"):
        add_dataset("corpus", corpus)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", ["../out.mid", "/tmp/out.mid", "a/../../out.mid"])
def test_climbing_paths_are_refused(tmp_path, midi, name):
    archive = tar_of(tmp_path / "evil.tar.xz", [(name, midi)])
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="leads out of"):
        unpack(archive, tmp_path / "in")
    assert not (tmp_path / "out.mid").exists()


def test_links_are_refused(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("a.mid")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="is a link or device"):
        unpack(tmp_path / "evil.tar", tmp_path / "in")


def test_bombs_are_refused(tmp_path, monkeypatch):
    archive = tar_of(tmp_path / "bomb.tar.xz", [("a.mid", bytes(3_000_000))])
    monkeypatch.setattr(adding, "MOST_BYTES", 1_000_000)
    with pytest.raises(UserError, match="unpacks to more than"):
        add_dataset("bomb", archive)
    assert dataset_names() == []


@pytest.mark.parametrize("damage", ["truncated", "not an archive", "unknown suffix", "missing"])
def test_damaged_archives_are_refused_in_one_line(tmp_path, midi, damage):
    archive = tar_of(tmp_path / "a.tar.xz", [(f"{n}.mid", bytes(range(256)) * 50) for n in range(20)])
    if damage == "truncated":
        archive.write_bytes(archive.read_bytes()[:300])
    elif damage == "not an archive":
        archive.write_bytes(b"hello")
    elif damage == "unknown suffix":
        archive = archive.rename(tmp_path / "a.rar")
    else:
        archive.unlink()
    with pytest.raises(UserError, match=r"give (a|\.tar)") as caught:
        add_dataset("damaged", archive)
    assert "\n" not in str(caught.value)
