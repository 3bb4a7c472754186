"""Folders become segments: what is left out is counted, what was read is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ondes.datasets.triple_segments import file_segments, quick_score, read_segments
from ondes.errors import UserError
from ondes.midi_file import parse_midi
from ondes.representations.triples import TripleLimits, choose_track, to_triples
from ondes.score import read_score
from ondes.scores.notation import Page, to_midi

LIMITS = TripleLimits(notes=8)


def write_piece(
    path: Path, notes: int, *, program: int = 0, longest: float = 0.5, first: float = 0.0
) -> None:
    """A scale in eighth notes; the last note may be long, the first late."""
    page = Page("Part", program)
    for step in range(notes):
        length = longest if step == notes - 1 else 0.5
        page.note(first + step / 2, 40 + step, length, 80)
    path.write_bytes(to_midi([page], [(0.0, 90.0)]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file for each thing that may happen."""
    place = tmp_path / "scores"
    place.mkdir()
    write_piece(place / "a.mid", 20)
    write_piece(place / "b_short.mid", 7)
    write_piece(place / "c_violin.mid", 20, program=40)
    write_piece(place / "d_long.mid", 20, longest=3)
    write_piece(place / "e_late.mid", 20, first=9)
    (place / "f_broken.mid").write_bytes((place / "a.mid").read_bytes()[:60])
    write_piece(place / "g.mid", 8)
    return place


def test_every_file_gives_its_segments_or_a_reason(folder: Path) -> None:
    found = read_segments(str(folder), LIMITS)
    assert found.triples.shape == (3, 8, 3)
    assert found.file.tolist() == [0, 0, 6]
    np.testing.assert_array_equal(found.triples[:, 0, 0], [40, 48, 40])
    assert (found.triples[..., 1] == 0.5).all()
    assert found.triples[0, 0, 2] == 0
    assert (found.triples[1, :, 2] == 0.5).all()
    assert dict(found.rejections.counts) == {
        "fewer than 8 notes in the piano track": 1,
        "no piano track": 1,
        "a note longer than 2.133 quarter notes": 1,
        "more than 2.133 quarter notes between onsets": 1,
        "not a MIDI file that can be read": 1,
    }
    assert [row["id"] for row in found.rejections.rows] == [
        "b_short",
        "c_violin",
        "d_long",
        "e_late",
        "f_broken",
    ]


def test_wider_limits_let_more_in(folder: Path) -> None:
    assert len(read_segments(str(folder), TripleLimits(4, 12, notes=8)).triples) == 7


@pytest.mark.slow
def test_several_processes_read_the_same(folder: Path) -> None:
    one, two = (read_segments(str(folder), LIMITS, workers=workers) for workers in (1, 2))
    np.testing.assert_array_equal(one.triples, two.triples)
    assert one.rejections.rows == two.rejections.rows


def test_what_was_read_is_kept_until_a_file_or_a_limit_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = read_segments(str(folder), LIMITS, cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr("ondes.datasets.triple_segments.file_segments", None)  # nothing is read again
        again = read_segments(str(folder), LIMITS, cache=cache)
        np.testing.assert_array_equal(first.triples, again.triples)
        np.testing.assert_array_equal(first.file, again.file)
        assert first.rejections.counts == again.rejections.counts
    write_piece(folder / "g.mid", 16)
    assert len(read_segments(str(folder), LIMITS, cache=cache).triples) == 4
    assert len(read_segments(str(folder), TripleLimits(notes=4), cache=cache).triples) == 10
    for kept in cache.iterdir():
        kept.write_bytes(b"no archive")
    with pytest.raises(UserError, match="is damaged"):
        read_segments(str(folder), LIMITS, cache=cache)


def test_a_folder_of_which_nothing_can_be_used_is_one_line(folder: Path) -> None:
    with pytest.raises(UserError, match=r"none of the 7 files of .* 5 x fewer than 100 notes"):
        read_segments(str(folder), TripleLimits(99, 99, notes=100))


def test_both_readers_find_the_same_triples(folder: Path) -> None:
    for path in (folder / "a.mid", folder / "e_late.mid"):
        both = [reader(path) for reader in (quick_score, read_score)]
        tracks = [choose_track(score) for score in both]
        assert tracks == [0, 0]
        quick, careful = (to_triples(score, 0) for score in both)
        np.testing.assert_array_equal(quick, careful)


def test_what_symusic_does_not_read_goes_to_the_careful_reader(folder: Path) -> None:
    data = (folder / "a.mid").read_bytes()
    frames = folder / "frames.mid"  # 25 frames of 40 ticks a second: 1000 ticks a second
    frames.write_bytes(data[:12] + bytes([256 - 25, 40]) + data[14:])
    assert parse_midi(frames.read_bytes(), "") is not None
    triples, reason = file_segments(frames, limits=TripleLimits(99, 99, notes=8))
    assert reason == ""
    assert triples is not None
    # An eighth note of ticks that are milliseconds now, in a file whose quarter note is a second.
    ticks = int.from_bytes(data[12:14], "big") / 2
    np.testing.assert_allclose(triples[0, 1:, 2], ticks / 1000, rtol=1e-3)
