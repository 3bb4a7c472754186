from __future__ import annotations

import pytest

from ondes.representations.segments import Segment, segments

PLAN = {"window": 32, "context": 8, "first": 12, "multiple": 4}


@pytest.mark.parametrize("frames", range(1, 130))
def test_new_frames_cover_the_piece_once_and_in_order(frames: int) -> None:
    plan = segments(frames, **PLAN)
    fresh = [frame for segment in plan for frame in range(segment.start + segment.known, segment.stop)]
    assert fresh == list(range(-(-frames // 4) * 4))
    for segment in plan:
        assert segment.frames % 4 == segment.known % 4 == segment.start % 4 == 0
        assert segment.frames <= 32


def test_what_is_known_is_the_context_once_there_is_so_much() -> None:
    plan = segments(200, **PLAN)
    assert [segment.known for segment in plan] == [0, *[8] * (len(plan) - 1)]
    assert plan[:3] == [Segment(0, 0, 12), Segment(4, 8, 36), Segment(28, 8, 60)]


def test_a_first_window_shorter_than_the_context_is_all_known() -> None:
    plan = segments(100, window=32, context=8, first=4, multiple=4)
    assert plan[1] == Segment(0, 4, 32)


@pytest.mark.parametrize("frames", range(1, 130))
def test_a_longer_piece_begins_with_the_windows_of_a_shorter_one(frames: int) -> None:
    shorter, longer = segments(frames, **PLAN), segments(150, **PLAN)
    assert shorter[:-1] == longer[: len(shorter) - 1]


def test_a_piece_without_frames_has_no_windows() -> None:
    assert segments(0, **PLAN) == []


@pytest.mark.parametrize(
    "change", [{"context": 32}, {"context": -4}, {"window": 30}, {"context": 6}, {"first": 0}, {"first": 10}]
)
def test_plans_without_room_or_off_the_grid_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no such plan"):
        segments(100, **{**PLAN, **change})
