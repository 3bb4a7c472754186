"""Wrong types and shapes are found in every test, and libraries are read from their compiled files meanwhile."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from annotations import READER, OrdinaryCaches, checked
from ondes.audio import Audio
from ondes.models.overlap_add import inverse_stft


def test_an_int_may_stand_for_a_float_and_a_word_may_not() -> None:
    @checked
    def double(number: float) -> float:
        return 2 * number

    assert double(3) == 6
    for _ in range(2):
        with pytest.raises(TypeCheckError):
            double("3")


def test_functions_of_one_code_are_checked_each_by_itself() -> None:
    def adder(number: int) -> Callable[[Any], Any]:
        @checked
        def add(other: int) -> int:
            return other + number

        return add

    first, second = adder(1), adder(10)
    assert [first(1), second(1), first(2), second(2)] == [2, 11, 3, 12]
    for add in (first, second):
        with pytest.raises(TypeCheckError):
            add("1")


def test_data_classes_with_fields_of_one_name_are_checked_each_by_itself() -> None:
    @dataclass
    class Number:
        value: int

    @dataclass
    class Word:
        value: str

    number, word = checked(Number), checked(Word)
    assert (number(1).value, word("one").value) == (1, "one")
    with pytest.raises(TypeCheckError):
        word(1)


def test_results_and_fields_and_what_a_keyword_brings_are_checked() -> None:
    @checked
    def lying(*, word: str = "") -> int:
        return word or 1  # pyright: ignore[reportReturnType]

    @checked
    @dataclass(frozen=True)
    class Pair:
        first: int
        rest: list[int] = field(default_factory=list)

    assert (lying(), Pair(1)) == (1, Pair(1, []))
    for wrong in (lambda: lying(word=3), lambda: lying(word="x"), lambda: Pair("1"), lambda: Pair(1, ["2"])):  # pyright: ignore[reportArgumentType]
        with pytest.raises(TypeCheckError):
            wrong()


def test_lengths_of_several_arrays_must_agree() -> None:
    @checked
    def dot(one: Float[Tensor, " n"], other: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        return one @ other

    assert float(dot(torch.ones(3), torch.ones(3))) == 3
    with pytest.raises(TypeCheckError):
        dot(torch.ones(3), torch.ones(1))


def test_lengths_computed_from_arguments_and_lengths_are_checked() -> None:
    @checked
    def grow(values: Float[Tensor, " n"], more: int, lie: int = 0) -> Float[Tensor, " n+{more}"]:
        return torch.zeros(len(values) + more + lie)

    assert grow(torch.zeros(2), more=3).shape == (5,)
    with pytest.raises(TypeCheckError):
        grow(torch.zeros(2), 3, lie=1)


def test_lengths_mean_another_thing_in_another_call() -> None:
    @checked
    def halved(values: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
        return halved(values[::2])[:1] if len(values) > 1 else values

    assert halved(torch.ones(8)).shape == (1,)


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
