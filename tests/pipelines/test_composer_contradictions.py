"""Contradictions between wishes are found before anything is drawn, and explained in a line."""

import pytest

from ondes.errors import UserError
from ondes.pipelines.composer_contradictions import check_wishes
from ondes.representations.chords import parse_chords
from ondes.representations.ensembles import PartSpec, parse_ensemble
from ondes.representations.keys import parse_key

C = parse_key("C major")
DRONE = PartSpec("drone", 109, 0, (61, 61))


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"strict_scale": True}, "a strict scale needs a key"),
        ({"notes": 3, "parts": parse_ensemble("string quartet")}, "3 notes for 4 parts, .* at least 4 notes"),
        ({"parts": parse_ensemble("drums"), "key": C}, "drums alone have no key"),
        ({"parts": parse_ensemble("drums"), "chords": parse_chords("C")}, "drums alone have no chords"),
        (
            {"key": C, "strict_scale": True, "chords": parse_chords("C | D7")},
            "'D7' in bar 2 has F#, which C major does not have",
        ),
        (
            {"parts": (DRONE,), "key": C, "strict_scale": True},
            "drone has only C#, none of which is in C major",
        ),
        ({"parts": (DRONE,), "chords": parse_chords("A | C")}, "drone .* nothing of chord 'C' in bar 2"),
        (
            {"chords": parse_chords("C D E F G A C D E F G A C"), "bar_quarters": 0.5},
            "bar 1 has 13 chords, but a bar of 0.5 quarter notes has only 12 places",
        ),
    ],
)
def test_contradictions_are_explained(wishes, words):
    with pytest.raises(UserError, match=words) as refusal:
        check_wishes(**wishes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"key": C, "chords": parse_chords("D7")},  # the scale is not strict
        {"key": parse_key("A minor"), "strict_scale": True, "chords": parse_chords("Am | E7 | N")},
        {"parts": parse_ensemble("band"), "key": C, "strict_scale": True, "chords": parse_chords("C F G C")},
        {"notes": 4, "parts": parse_ensemble("string quartet"), "bar_quarters": 3.0},
    ],
)
def test_wishes_that_agree_are_let_through(wishes):
    check_wishes(**wishes)
