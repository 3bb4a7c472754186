"""Fixtures of the tests of training."""

from __future__ import annotations

from rendered_sines import pairs, train  # pyright: ignore[reportMissingImports]
from spectrogram_runs import rendered, train_spectrogram, unbroken  # pyright: ignore[reportMissingImports]

__all__ = ["pairs", "rendered", "train", "train_spectrogram", "unbroken"]
