"""Pickles are read as data, whichever numpy wrote them; whatever else they ask for is refused by name."""

from __future__ import annotations

import collections
import datetime
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ondes.checkpoints.restricted_pickle import read_pickle, read_torch
from ondes.errors import UserError

CONTENT = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4) / 7,
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "big endian": np.arange(5, dtype=">i4"),
    "half": np.array([0.5, -2], np.float16),
    "flags": np.array([[True], [False]]),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.float64(0.1),
    "names": {"linear": "linear_0.w_0", "list": [1, 2.5, None, True, b"\xff\x00", 3j], "set": {1, 2}},
    "tuple": ("a", np.int64(7)),
}


class Calls:
    """Pickles into a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def write(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def assert_same(read: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert list(read) == list(wanted)
        for name, value in wanted.items():
            assert_same(read[name], value)
    elif isinstance(wanted, list | tuple):
        assert type(read) is type(wanted)
        for one, other in zip(read, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, np.ndarray):
        np.testing.assert_array_equal(read, wanted)
        assert read.dtype == wanted.dtype.newbyteorder("=")
    else:
        assert read == wanted


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back_in_every_protocol(tmp_path, protocol):
    assert_same(read_pickle(write(tmp_path / "a", CONTENT, protocol)), CONTENT)


@pytest.mark.parametrize("protocol", [0, 2])
def test_names_of_numpy_1_and_2_are_the_same(tmp_path, protocol):
    new = pickle.dumps(CONTENT["weight"], protocol)
    assert b"numpy._core.multiarray" in new
    file = tmp_path / "a"
    file.write_bytes(new.replace(b"numpy._core", b"numpy.core"))
    np.testing.assert_array_equal(read_pickle(file), CONTENT["weight"])


def test_an_ordered_dict_is_a_dict(tmp_path):
    file = write(tmp_path / "a", collections.OrderedDict(b=1, a=np.ones(2)))
    assert_same(read_pickle(file), {"b": 1, "a": np.ones(2)})


def test_arrays_can_be_written_to(tmp_path):
    read = read_pickle(write(tmp_path / "a", np.zeros(3)))
    read += 1
    assert read.sum() == 3


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_call_is_refused_by_name_and_not_made(tmp_path, protocol):
    target = tmp_path / "made"
    file = write(tmp_path / "a", {"x": np.ones(1), "y": Calls(os.mkdir, str(target))}, protocol)
    with pytest.raises(
        UserError, match=rf"is refused: its pickle needs {os.mkdir.__module__}\.mkdir, but only"
    ):
        read_pickle(file)
    assert not target.exists()


def test_every_foreign_name_is_told(tmp_path):
    content = [
        datetime.date(2020, 1, 1),
        Calls(eval, "1"),
        Path(),
        Calls(eval, "2"),
        Calls(getattr, "a", "b"),
    ]
    with pytest.raises(UserError) as refused:
        read_pickle(write(tmp_path / "a", content))
    message = str(refused.value)
    assert "datetime.date, builtins.eval, pathlib.PosixPath, builtins.getattr, but" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [
        np.array([{"a": 1}], object),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]),
        np.array(["text"]),
        np.dtype("f4"),
        np.ndarray,
    ],
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, content):
    with pytest.raises(UserError, match=r"cannot be read as a pickle of arrays \(.*\); fetch it again"):
        read_pickle(write(tmp_path / "a", content))


def test_an_array_shorter_than_it_claims_is_refused(tmp_path):
    data = pickle.dumps(np.arange(4, dtype=np.int32), 2)
    claimed = data.replace(b"K\x04\x85", b"K\x7f\x85")
    assert claimed != data
    (tmp_path / "a").write_bytes(claimed)
    with pytest.raises(UserError, match="cannot be read"):
        read_pickle(tmp_path / "a")


def test_a_length_reserves_no_memory(tmp_path):
    with pytest.raises(UserError, match="bytes of a given length"):
        read_pickle(write(tmp_path / "a", Calls(bytearray, 2**40)))


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_truncated_pickle_is_one_line(tmp_path, cut):
    data = pickle.dumps(CONTENT)
    (tmp_path / "a").write_bytes(data[:cut])
    with pytest.raises(UserError, match="cannot be read as a pickle") as refused:
        read_pickle(tmp_path / "a")
    assert "\n" not in str(refused.value)


def test_torch_files_are_read_in_both_of_its_formats(tmp_path):
    wanted = {"a": torch.arange(6).view(2, 3) / 5, "n": {"steps": 3}}
    for new in (True, False):
        torch.save(wanted, tmp_path / "a", _use_new_zipfile_serialization=new)
        read = read_torch(tmp_path / "a")
        assert torch.equal(read["a"], wanted["a"])
        assert read["n"] == wanted["n"]


@pytest.mark.parametrize("new", [True, False])
def test_a_call_in_a_torch_file_is_refused_by_name_and_not_made(tmp_path, new):
    target = tmp_path / "made"
    content = {"a": torch.ones(1), "b": Calls(os.mkdir, str(target))}
    torch.save(content, tmp_path / "a", _use_new_zipfile_serialization=new)
    with pytest.raises(UserError, match=rf"refused: its pickle needs {os.mkdir.__module__}\.mkdir, but"):
        read_torch(tmp_path / "a")
    assert not target.exists()


def test_all_foreign_names_of_a_torch_file_are_told(tmp_path):
    torch.save({"a": datetime.date(2020, 1, 1), "b": Path()}, tmp_path / "a")
    with pytest.raises(UserError) as refused:
        read_torch(tmp_path / "a")
    assert "datetime.date" in str(refused.value)
    assert "pathlib.PosixPath" in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive", struct.pack("<q", 7) * 20])
def test_a_damaged_torch_file_is_one_line(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(UserError, match=r"cannot be read as weights \(.*\); fetch it again$") as refused:
        read_torch(tmp_path / "a")
    assert "\n" not in str(refused.value)


def test_a_missing_torch_file_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_torch(tmp_path / "none")
