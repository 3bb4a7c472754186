from __future__ import annotations

from pathlib import Path

import pytest

from ondes.errors import UserError
from ondes.files import file_sha256, folder_written_whole, written_whole


def test_a_file_appears_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with written_whole(path) as neighbour:
        neighbour.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def stop_half_way() -> None:
        with written_whole(path) as neighbour:
            neighbour.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_fingerprint_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == expected


def test_a_folder_appears_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "models" / "new"
    with folder_written_whole(path) as neighbour:
        (neighbour / "a").write_text("new")
        assert not path.exists()
    assert (path / "a").read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def stop_half_way() -> None:
        with folder_written_whole(tmp_path / "new") as neighbour:
            (neighbour / "a").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []


def test_only_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.mkdir()
    with folder_written_whole(path) as neighbour:
        (neighbour / "a").write_text("new")
    assert (path / "a").read_text() == "new"
    with pytest.raises(UserError, match="already exists"), folder_written_whole(path):
        pass
    assert (path / "a").read_text() == "new"
