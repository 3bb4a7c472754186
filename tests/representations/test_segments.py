from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondes.representations.segments import PACE, Segment, segments
from playing import dry_frames  # pyright: ignore[reportMissingImports]

PLAN: dict[str, Any] = {"window": 32, "context": 8, "first": 12, "multiple": 4}
WHOLE = 448
LONG: dict[str, Any] = {"window": 512, "context": 64, "first": 220, "multiple": 2}


def in_blocks(block: int, reach: int, delay: int) -> Callable[[int], int]:
    """A decoder of blocks that sees `reach` frames more, and something after it that holds `delay` frames back."""
    return lambda made: max(0, max(0, made - reach) // block * block - delay)


@st.composite
def plans(draw: st.DrawFn, *, roomy: bool = False) -> dict[str, Any]:
    """Any sizes and any decoder; where roomy, a first window that is two of its blocks longer than what it holds."""
    multiple, window = draw(st.integers(1, 8)), draw(st.integers(2, 60))
    block, reach, delay = draw(st.integers(1, 64)), draw(st.integers(0, 40)), draw(st.integers(0, 8))
    least = 2 + (reach + delay + 2 * block) // multiple if roomy else 0
    return {
        "window": window * multiple,
        "context": draw(st.integers(0, window - 1)) * multiple,
        "first": (least + draw(st.integers(1, 80))) * multiple,
        "multiple": multiple,
        "heard": in_blocks(block, reach, delay),
        "pace": draw(st.floats(0.3, 1.0)),
    }


def new_frames(plan: list[Segment]) -> list[int]:
    return [segment.frames - segment.known for segment in plan]


def waited(plan: list[Segment], sizes: dict[str, Any], pace: float) -> float:
    """Frames' time without sound if whole windows take `pace` of their playing time, others by their length."""
    cost = pace * (sizes["window"] - sizes["context"]) / sizes["window"]
    heard = [sizes["heard"](segment.stop) for segment in plan[:-1]]
    return dry_frames([cost * segment.frames for segment in plan], [*heard, plan[-1].stop])


@given(plans(), st.integers(1, 1500))
def test_new_frames_cover_the_piece_once_and_in_order(sizes: dict[str, Any], frames: int) -> None:
    plan = segments(frames, **sizes)
    multiple = sizes["multiple"]
    assert [a.stop for a in plan[:-1]] == [b.start + b.known for b in plan[1:]]
    assert (plan[0].start, plan[0].known, plan[-1].stop) == (0, 0, -(-frames // multiple) * multiple)
    assert min(new_frames(plan)) > 0
    assert not any(
        place % multiple for segment in plan for place in (segment.start, segment.known, segment.stop)
    )


@given(plans(), st.integers(1, 1500))
def test_no_window_is_longer_than_a_whole_one_or_knows_a_larger_share(
    sizes: dict[str, Any], frames: int
) -> None:
    # Windows of a longer piece, so that none is cut at the end.
    plan = segments(frames + sizes["window"], **sizes)[: len(segments(frames, **sizes))]
    assert all(segment.frames <= sizes["window"] for segment in plan[1:])
    assert all(after.known <= before.frames for before, after in pairwise(plan))
    assert all(s.known * sizes["window"] <= s.frames * sizes["context"] for s in plan)


@given(plans(), st.integers(1, 1500), st.integers(0, 500))
def test_a_longer_piece_begins_with_the_windows_of_a_shorter_one(
    sizes: dict[str, Any], frames: int, more: int
) -> None:
    shorter, longer = segments(frames, **sizes), segments(frames + more, **sizes)
    assert shorter[:-1] == longer[: len(shorter) - 1]
    last, same = shorter[-1], longer[len(shorter) - 1]
    assert (last.start, last.known) == (same.start, same.known)


@given(plans(roomy=True), st.integers(1, 3000), st.floats(0.0, 1.0))
def test_a_stream_has_no_gap_up_to_the_pace(sizes: dict[str, Any], frames: int, share: float) -> None:
    plan = segments(frames, **sizes)
    assert waited(plan, sizes, share * sizes["pace"]) < 1e-6
    heard, new = sizes["heard"], new_frames(plan)
    for k in range(1, len(plan)):
        assert heard(plan[k - 1].stop) >= sizes["pace"] * sum(new[1 : k + 1]) - 1e-6


def test_windows_that_do_not_grow_slowly_leave_gaps() -> None:
    sizes = {**LONG, "heard": in_blocks(64, 27, 5)}
    jump = [Segment(0, 0, 220), *(Segment(156 + WHOLE * k, 64, 220 + WHOLE * (k + 1)) for k in range(20))]
    assert waited(jump, sizes, 0.3) == 0.0
    # 512 frames at 0.7 / 512 * 448 each, less the 187 that are heard of the first window.
    assert waited(jump, sizes, 0.7) == pytest.approx(0.7 * WHOLE - 187)
    assert waited(segments(9180, **sizes), sizes, PACE) == 0.0
    # Beyond its pace it has gaps as well.
    assert waited(segments(9180, **sizes), sizes, 1.1) > 0


def test_windows_grow_by_what_was_gained() -> None:
    plan = segments(9000, **LONG, heard=in_blocks(64, 27, 5))
    assert new_frames(plan)[:14] == [220, *[192] * 6, *[256] * 5, *[320] * 2]
    assert [segment.known for segment in plan[:14]] == [0, *[26] * 6, *[36] * 5, *[44] * 2]
    assert new_frames(plan)[-5:-1] == [WHOLE] * 4
    # 28 windows, of which whole ones alone would be 21: growing costs few windows, and no time.
    assert len(plan) <= 9000 / WHOLE + 8
    assert sum(segment.frames for segment in plan) <= 9000 * 512 / WHOLE


def test_at_half_the_pace_windows_double() -> None:
    plan = segments(4000, window=2048, context=512, first=128, multiple=1, pace=0.5)
    assert new_frames(plan)[:5] == [128, 256, 512, 1024, 1536]


def test_what_would_not_be_heard_before_the_next_window_waits_for_it() -> None:
    # 128 frames hold 37 back; 28 more end where a block of the decoder does.
    plan = segments(400, window=512, context=64, first=128, multiple=2, heard=in_blocks(64, 27, 5))
    assert new_frames(plan)[:4] == [128, 28, 64, 64]


def test_before_anything_is_heard_a_window_is_as_long_as_it_takes() -> None:
    plan = segments(300, window=100, context=20, first=4, multiple=4, heard=in_blocks(64, 0, 0))
    assert plan[1] == Segment(0, 4, 64)
    plan = segments(100, **{**PLAN, "first": 4}, heard=in_blocks(64, 0, 0))
    assert new_frames(plan)[:4] == [4, 24, 24, 12]


def test_a_piece_without_frames_has_no_windows() -> None:
    assert segments(0, **PLAN) == []


@pytest.mark.parametrize(
    "change", [{"context": 32}, {"context": -4}, {"window": 30}, {"context": 6}, {"first": 0}, {"first": 10}]
)
def test_plans_without_room_or_off_the_grid_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no such plan"):
        segments(100, **{**PLAN, **change})
