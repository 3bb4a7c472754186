"""Tensors that wait in a temporary file, so that memory does not grow with how many there are."""

from __future__ import annotations

import os
import tempfile
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from ondes.errors import UserError


class TensorFile:
    """32-bit floats of any shapes, by the order in which they came; gone with the context that it is."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._places: list[tuple[int, torch.Size]] = []

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, tensor: Tensor) -> int:
        """Keep a tensor; what it is asked for by.

        Raises:
            UserError: If there is no room.
        """
        try:
            place = self._file.seek(0, os.SEEK_END)
            self._file.write(tensor.detach().cpu().float().contiguous().numpy().tobytes())
            self._file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise UserError(
                f"what is made cannot be kept in {folder} ({error.strerror}); free some space"
            ) from None
        self._places.append((place, tensor.shape))
        return len(self._places) - 1

    def read(self, number: int) -> Tensor:
        """A tensor that was kept, on the CPU."""
        place, shape = self._places[number]
        self._file.seek(place)
        values = np.frombuffer(self._file.read(4 * shape.numel()), np.float32)
        return torch.from_numpy(values.reshape(shape).copy())
