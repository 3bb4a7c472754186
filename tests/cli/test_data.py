"""`ondes data`: what a person types, sees and gets."""

import importlib.util
import json
from pathlib import Path

import pytest


@pytest.fixture
def soundfont():
    spec = importlib.util.find_spec("pretty_midi")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("TimGM6mb.sf2")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ONDES_DATA", str(tmp_path / "home"))


@pytest.fixture
def songs(tmp_path, song):
    folder = tmp_path / "songs"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.mid").write_bytes(song.read_bytes())
    return folder


def test_pairs_are_rendered_and_the_command_goes_on_when_repeated(ondes, songs, tmp_path, soundfont):
    words = [
        "data",
        "render",
        songs,
        "-o",
        tmp_path / "pairs",
        "--soundfont",
        soundfont,
        "--workers",
        1,
        "--seconds",
        2,
    ]
    done = ondes(*words, "--hours", 7 / 3600)
    assert done.status == 0
    assert "2 pairs, 8.0 s; none rejected" in done.err
    assert done.out == ""
    more = ondes(*words, "--hours", 15 / 3600)
    assert "4 pairs, 16.0 s" in more.err
    rows = [json.loads(line) for line in (tmp_path / "pairs" / "manifest.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == [0, 1, 2, 3]


def test_data_sets_are_added_and_listed(ondes, songs):
    empty = ondes("data", "list")
    assert (empty.status, empty.out) == (0, "")
    assert "add one with" in empty.err
    added = ondes("data", "add", "songs", songs)
    assert added.status == 0
    assert "3 train" in added.err
    listed = ondes("data", "list")
    assert "songs" in listed.out
    assert "unknown" in listed.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["render", "corpus:train", "-o", "out"], "there is no data set 'corpus'"),
        (["render", "SONGS:tset", "-o", "out"], "did you mean 'test'"),
        (["render", "SONGS", "-o", "out", "--soundfont", "nope.sf2"], "nope.sf2 does not exist"),
        (["render", "SONGS", "-o", "SONGS", "--soundfont", "FONT"], "holds other files"),
        (["render", "SONGS", "-o", "out", "--soundfont", "FONT", "--hours", "0"], "give positive numbers"),
        (["add", "corpus", "missing.tar.xz"], "missing.tar.xz does not exist"),
        (["add", "Corpus!", "SONGS"], "cannot be called"),
        (["openscore", "SONGS", "-o", "out"], "holds no scores of a known kind"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_status_2(
    ondes, songs, soundfont, tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    typed = [word.replace("SONGS", str(songs)).replace("FONT", str(soundfont)) for word in words]
    refused = ondes("data", *typed)
    assert refused.status == 2
    assert said in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.jsonl"))


def test_a_folder_of_clones_becomes_a_corpus(ondes, song, tmp_path):
    music = tmp_path / "freedoom" / "musics"
    music.mkdir(parents=True)
    (music / "d_e1m1.mid").write_bytes(song.read_bytes())
    built = ondes("data", "openscore", tmp_path / "freedoom", "-o", tmp_path / "corpus")
    assert built.status == 0
    assert "1 scores" in built.err
    assert (tmp_path / "corpus" / "manifest.jsonl").is_file()
