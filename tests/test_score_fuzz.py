"""Mutated real files: the reader reads them or refuses them in one line, and never crashes or hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midi_bytes import bend, chunk, control, in_order, meta, midi, note, on, program, tempo, track
from ondes.errors import UserError
from ondes.score import Notes, notes_to_score, read_score, to_notes

LONGEST_S = 20.0
"""A file of a few kilobytes takes milliseconds; the rest is for a busy machine."""

BUNDLED = [
    item.read_bytes() for item in resources.files("ondes.scores").iterdir() if item.name.endswith(".mid")
]


CUT = [data[:2000] for data in BUNDLED]


def piece(channel: int = 0) -> bytes:
    """A track with something of everything."""
    events = [(0, meta(3, b"piece \xe9")), (0, tempo(400_000)), (0, program(channel * 7, channel))]
    events += [
        (0, meta(0x58, b"\x03\x02\x18\x08")),
        (0, meta(0x21, b"\1")),
        (0, b"\xf0\x05\x7e\x7f\x09\x01\xf7"),
    ]
    events += [
        (0, control(n, v, channel)) for n, v in ((101, 0), (100, 0), (6, 12), (7, 90), (64, 127), (10, 20))
    ]
    notes = [note(60 * i, 60 * i + 50, 50 + i, 40 + i, channel) for i in range(12)]
    ending = [
        (480, control(64, 0, channel)),
        (500, control(66, 127, channel)),
        (600, control(123, 0, channel)),
    ]
    return track(
        in_order(
            events, *notes, (200, bend(3000, channel)), (300, program(9, channel)), ending, (700, on(40))
        )
    )


RIFF = b"RIFF\0\1\0\0RMIDdata\0\1\0\0"
REAL = [
    *BUNDLED,
    *CUT,
    midi(piece(), kind=0),
    midi(piece(), piece(9), track([(0, control(7, 30)), (900, tempo(300_000))])),
    midi(piece(), piece(3), piece(3), kind=2),
    midi(piece(5), chunk(b"XFIH", b"abcd"), division=(256 - 25) << 8 | 40, declared=1),
    RIFF + midi(piece()),
]
INTERESTING = [0, 1, 0x2F, 0x51, 0x7F, 0x80, 0x90, 0xB0, 0xC0, 0xE0, 0xF0, 0xF7, 0xFF]

Mutation = tuple[str, float, float, int]
MUTATION = st.tuples(
    st.sampled_from(["set", "set", "delete", "insert", "double", "cut", "length", "swap"]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.one_of(st.sampled_from(INTERESTING), st.integers(0, 127)),
)


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    """The bytes after each change; places are fractions of their length, rather early than late."""
    for kind, place, extent, value in mutations:
        at = int(len(data) * place**2)
        size = 1 + int(extent**6 * min(len(data), 2000))
        if kind == "set":
            data = data[:at] + bytes([value]) + data[at + 1 :]
        elif kind == "delete":
            data = data[:at] + data[at + size :]
        elif kind == "insert":
            data = data[:at] + bytes([value]) * size + data[at:]
        elif kind == "double":
            data = data[:at] + data[at : at + size] * (1 + value % 4) + data[at + size :]
        elif kind == "cut":
            data = data[: max(at, 20)]
        elif kind == "length":
            head = data.find(b"MTrk", at) + 4
            data = (
                data[:head]
                + bytes([value, value, value, value])[: 1 + value % 4]
                + data[head + 1 + value % 4 :]
            )
        else:
            data = data[:at] + data[at + size : at + 2 * size] + data[at : at + size] + data[at + 2 * size :]
    return data


def mutated_inside(data: bytes, mutations: list[Mutation], which: int) -> bytes:
    """The file with changes in the body of one of its tracks, whose length is put right."""
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"MTrk"]
    at = starts[which % len(starts)]
    end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    return data[:at] + chunk(b"MTrk", mutated(data[at + 8 : end], mutations)) + data[end:]


def read_or_refused(data: bytes) -> Notes | None:
    """The notes of a file, or None where one line refuses it; either within seconds."""
    start, notes, refusal = time.process_time(), None, ""
    try:
        notes = to_notes(read_score(data))
    except UserError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert time.process_time() - start < LONGEST_S
    return notes


def survives(data: bytes) -> bool:
    """Whether the file could be read; if so, its notes make sense and can be written."""
    notes = read_or_refused(data)
    if notes is None:
        return False
    assert np.isfinite(notes.release_s).all()
    assert (notes.onset_s >= 0).all()
    assert (notes.key_release_s >= notes.onset_s).all()
    assert (notes.release_s >= np.maximum(notes.key_release_s, notes.onset_s + 0.0009)).all()
    assert (np.diff(notes.onset_s) >= 0).all()
    assert ((notes.pitch >= 0) & (notes.pitch < 128) & (notes.velocity > 0) & (notes.velocity < 128)).all()
    assert notes.release_s.max(initial=0) <= notes.duration_s <= 36_001
    for part in notes.parts:
        at = np.linspace(0, notes.duration_s, 5)
        assert np.isfinite(
            part.controls.gain_db(at) + part.controls.pan(at) + part.controls.bend_semitones(at)
        ).all()
    again = to_notes(read_score(notes_to_score(notes).dumps_midi()))
    assert len(again) == len(notes)
    return True


@pytest.mark.parametrize("index", range(len(REAL)))
def test_the_real_files_are_real(index: int) -> None:
    assert survives(REAL[index]) == (REAL[index] not in CUT)


def check_mutations(examples: int) -> None:
    """Read that many mutated files, of which some but not all must be readable."""
    read: list[bool] = []

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from(REAL),
        st.lists(MUTATION, min_size=1, max_size=3),
        st.one_of(st.none(), *[st.integers(0, 20)] * 3),
    )
    def check(data: bytes, mutations: list[Mutation], which: int | None) -> None:
        spoilt = mutated(data, mutations) if which is None else mutated_inside(data, mutations, which)
        read.append(survives(spoilt))

    check()
    assert len(read) >= examples
    # How many of each kind Hypothesis finds depends on its version; both kinds must be there in number.
    least = max(1, examples // 50)
    assert least <= sum(read) <= len(read) - least, "too few files are read, or refused, to test anything"


def test_mutated_files_are_read_or_refused() -> None:
    check_mutations(50)


@pytest.mark.slow
def test_two_thousand_mutated_files_are_read_or_refused() -> None:
    check_mutations(2000)


READ_FILES = """
import sys, time
from ondes.errors import UserError
from ondes.score import read_score, to_notes
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        to_notes(read_score(path))
    except UserError:
        pass
    print(time.process_time() - start)
"""


@pytest.mark.slow
def test_costly_files_of_two_megabytes_are_read_or_refused_in_time(tmp_path: Path) -> None:
    head, most = midi(declared=1), 2**21
    controls = chunk(b"MTrk", b"\0\xb0\x07\x40" + b"\0\x07\x40" * (most // 8))
    hand = chunk(b"MTrk", b"\0\x90\x3c\x40\0\x3c\0")
    channels = chunk(b"MTrk", b"".join(bytes([0, 0x90 | c, 60, 64, 0, 60, 0]) for c in range(16)))
    hostile = [
        head + chunk(b"MTrk", b"\0\x90\x3c\x40" + b"\0\x3c\x40" * (most // 3)),
        head + chunk(b"MTrk", b"\0\xd0\x01" + b"\0\x01" * (most // 2)),
        head + chunk(b"MTrk", b"\0\xff\x06\0" * (most // 4)),
        head + chunk(b"MTrk", b"\0\xff\x51\x03\1\1\1" * (most // 7)),
        head + chunk(b"MTrk", b"\0\xb0\x06\x40" + b"\0\x06\x40" * (most // 3)),
        head + chunk(b"MTrk", b"\0\xc0\1" * (most // 3) + b"\0\x90\x3c\x40"),
        head + chunk(b"MTrk", b"\0\xff\x03\xff\xff\x7f" + b"\xff" * most),
        head + controls + hand * 4000,
        head + chunk(b"MTrk", b"\0\xc0\1" * (most // 12)) + channels * 4000,
        head + chunk(b"xxxx", b"") * (most // 8),
    ]
    for index, data in enumerate(hostile):
        (tmp_path / f"{index}.mid").write_bytes(data)
    paths = sorted(map(str, tmp_path.iterdir()))
    took = subprocess.run(
        [sys.executable, "-c", READ_FILES, *paths], check=True, capture_output=True, text=True
    )
    seconds = [float(line) for line in took.stdout.split()]
    assert len(seconds) == len(hostile)
    assert max(seconds) < 30
