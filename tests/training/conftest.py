"""Fixtures of the tests of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rendered_sines import pairs, train  # pyright: ignore[reportMissingImports]
from spectrogram_runs import rendered, train_spectrogram, unbroken  # pyright: ignore[reportMissingImports]

from ondes.training import callbacks

__all__ = ["draw_rows", "empty_pictures", "pairs", "rendered", "train", "train_spectrogram", "unbroken"]

DRAW_ROWS = callbacks.draw_rows


@pytest.fixture(scope="session", autouse=True)
def empty_pictures() -> Iterator[None]:
    """Runs leave empty files for their pictures: drawing them is a third of a training that has six steps."""

    def leave(_: object, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "draw_rows", leave)
        yield


@pytest.fixture
def draw_rows() -> Callable[..., None]:
    """What draws the pictures of a run."""
    return DRAW_ROWS
