"""Metres: spellings, refusals, and the strength of places in the bar."""

from fractions import Fraction

import pytest

from ondes.errors import UserError
from ondes.representations.metres import METRES, Metre, parse_metre


@pytest.mark.parametrize(
    ("text", "numerator", "denominator"),
    [
        ("3/4", 3, 4),
        (" 6 / 8 ", 6, 8),
        ("6:8", 6, 8),
        ("C", 4, 4),
        ("common time", 4, 4),
        ("Alla  breve", 2, 2),
        ("cut", 2, 2),
        ("11/8", 11, 8),
        ("8/4", 8, 4),
    ],
)
def test_spellings_are_understood(text, numerator, denominator):
    assert parse_metre(text) == Metre(numerator, denominator)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("three four", "no metre: 'three four'; .*write it as '3/4'"),
        ("3", "did you mean .*'3/4'"),
        ("common tim", "did you mean 'common time'"),
        ("4/5", "there is no 1/5 note; the lower number is one of 1, 2, 4, 8, 16, 32: write '4/4'"),
        ("3/0", "there is no 1/0 note"),
        ("0/4", "empty bars; write at least '1/4'"),
        ("-3/4", "no metre"),
        ("17/8", "bars of 8.5 quarter notes; at most 8"),
        ("3/64", "there is no 1/64 note"),
        ("", "no metre: ''"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(text, words):
    with pytest.raises(UserError, match=words) as refusal:
        parse_metre(text)
    assert "\n" not in str(refusal.value)


def test_every_metre_of_the_models_is_read_back_and_fits_the_tokens():
    assert len(set(METRES)) == len(METRES)
    for metre in METRES:
        assert parse_metre(str(metre)) == metre
        assert sum(metre.groups) == metre.numerator
    with pytest.raises(ValueError, match="no metre: 3/5"):
        Metre(3, 5)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("4/4", (2, 2)),
        ("3/4", (1, 1, 1)),
        ("2/2", (1, 1)),
        ("6/8", (3, 3)),
        ("12/8", (3, 3, 3, 3)),
        ("5/4", (3, 2)),
        ("7/8", (3, 2, 2)),
        ("3/8", (1, 1, 1)),
    ],
)
def test_beats_are_grouped_as_they_are_felt(text, groups):
    assert parse_metre(text).groups == groups


def levels(text, step=8):
    metre = parse_metre(text)
    return [metre.level(Fraction(place, step)) for place in range(int(metre.bar_quarters * step))]


def test_strength_falls_from_the_bar_to_the_half_of_a_unit():
    assert levels("4/4", 2) == [4, 1, 2, 1, 3, 1, 2, 1]
    assert levels("3/4", 2) == [4, 1, 2, 1, 2, 1]
    assert levels("6/8", 4) == [4, 1, 2, 1, 2, 1, 3, 1, 2, 1, 2, 1]
    assert levels("4/4", 4)[1] == 0
    assert parse_metre("4/4").level(Fraction(1, 3)) == 0
    assert parse_metre("5/4").level(Fraction(3)) == 3


def test_compound_metres_are_those_whose_beats_have_three_units():
    assert [str(metre) for metre in METRES if metre.is_compound] == ["6/8", "9/8", "12/8", "6/4"]
