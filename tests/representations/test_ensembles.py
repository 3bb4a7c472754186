"""Ensembles: names and lists, numbers of parts, and refusals that offer what is nearest."""

import pytest

from ondes.errors import UserError
from ondes.representations.ensembles import ENSEMBLES, PartSpec, parse_ensemble, with_two_hands
from ondes.representations.instrument_names import GENERAL_MIDI, INSTRUMENTS, instrument_name
from ondes.representations.note_sequence import DRUMS
from ondes.representations.ranges import HIGH, LOW


def parts(text):
    return [(part.name, part.instrument, part.part_number) for part in parse_ensemble(text)]


QUARTET = [("violin 1", 40, 0), ("violin 2", 40, 1), ("viola", 41, 0), ("cello", 42, 0)]


@pytest.mark.parametrize(
    "text",
    [
        "string quartet",
        "String Quartet",
        "string_quartet",
        "violin 1, violin 2, viola, cello",
        "Violin I, Violin II, Viola & Violoncello",
        "first violin, second violin, viola and cello",
        "1st violin + 2nd violin + viola + vc",
        "2 violins, viola, cello",
        "two violins; viola; cello",
        "violin, violin, viola, cellos",
    ],
)
def test_a_quartet_is_read_however_it_is_written(text):
    assert parts(text) == QUARTET


def test_a_band_is_five_parts_with_drums():
    assert [(part.instrument, part.part_number) for part in parse_ensemble("band")] == [
        (0, 0),
        (25, 0),
        (33, 0),
        (48, 0),
        (DRUMS, 0),
    ]
    assert parts("drums")[0] == ("drums", DRUMS, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bass", [("bass", 33, 0)]),
        ("bass, drums", [("bass", 33, 0), ("drums", DRUMS, 0)]),
        ("violin, cello, bass", [("violin", 40, 0), ("cello", 42, 0), ("double bass", 43, 0)]),
        ("soprano, bass", [("soprano", 52, 0), ("bass", 52, 1)]),
        ("alto sax, bass", [("alto sax", 65, 0), ("bass", 33, 0)]),
        ("electric piano 1", [("electric piano 1", 4, 0)]),
        ("synth bass 2", [("synth bass 2", 39, 0)]),
        ("violin 2", [("violin 2", 40, 1)]),
        ("violin 2, violin", [("violin 2", 40, 1), ("violin 1", 40, 0)]),
        ("three flutes", [("flute 1", 73, 0), ("flute 2", 73, 1), ("flute 3", 73, 2)]),
    ],
)
def test_words_mean_what_musicians_mean(text, expected):
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("violn", "no instrument or ensemble: 'violn'; did you mean 'violin'"),
        ("strnig quartet", "did you mean 'string quartet'"),
        ("violin, kornet", "no instrument or ensemble: 'kornet'; did you mean 'cornet'"),
        ("", "nobody plays in ''"),
        (" , ", "nobody plays"),
        ("5 violins", "more than 4 parts of violin; write at most violin 1 to 4"),
        ("violin 9", "more than 4 parts of violin"),
        ("violin 1, first violin", "names violin 1 twice"),
        ("zzzz", "Write General MIDI instruments"),
        ("0 violins", "no instrument or ensemble: '0 violins'"),
    ],
)
def test_nonsense_is_refused_with_what_is_near(text, words):
    with pytest.raises(UserError, match=words) as refusal:
        parse_ensemble(text)
    assert "\n" not in str(refusal.value)


def test_every_general_midi_name_stands_for_its_program():
    assert len(set(GENERAL_MIDI)) == 128
    assert (GENERAL_MIDI[24], GENERAL_MIDI[56], GENERAL_MIDI[73], GENERAL_MIDI[127]) == (
        "nylon guitar",
        "trumpet",
        "flute",
        "gunshot",
    )
    for program, name in enumerate(GENERAL_MIDI):
        [part] = parse_ensemble(name)
        assert (part.instrument, part.part_number) == (program, 0)
        assert (part.low, part.high) == (LOW[program], HIGH[program])
    assert all(INSTRUMENTS[instrument_name(program)] == program for program in range(129))


def test_every_ensemble_has_distinct_parts_with_distinct_names_and_a_compass():
    for name, members in ENSEMBLES.items():
        assert parse_ensemble(name.upper()) == members
        assert len({(part.instrument, part.part_number) for part in members}) == len(members)
        assert len({part.name for part in members}) == len(members)
        assert all(part.high - part.low >= 12 for part in members)


def test_a_list_of_an_ensembles_part_names_is_that_ensemble():
    for members in ENSEMBLES.values():
        assert parse_ensemble(", ".join(part.name for part in members)) == members


def test_voices_of_a_choir_lie_one_below_the_other():
    lows = [part.low for part in parse_ensemble("choir")]
    assert lows == sorted(lows, reverse=True)


def test_keyboards_without_drums_get_a_part_for_each_hand():
    voice, right, left = with_two_hands(parse_ensemble("voice and piano"))
    assert voice == PartSpec("voice", 53, 0)
    assert (right.name, right.instrument, right.part_number) == ("piano, right hand", 0, 0)
    assert (left.name, left.instrument, left.part_number) == ("piano, left hand", 0, 1)
    for text in ("band", "piano 1, piano 2", "string quartet"):
        assert with_two_hands(parse_ensemble(text)) == parse_ensemble(text)
