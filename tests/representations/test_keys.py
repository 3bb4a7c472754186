"""Keys: every usual spelling is read, and the key of notes is what music21 hears."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.errors import UserError
from ondes.representations.keys import KEYS, Key, detect_key, key_correlations, parse_key

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "keys.json").read_text())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("D minor", "D minor"),
        ("  d   MINOR ", "D minor"),
        ("F# major", "F# major"),
        ("f sharp major", "F# major"),
        ("F♯-major", "F# major"),
        ("Gb major", "F# major"),
        ("Bb", "Bb major"),
        ("B♭", "Bb major"),
        ("b flat minor", "Bb minor"),
        ("a-flat major", "Ab major"),
        ("Am", "A minor"),
        ("F#m", "F# minor"),
        ("Ebm", "Eb minor"),
        ("Bbm", "Bb minor"),
        ("DM", "D major"),
        ("Cmaj", "C major"),
        ("c min", "C minor"),
        ("d-moll", "D minor"),
        ("fis-Moll", "F# minor"),
        ("Es-Dur", "Eb major"),
        ("as dur", "Ab major"),
        ("H-Dur", "B major"),
        ("h moll", "B minor"),
        ("B-Dur", "Bb major"),
        ("b-moll", "Bb minor"),
        ("Bb-Dur", "Bb major"),
        ("B minor", "B minor"),
        ("H major", "B major"),
        ("E mineur", "E minor"),
        ("Cb major", "B major"),
    ],
)
def test_spellings_are_understood(text, name):
    assert str(parse_key(text)) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("H blunt major", "no key: 'H blunt major'; did you mean 'B major'"),
        ("D dorian", "write a key such as 'D minor'"),
        ("J minor", "did you mean .*'. minor'"),
        ("cs minor", "did you mean 'C minor', 'C# minor'"),
        ("", "no key: ''"),
        ("major", "did you mean"),
        ("c", "'c' may mean major or minor; write 'C major' or 'C minor'"),
        ("bb", "'Bb major' or 'Bb minor'"),
        ("C# D major", "no key"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(text, words):
    with pytest.raises(UserError, match=words) as refusal:
        parse_key(text)
    assert "\n" not in str(refusal.value)


def test_every_key_is_read_back_from_its_name_and_index():
    assert len(set(KEYS)) == 24
    for index, key in enumerate(KEYS):
        assert key.index == index
        assert parse_key(str(key)) == key
        assert parse_key(str(key).lower()) == key
    with pytest.raises(ValueError, match="no key"):
        Key(12, "major")


def test_signatures_equal_music21s():
    assert {str(key): key.sharps for key in KEYS} == GOLDEN["sharps"]


def test_scales():
    assert sorted(Key(2, "major").scale) == [1, 2, 4, 6, 7, 9, 11]
    assert sorted(Key(9, "minor").scale) == [0, 2, 4, 5, 7, 9, 11]  # as C major
    assert Key(9, "minor").wide_scale - Key(9, "minor").scale == {6, 8}  # F sharp and G sharp
    assert Key(0, "major").wide_scale == Key(0, "major").scale


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_the_key_of_notes_is_music21s(case):
    expected = GOLDEN["cases"][case]
    pitch, quarters = np.array(expected["notes"]).T
    correlations = key_correlations(pitch.astype(int), quarters)
    np.testing.assert_allclose(correlations, expected["correlations"], atol=1e-9)
    assert detect_key(pitch.astype(int), quarters) == Key.from_index(expected["index"])


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(24, 90), st.integers(1, 16)), min_size=3, max_size=30),
    st.integers(-11, 11),
)
def test_the_key_moves_with_the_music(rows, semitones):
    pitch, quarters = np.array(rows, np.float64).T
    before = key_correlations(pitch.astype(np.int64), quarters).reshape(2, 12)
    after = key_correlations(pitch.astype(np.int64) + semitones, quarters).reshape(2, 12)
    np.testing.assert_allclose(after, np.roll(before, semitones, axis=1), atol=1e-9)


def test_without_notes_or_preference_there_is_no_key():
    assert detect_key(np.zeros(0, np.int64), np.zeros(0)) is None
    assert detect_key(np.arange(60, 72), np.full(12, 0.1)) is None
    assert detect_key(np.array([60, 64]), np.zeros(2)) is None


def test_transposed_keys_keep_their_mode():
    assert Key(11, "minor").transposed(2) == Key(1, "minor")
    assert Key(0, "major").transposed(-13) == Key(11, "major")
