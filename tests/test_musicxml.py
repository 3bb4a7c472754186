"""MusicXML is read as exact notes; what it loses is said, and nothing it says harms the reader."""

from __future__ import annotations

import importlib.util
import io
import os
import tracemalloc
import zipfile

import pytest

from musicxml_files import DOCTYPE, HEAD, SONG, quarter, song, write_mxl
from ondes import musicxml
from ondes.errors import UserError
from ondes.score import read_score, read_score_with_report, to_notes

pytest.importorskip("verovio", reason="verovio converts MusicXML; pip install 'ondes[musicxml]'")


def test_a_bar_becomes_its_notes_within_a_second(tmp_path):
    path = tmp_path / "song.musicxml"
    path.write_text(SONG)
    before = os.times()
    score, report = read_score_with_report(path)
    spent_s = sum(os.times()[:4]) - sum(before[:4])  # of this process and of verovio's
    assert spent_s < 1
    notes = to_notes(score)
    assert notes.pitch.tolist() == [72, 74, 76, 77]
    assert notes.onset_s == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=2e-3)
    assert notes.program.tolist() == [73] * 4
    assert not report


@pytest.fixture(scope="module")
def plain_midi():
    return musicxml.to_midi(SONG.replace("Flute", "Flöte").encode(), "a")[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "mxl"])
def test_every_encoding_and_wrapping_gives_the_same_midi(tmp_path, plain_midi, encoding):
    text = SONG.replace("Flute", "Flöte")
    data = text.replace("UTF-8", encoding.removesuffix("-sig")).encode(encoding) if encoding != "mxl" else b""
    if encoding == "mxl":
        write_mxl(tmp_path / "song.mxl", text)
        data = (tmp_path / "song.mxl").read_bytes()
    assert musicxml.to_midi(data, "b") == (plain_midi, {})
    assert "Flöte".encode() in plain_midi


def test_a_report_says_what_is_not_played():
    bar = (
        "<direction><direction-type><dynamics><ff/></dynamics></direction-type></direction>"
        "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
        + quarter("C", said="<notations><ornaments><trill-mark/></ornaments></notations>")
        + quarter("D", said="<notations><articulations><staccato/></articulations><fermata/></notations>")
        + quarter("E", alter=0.5)
        + quarter("F", alter=1, said="<notations><arpeggiate/></notations>")
    )
    score, report = read_score_with_report(song(bar).encode())
    assert [note.pitch for note in score.tracks[0].notes] == [72, 74, 76, 78]
    assert report.counts == {
        "dynamics and hairpins not played": 1,
        "ornaments played as plain notes": 1,
        "staccatos, accents and the like not played": 1,
        "fermatas and breaths not played": 1,
        "arpeggios and glides played as plain notes": 1,
        "chord symbols and figured basses not played": 1,
        "notes between the keys moved to a key": 1,
    }


def test_what_is_written_as_sound_is_kept():
    bar = "<barline location='right'><repeat direction='backward'/></barline>"
    tune = "".join(map(quarter, "CDEF"))
    transposed = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    faster = song(tune + bar).replace("120", "240").encode()
    twice = to_notes(read_score(faster))
    assert twice.pitch.tolist() == [72, 74, 76, 77] * 2
    assert twice.onset_s[-1] == pytest.approx(7 * 0.25, abs=2e-3)
    clarinet = song(tune).replace("</clef>", f"</clef>{transposed}").encode()
    assert to_notes(read_score(clarinet)).pitch.tolist() == [70, 72, 74, 75]


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path):
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped,
        zipped.open("score.xml", "w", force_zip64=True) as member,
    ):
        for _ in range(48):
            member.write(b" " * 2**20)
    data = bomb.getvalue()
    assert len(data) < 2**18
    tracemalloc.start()
    with pytest.raises(UserError, match="unpacks to more than 32 MiB"):
        read_score(data)
    assert tracemalloc.get_traced_memory()[1] < 4 * musicxml.MOST_XML_BYTES
    tracemalloc.stop()


ENTITY = '<!DOCTYPE score-partwise [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
LAUGHS = '<!DOCTYPE score-partwise [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
DEEP = f"<score-partwise>{'<a>' * 200}{'</a>' * 200}</score-partwise>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SONG.replace(HEAD, HEAD + ENTITY).replace("Flute<", "&x;<"), "declares XML entities"),
        (SONG.replace(HEAD, HEAD + LAUGHS), "declares XML entities"),
        (SONG[:-40], "no whole XML file"),
        (SONG.replace("score-partwise", "score-timewise"), "kind 'score-timewise'.*score-partwise"),
        ("<html></html>", "XML of kind 'html'"),
        (DEEP, "more than 100 deep"),
        (SONG.replace("UTF-8", "klingon"), "no text in klingon"),
    ],
)
def test_what_is_no_score_is_refused_in_one_sentence(text, message):
    with pytest.raises(UserError, match=message) as refusal:
        read_score(text.encode())
    assert "\n" not in str(refusal.value)


def test_a_published_document_type_is_not_fetched():
    assert read_score(SONG.replace(HEAD, HEAD + DOCTYPE).encode()).note_num() == 4


@pytest.mark.parametrize(
    "hostile",
    [SONG.replace("<beat-type>4", "<beat-type>0"), SONG.replace("<clef>", "<staves>0</staves><clef>")],
)
def test_a_score_that_crashes_verovio_is_a_sentence(hostile):
    with pytest.raises(UserError, match="cannot be read by verovio"):
        read_score(hostile.encode())


def test_a_score_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(musicxml, "MOST_CONVERSION_S", 0.5)
    forward = "<forward><duration>2000000000</duration></forward>"
    with pytest.raises(UserError, match="not converted after"):
        read_score(song(quarter("C") + forward + quarter("D")).encode())


def test_damaged_archives_are_refused(tmp_path):
    write_mxl(tmp_path / "song.mxl")
    whole = (tmp_path / "song.mxl").read_bytes()
    with pytest.raises(UserError, match="damaged or locked archive"):
        read_score(whole[: len(whole) // 2])
    with zipfile.ZipFile(tmp_path / "empty.mxl", "w") as zipped:
        zipped.writestr("picture.png", b"")
    with pytest.raises(UserError, match="archive without a score"):
        read_score(tmp_path / "empty.mxl")


def test_without_verovio_the_extra_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "verovio" else found(name))
    with pytest.raises(UserError, match=r"pip install 'ondes\[musicxml\]'"):
        read_score(SONG.encode())
