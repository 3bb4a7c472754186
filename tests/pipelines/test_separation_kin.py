"""Ensembles that training hardly had are told as those they are like."""

from __future__ import annotations

import numpy as np
import pytest
from separation_scores import mixture, score_of, separator

from ondes.pipelines.separation_kin import read_as
from ondes.pipelines.separation_parts import Labels
from ondes.representations.ensembles import parse_ensemble

CHOIR = {"choir": {"like": "string quartet", "calibration": 0.5}}
STRINGS = {"strings 1, strings 2, strings 3, strings 4": {"like": "string quartet"}}
QUARTET = [(40, 0), (40, 1), (41, 0), (42, 0)]


@pytest.fixture
def score():
    return score_of(
        mixture([(240 * step, 240, 45 + 7 * step % 40, 50 + step) for step in range(24)], program=0)
    )


def told(words: str, kin: dict) -> list[tuple[int, int]]:
    return read_as(Labels.of(parse_ensemble(words)), kin)[0].pairs


def test_a_choir_is_separated_as_a_quartet_is(score) -> None:
    model = separator(kin={"choir": {"like": "string quartet"}})
    choir, quartet = model(score, into="choir"), model(score, into="string quartet")
    assert np.array_equal(choir.labels, quartet.labels)
    assert np.array_equal(choir.confidences, quartet.confidences)
    assert [part.name for part in choir.parts] == ["soprano", "alto", "tenor", "bass"]
    plain = separator()(score, into="choir")
    assert not np.array_equal(plain.confidences, choir.confidences)


def test_an_ensemble_has_temperatures_of_its_own(score) -> None:
    kin = {"choir": {"like": "choir", "calibration": 0.5, "classifier_calibration": 2.0}}
    for method, calibration in (("diffusion", 0.5), ("classifier", 0.5)):
        # Without a classifier its part is the network's, temperature included.
        own = separator(kin=kin)(score, into="choir", method=method)
        same = separator(calibration=calibration)(score, into="choir", method=method)
        assert np.array_equal(own.confidences, same.confidences)
    cello = separator(kin=kin)(score, into="flute, cello")
    assert np.array_equal(cello.confidences, separator()(score, into="flute, cello").confidences)


def test_an_ensemble_among_others_is_told_as_its_kin() -> None:
    alone = read_as(Labels.of(parse_ensemble("choir")), CHOIR)
    assert (alone[0].pairs, alone[1]["calibration"]) == (QUARTET, 0.5)
    among, about = read_as(
        Labels.of(parse_ensemble("flute, strings 1, strings 2, strings 3, strings 4")), STRINGS
    )
    assert (among.pairs, about) == ([(73, 0), *QUARTET], {})
    assert [part.instrument for part in among.parts] == [73, 48, 48, 48, 48]


def test_those_who_play_themselves_and_other_numbers_of_parts_stay_as_they_are() -> None:
    both = "soprano, alto, tenor, bass, violin 1, violin 2, viola, cello"
    assert told(both, CHOIR) == [(52, number) for number in range(4)] + QUARTET
    assert told("strings 1, strings 2, strings 3", STRINGS) == [(48, 0), (48, 1), (48, 2)]
    assert told("flute, cello", CHOIR | STRINGS) == [(73, 0), (42, 0)]


def test_a_choir_sings_one_note_a_voice_unless_more_sound_or_are_asked_for(recwarn) -> None:
    chords = [(480 * bar, 480, 50 + 4 * voice, 60) for bar in range(12) for voice in range(4)]
    model = separator(kin={"choir": {"like": "string quartet", "polyphony": 1}})
    score = score_of(mixture(chords, program=0))
    made = model(score, into="choir")
    for bar in range(12):
        assert sorted(made.labels[0][4 * bar : 4 * bar + 4]) == [0, 1, 2, 3]
    free = separator(kin={"choir": {"like": "string quartet"}})(score, into="choir")
    assert not np.array_equal(free.labels, made.labels)
    assert np.array_equal(model(score, into="choir", polyphony=0).labels, free.labels)
    # Nobody asked for that rule, so nobody hears of it where five sing.
    five = score_of(mixture([*chords, (0, 480, 70, 60)], program=0))
    assert (model(five, into="choir").labels >= 0).all()
    assert not [one for one in recwarn if "relaxed" in str(one.message)]
