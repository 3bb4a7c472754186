"""Wrong types and shapes are found in every test, and libraries are read from their compiled files meanwhile."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from annotations import READER, OrdinaryCaches, checked
from ondes.audio import Audio
from ondes.models.overlap_add import inverse_stft


def test_an_int_may_stand_for_a_float_and_a_word_may_not() -> None:
    @checked
    def double(number: float) -> float:
        return 2 * number

    assert double(3) == 6
    for _ in range(2):
        with pytest.raises(BeartypeCallHintViolation):
            double("3")


def test_types_of_ours_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        Audio.silence("long")  # pyright: ignore[reportArgumentType]


def test_shapes_of_ours_are_checked() -> None:
    with pytest.raises(TypeCheckError):
        inverse_stft(torch.zeros(1025, 4))


def test_the_reader_of_modules_names_compiled_files_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(READER, "cache_from_source", lambda path: path + ".other")
    OrdinaryCaches().find_spec("torch", None)
    assert READER.cache_from_source is importlib.util.cache_from_source
