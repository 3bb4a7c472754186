"""Faster sorting gives what numpy's own functions give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondes.ordering import among, numbered, stable_order


@given(st.lists(st.integers(0, 2**62), max_size=40), st.sampled_from([3, 100, 2**40, 2**63]))
def test_the_order_is_that_of_a_stable_sort(keys: list[int], below: int) -> None:
    array = np.array([key % below for key in keys], np.int64)
    assert np.array_equal(stable_order(array), np.argsort(array, kind="stable"))


@pytest.mark.parametrize("below", [5, 2**30])
def test_codes_are_numbered_as_unique_does(below: int) -> None:
    codes = np.random.default_rng(0).integers(0, below, 500)
    for array in (codes, codes[:0]):
        wanted = np.unique(array, return_inverse=True)
        assert all(map(np.array_equal, numbered(array), wanted))


@given(st.lists(st.integers(0, 300), max_size=40), st.lists(st.integers(0, 300), max_size=5))
def test_codes_are_found_as_isin_finds_them(codes: list[int], chosen: list[int]) -> None:
    arrays = np.array(codes, np.int64), np.array(chosen, np.int64)
    assert np.array_equal(among(*arrays), np.isin(*arrays))
