"""Fixtures of the tests of training."""

from __future__ import annotations

from rendered_sines import pairs, train  # pyright: ignore[reportMissingImports]

__all__ = ["pairs", "train"]
