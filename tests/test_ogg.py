from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ondes import ogg
from ondes.audio import Audio


@pytest.fixture
def vorbis(tmp_path: Path) -> Path:
    path = tmp_path / "noise.ogg"
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 44_100)).astype(np.float32)
    Audio(noise, 44_100).write(path)
    return path


def _stream_number(path: Path) -> int:
    return struct.unpack_from("<I", path.read_bytes(), 14)[0]


def test_the_checksum_is_that_of_the_encoder(vorbis: Path) -> None:
    page = bytearray(
        vorbis.read_bytes()[:58]
    )  # the first page of Vorbis always has 30 bytes behind 28 of header
    written = struct.unpack_from("<I", page, 22)[0]
    page[22:26] = bytes(4)
    assert ogg.checksum(page) == written


def test_a_renumbered_stream_decodes_to_the_same_samples(vorbis: Path) -> None:
    before = Audio.read(vorbis)
    ogg.number_stream(vorbis, 77)
    assert _stream_number(vorbis) == 77
    assert np.array_equal(Audio.read(vorbis).samples, before.samples)


def test_numbering_is_undone_by_numbering(vorbis: Path) -> None:
    before = vorbis.read_bytes()
    ogg.number_stream(vorbis, 77)
    assert vorbis.read_bytes() != before
    ogg.number_stream(vorbis, struct.unpack_from("<I", before, 14)[0])
    assert vorbis.read_bytes() == before


def test_what_is_no_ogg_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    path.write_bytes(b"RIFF" * 20)
    with pytest.raises(ValueError, match="no OGG page at byte 0"):
        ogg.number_stream(path)
