from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondes.errors import UserError
from ondes.representations.regions import Region, parse_regions, parse_seconds, to_regions

MINUTES = 4 * 60 * 44_100


def _parse(text: str, *, rate_hz: int = 44_100, length: int = MINUTES) -> list[tuple[int, int]]:
    made = parse_regions(text, sample_rate_hz=rate_hz, length_samples=length)
    return [(region.start, region.stop) for region in made]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.5-5", [(154_350, 220_500)]),
        ("0:30-1:00", [(1_323_000, 2_646_000)]),
        ("1:03-1:07.25", [(2_778_300, 2_965_725)]),
        ("12.5-15,1:03-1:07.25", [(551_250, 661_500), (2_778_300, 2_965_725)]),
        ("1:03-1:07.25, 12.5-15", [(551_250, 661_500), (2_778_300, 2_965_725)]),
        (" 0 - .5 ", [(0, 22_050)]),
        ("0:01:02.5-62.75", [(2_756_250, 2_767_275)]),
        ("5-6,6-7", [(220_500, 264_600), (264_600, 308_700)]),
        ("3:59-end", [(10_539_900, MINUTES)]),
    ],
)
def test_times_lead_to_these_samples(text: str, expected: list[tuple[int, int]]) -> None:
    assert _parse(text) == expected


def test_decimals_are_exact_where_floats_are_not() -> None:
    assert parse_seconds("0.1") + parse_seconds("0.2") == parse_seconds("0.3")
    assert parse_seconds("1:02:03.45") == Fraction(372_345, 100)
    # 8.35 * 10 is 83.5, which goes up; as a float it is a little less
    assert _parse("8.35-9", rate_hz=10, length=100) == [(84, 90)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5-3.5", "the region 5-3.5 runs backwards; write the earlier time first"),
        ("1:07-1:03", "runs backwards"),
        ("3-3", "has no length: it holds no sample at 44100 Hz"),
        ("3-3.000001", "has no length"),
        ("3:59-4:00.1", "past the end of the sound, which is 240 s long; write end"),
        ("5-7,6-8", "the regions 5-7 and 6-8 overlap"),
        ("6-8,5-7", "the regions 5-7 and 6-8 overlap"),
        ("5-7,5-7", "overlap"),
        ("1-9,2-3,4-5", "the regions 1-9 and 2-3 overlap"),
        ("", "'' is no region; write start-stop in seconds"),
        ("5", "'5' is no region"),
        ("5-6,", "'' is no region"),
        ("-5", "'-5' is no region"),
        ("5-", "'5-' is no region"),
        ("1-2-3", "'1-2-3' is no region"),
        ("5--6", "'5--6' is no region"),
        ("a-b", "'a' is no time; write seconds as 12.5, or minutes as 1:07.25"),
        ("1e1-2e1", "'1e1' is no time"),
        ("nan-inf", "'nan' is no time"),
        ("1:75-2:00", "'1:75' is no time: after a colon there are 0 to 59"),
        ("1:60:00-2:00:00", "after a colon"),
        ("1.5:00-2:00", "is no time"),
        ("1:2:3:4-5:0:0:0", "is no time"),
        ("12,5-15", "'12' is no region"),
        ("\u0663-\u0665", "is no time"),
    ],
)
def test_what_is_no_region_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(UserError) as refused:
        _parse(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def _written(sample: int, rate_hz: int, digits: int) -> str:
    """A sample's time with minutes and enough decimals to find it again."""
    scaled = round(Fraction(sample, rate_hz) * 10**digits)
    whole, rest = divmod(scaled, 10**digits)
    return f"{whole // 60}:{whole % 60:02}.{rest:0{digits}}"


@given(
    st.sampled_from([8000, 11_025, 44_100, 48_000, 96_000]),
    st.lists(st.integers(0, 10**8), min_size=2, max_size=12, unique=True),
    st.randoms(use_true_random=False),
)
def test_written_samples_come_back_in_order(rate_hz: int, borders: list[int], shuffle: object) -> None:
    borders = sorted(borders)[: len(borders) // 2 * 2]
    regions = [Region(*borders[index : index + 2]) for index in range(0, len(borders), 2)]
    words = [f"{_written(one.start, rate_hz, 6)}-{_written(one.stop, rate_hz, 6)}" for one in regions]
    shuffle.shuffle(words)  # pyright: ignore[reportAttributeAccessIssue]
    made = parse_regions(",".join(words), sample_rate_hz=rate_hz, length_samples=borders[-1])
    assert list(made) == regions
    assert list(to_regions(made, sample_rate_hz=rate_hz, length_samples=borders[-1])) == regions


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**9))
def test_any_two_milliseconds_give_what_arithmetic_says(start_ms: int, stop_ms: int, length: int) -> None:
    start, stop = (44_100 * ms + 500 for ms in (start_ms, stop_ms))
    try:
        made = _parse(f"{start_ms / 1000:.3f}-{stop_ms / 1000:.3f}", length=length)
    except UserError:
        assert stop_ms <= start_ms or stop // 1000 > length
    else:
        assert made == [(start // 1000, stop // 1000)]
        assert start < stop <= 1000 * length + 999


@given(st.text(alphabet="0123456789.:-, end", max_size=20))
def test_no_line_gives_anything_but_regions_or_a_user_error(text: str) -> None:
    try:
        made = parse_regions(text, sample_rate_hz=1000, length_samples=10_000)
    except UserError:
        return
    borders = [border for region in made for border in (region.start, region.stop)]
    assert made
    assert borders == sorted(borders)
    assert borders[-1] <= 10_000


def test_pairs_and_regions_mean_what_text_means() -> None:
    text = parse_regions("3.5-5,7-8", sample_rate_hz=44_100, length_samples=MINUTES)
    pairs = to_regions([(7, 8.0), (3.5, 5)], sample_rate_hz=44_100, length_samples=MINUTES)
    assert pairs == text
    assert to_regions("3.5-5,7-8", sample_rate_hz=44_100, length_samples=MINUTES) == text
    assert to_regions(list(text)[::-1], sample_rate_hz=44_100, length_samples=MINUTES) == text


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ([], "no region is given"),
        ([(5.0, 3.5)], "the region 5-3.5 runs backwards"),
        ([(-1.0, 3.5)], "begins before the sound"),
        ([(float("nan"), 3.5)], "is no region"),
        ([(0.0, float("inf"))], "is no region"),
        ([(1.0, 300.0)], "past the end"),
        ([(1.0, 3.0), (2.0, 4.0)], "the regions 1-3 and 2-4 overlap"),
    ],
)
def test_wrong_pairs_are_refused(given_: list[tuple[float, float]], words: str) -> None:
    with pytest.raises(UserError, match=words):
        to_regions(given_, sample_rate_hz=44_100, length_samples=MINUTES)


@pytest.mark.parametrize("bounds", [(3, 3), (4, 3), (-1, 3)])
def test_a_region_holds_samples_of_the_sound(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="are no region"):
        Region(*bounds)
