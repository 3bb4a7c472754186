"""Files read at once give what reading them byte by byte and as scores gives."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ondes.scores
from midi_bytes import (  # pyright: ignore[reportMissingImports]
    bend,
    control,
    in_order,
    meta,
    midi,
    note,
    off,
    on,
    program,
    tempo,
    track,
)
from ondes import midi_notes, midi_scan
from ondes.errors import UserError
from ondes.midi_file import KEPT, _track_by_byte
from ondes.midi_notes import read_notes
from ondes.notes import Notes
from ondes.score import read_score, to_notes

SCORES = sorted(Path(ondes.scores.__file__).parent.glob("*.mid"))

Timed = tuple[int, bytes]


@pytest.fixture(autouse=True)
def _scan_short_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_scan, "LEAST_BYTES", 1)


def regular(data: bytes) -> bool:
    return midi_notes._regular_notes(data) is not None


def assert_equal(found: Notes, expected: Notes) -> None:
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(found, name)), name
    assert found.duration_s == expected.duration_s
    assert [(part.program, part.is_drum) for part in found.parts] == [
        (part.program, part.is_drum) for part in expected.parts
    ]


@st.composite
def tracks(draw: st.DrawFn) -> bytes:
    """A track with a program, notes, pedals, and now and then something unusual."""
    channel = draw(st.sampled_from([0, 0, 1, 9]))
    tick = st.integers(0, 3000)
    moves: list[Timed | list[Timed]] = []
    if draw(st.booleans()):
        moves.append((0, program(draw(st.integers(0, 127)), channel)))
    for start, length, pitch in draw(
        st.lists(st.tuples(tick, st.integers(0, 900), st.integers(60, 62)), max_size=8)
    ):
        moves.append(note(start, start + length, pitch, 64, channel))
    for time, number, value in draw(
        st.lists(
            st.tuples(tick, st.sampled_from([7, 64, 64, 66, 121]), st.sampled_from([0, 64, 127])), max_size=5
        )
    ):
        moves.append((time, control(number, value, channel)))
    rare = [
        bend(100, channel),
        program(5, channel),
        control(123, 0, channel),
        on(60, 64, channel),
        off(61, channel),
    ]
    rare += [meta(0x06, b"here"), meta(0x58, bytes([3, 2, 24, 8])), meta(0x51, b"\0\0\0"), tempo(400_000)]
    for time, event in draw(st.lists(st.tuples(tick, st.sampled_from(rare)), max_size=2)):
        moves.append((time, event))
    return track(in_order(*moves))


@pytest.mark.parametrize("path", SCORES, ids=lambda path: path.stem)
def test_scores_in_the_package_are_regular_and_give_the_same_notes(path: Path) -> None:
    assert regular(path.read_bytes())
    assert_equal(read_notes(path), to_notes(read_score(path)))


@given(st.lists(tracks(), min_size=1, max_size=3))
@settings(max_examples=20)
def test_any_file_gives_the_notes_of_its_score(written: list[bytes]) -> None:
    data = midi(*written)
    assert_equal(read_notes(data), to_notes(read_score(data)))


def test_pedals_programs_and_tempos_are_read_at_once() -> None:
    piano = in_order(
        *[(0, program(5)), (300, control(64, 127)), (900, control(64, 0)), (1000, control(66, 127))],
        *[
            note(0, 400, 60),
            note(450, 500, 62),
            note(950, 1100, 64),
            (1500, control(121, 0)),
            (1600, program(9)),
        ],
        note(1700, 1800, 60),
    )
    drums = track(note(100, 100, 36, channel=9))
    data = midi(track([(0, tempo(600_000)), (700, tempo(300_000))]), track(piano), drums)
    assert regular(data)
    assert_equal(read_notes(data), to_notes(read_score(data)))


@pytest.mark.parametrize(
    "events",
    [
        [(0, on(60)), (100, off(60)), (200, off(60))],
        [(0, on(60)), (100, on(62)), (200, off(62))],
        [*note(0, 100, 60), (100, control(123, 0))],
        [*note(0, 100, 60), (200, meta(0x51, b"\0\0\0"))],
        [*note(0, 100, 60), (200, meta(0x06, b"after the end"))],
        [],
    ],
)
def test_what_is_unusual_is_left_to_the_careful_reader(events: list[Timed]) -> None:
    data = midi(track(events))
    assert not regular(data)
    assert_equal(read_notes(data), to_notes(read_score(data)))


def test_files_that_cannot_be_read_are_refused_as_ever(tmp_path: Path) -> None:
    data = SCORES[0].read_bytes()
    for broken in (b"", b"RIFF", data[:-3], data[:40], data[:200] + b"\xf4" + data[201:]):
        with pytest.raises(UserError) as expected:
            read_score(broken)
        with pytest.raises(UserError) as found:
            read_notes(broken)
        assert str(found.value) == str(expected.value)
    with pytest.raises(UserError, match="does not exist"):
        read_notes(tmp_path / "none.mid")


def test_a_file_that_may_not_be_read_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        read_notes(SCORES[0])


@pytest.mark.parametrize("path", SCORES, ids=lambda path: path.stem)
def test_changed_bytes_are_scanned_as_they_are_read_one_by_one(path: Path) -> None:
    data, draw = path.read_bytes(), random.Random(3)
    begin = data.rindex(b"MTrk") + 8
    scanned = 0
    for _ in range(40):
        chunk = bytearray(data[begin:])
        for _ in range(draw.choice([1, 1, 3])):
            chunk[draw.randrange(len(chunk))] = draw.choice(
                [0, 0x7F, 0x80, 0xFF, 0xC0, 0xF0, draw.randrange(256)]
            )
        scan = midi_scan.scan_tracks([bytes(chunk)], KEPT)
        if scan is None:
            continue
        repairs: Counter[str] = Counter()
        read = _track_by_byte(bytes(chunk), 0, "track", repairs)
        assert (list(read.packed), read.end) == (scan.packed.tolist(), scan.ends[0])
        assert read.metas == [event[1:] for event in scan.metas]
        assert not +repairs
        scanned += 1
    assert scanned > 5
