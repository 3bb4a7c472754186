"""Chords: names, how they share a bar, and refusals."""

import numpy as np
import pytest

from ondes.errors import UserError
from ondes.representations.chords import ANYTHING, class_names, parse_chords


def classes(text):
    return [[sorted(chord.classes) for chord in bar] for bar in parse_chords(text).bars]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("C", [0, 4, 7]),
        ("C:maj", [0, 4, 7]),
        ("Am", [0, 4, 9]),
        ("A:min", [0, 4, 9]),
        ("F#m7b5", [0, 4, 6, 9]),
        ("Bb:7", [2, 5, 8, 10]),
        ("B♭maj7", [2, 5, 9, 10]),
        ("Hm", [2, 6, 11]),
        ("Gsus4", [0, 2, 7]),
        ("E+", [0, 4, 8]),
        ("D°7", [2, 5, 8, 11]),
        ("C/D", [0, 2, 4, 7]),
        ("C:maj/b7", [0, 4, 7, 10]),
        ("C/3", [0, 4, 7]),
        ("G7sus4", [0, 2, 5, 7]),
        ("Dm9", [0, 2, 4, 5, 9]),
    ],
)
def test_names_are_understood(name, expected):
    assert classes(name) == [[expected]]


def test_bars_are_divided_by_lines_and_repeat():
    track = parse_chords("| C | % || F G |")
    assert [[chord.name for chord in bar] for bar in track.bars] == [["C"], ["C"], ["C"], ["F", "G"]]
    assert track.chord_at(3, 0.49).name == "F"
    assert track.chord_at(3, 0.5).name == "G"
    assert track.chord_at(7, 0.99).name == "G"
    assert track.chord_at(4, 0.0).name == "C"
    assert [(bar, chord.name) for bar, chord in track][-2:] == [(3, "F"), (3, "G")]


def test_a_bar_of_three_chords_in_three_four_changes_on_the_beats():
    table = parse_chords("C F G").classes(0, 72, 100)
    assert np.flatnonzero(table[0]).tolist() == np.flatnonzero(table[23]).tolist() == [0, 4, 7]
    assert np.flatnonzero(table[24]).tolist() == np.flatnonzero(table[47]).tolist() == [0, 5, 9]
    assert np.flatnonzero(table[48]).tolist() == np.flatnonzero(table[99]).tolist() == [2, 7, 11]


def test_no_chord_allows_everything():
    assert parse_chords("N").bars == ((ANYTHING,),)
    assert parse_chords("NC | C").classes(0, 96, 1).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("am | F", "no chord: 'am' in bar 1; did you mean 'Am'"),
        ("C | Cfoo", "no chord: 'Cfoo' in bar 2; .*write chords such as 'C'"),
        ("", "no chord in bar 1"),
        ("% | C", "no chord in bar 1"),
        ("C/0", "'C/0' in bar 1; a bass is a note such as 'E' or a degree from 1 to 13"),
        ("X", "no chord: 'X'"),
        (" ".join(["C"] * 17), "bar 1 has 17 chords; at most 16"),
        ("C |" * 10_002, "bars of chords; at most 10000"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(text, words):
    with pytest.raises(UserError, match=words) as refusal:
        parse_chords(text)
    assert "\n" not in str(refusal.value)


def test_pitch_classes_are_named():
    assert class_names(frozenset({6, 0, 10})) == "C, F#, Bb"
