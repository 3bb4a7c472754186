from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ondes.errors import UserError
from ondes.score import Notes, read_score_with_report, to_notes
from ondes.scores import BUNDLED_SCORES, bundled_score
from ondes.scores.make_scores import BUILDERS
from ondes.scores.notation import pitches


def _notes(name: str) -> Notes:
    score, report = read_score_with_report(bundled_score(name).path)
    assert not report
    return to_notes(score)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_script_makes_the_bundled_file_again(name: str) -> None:
    assert BUILDERS[name]() == bundled_score(name).path.read_bytes()


def test_every_bundled_score_has_a_script() -> None:
    assert {score.name for score in BUNDLED_SCORES} == set(BUILDERS)


def test_an_unknown_score_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'prelude'"):
        bundled_score("prelud")


def test_the_prelude_is_bachs_and_takes_two_minutes() -> None:
    notes = _notes("prelude")
    assert len(notes) == 32 * 16 + 2 * 16 + 5
    assert 110 < notes.duration_s < 135
    assert notes.pitch[0] == pitches("C4")[0]
    assert notes.pitch[-5:].tolist() == pitches("C2 C3 E4 G4 C5")
    names = Counter(notes.pitch % 12)
    # F sharps of bars 6, 10, 22 and 28, the C sharps of bar 12, A flats of bars 14 and 23
    assert [names[step] for step in (6, 1, 8)] == [14, 4, 4]
    assert notes.pitch.min() == pitches("C2")[0]
    assert notes.pitch.max() == pitches("A5")[0]


def test_the_prelude_is_not_played_by_a_machine() -> None:
    notes = _notes("prelude")
    assert len(set(notes.velocity.tolist())) > 20
    assert np.diff(notes.onset_s[:64]).std() > 0.004
    assert (notes.release_s > notes.key_release_s + 0.1).mean() > 0.5


def test_the_band_has_five_parts_and_drums() -> None:
    notes = _notes("band")
    assert 35 < notes.duration_s < 45
    assert [part.name for part in notes.parts] == [
        "Drums",
        "Bass",
        "Electric piano",
        "Guitar",
        "Alto saxophone",
    ]
    assert [part.is_drum for part in notes.parts] == [True, False, False, False, False]
    assert np.abs(notes.parts[4].controls.bend_semitones(np.linspace(0, 40, 2000))).max() > 0.5
    pans = [part.controls.pan(np.array([1.0]))[0] for part in notes.parts]
    assert pans[2] < 0 < pans[3]
