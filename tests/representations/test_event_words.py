"""Rows of tokens packed in words come out in order, segment by segment."""

from __future__ import annotations

import numpy as np

from ondes.representations.event_words import pack, put_before, unpack


def test_tokens_of_segments_come_in_order_and_without_gaps() -> None:
    shift, pitch = np.array([7, 8, 9]), np.array([100, 65_000, 0])
    events = pack([(shift, np.array([True, False, True])), (pitch, pitch > 0)], np.array([1, 2, 3]))
    tied = pack([], np.array([50, 51]))
    counts = np.array([2, 0]), np.array([1, 2])
    found = unpack(tied, counts[0], events, counts[1], tie=40, end=None)
    assert [row.tolist() for row in found] == [[50, 51, 40, 7, 100, 1], [40, 65_000, 2, 9, 3]]
    found = unpack(tied, counts[0], events, counts[1], tie=40, end=0)
    assert [row.tolist() for row in found] == [[50, 51, 40, 7, 100, 1, 0], [40, 65_000, 2, 9, 3, 0]]
    assert {row.dtype for row in found} == {np.dtype(np.int64)}


def test_no_segment_and_no_row_give_no_tokens() -> None:
    none = np.zeros(0, np.int64)
    assert unpack(none, none, none, none, tie=4, end=5) == []
    (only,) = unpack(none, np.array([0]), none, np.array([0]), tie=4, end=5)
    assert only.tolist() == [4, 5]


def test_rows_of_one_token_are_put_before_others() -> None:
    words = pack([], np.array([1, 2, 3]))
    more, counts = put_before(words, np.array([1, 0, 2]), np.array([2, 0, 1]), 1000)
    assert counts.tolist() == [3, 0, 3]
    found = unpack(np.zeros(0, np.int64), np.zeros(3, np.int64), more, counts, tie=0, end=None)
    assert [row.tolist() for row in found] == [[0, 1000, 1000, 1], [0], [0, 2, 1000, 3]]
