from __future__ import annotations

import pytest
import torch

from ondes.errors import UserError
from ondes.pipelines.audio_editing import backwards
from ondes.pipelines.tensor_file import TensorFile


def test_tensors_come_back_to_the_bit_in_any_order() -> None:
    tensors = [torch.randn(2, 3, 5), torch.randn(1, 4).T, torch.zeros(2, 0)]
    with TensorFile() as file:
        assert [file.add(one) for one in tensors] == [0, 1, 2]
        for number in (2, 0, 1, 0):
            assert torch.equal(file.read(number), tensors[number])
        assert len(file) == 3


def test_pieces_come_backwards() -> None:
    pieces = [torch.randn(2, 4, size) for size in (3, 1, 7)]
    assert all(torch.equal(one, two) for one, two in zip(backwards(pieces), pieces[::-1], strict=True))


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with TensorFile() as file:

        class Full:
            def seek(self, *_: int) -> int:
                return 0

            def write(self, _: bytes) -> None:
                raise OSError(28, "No space left on device")

        file._file.close()
        monkeypatch.setattr(file, "_file", Full())
        with pytest.raises(UserError, match="No space left on device"):
            file.add(torch.zeros(1))
        file._file.close = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
