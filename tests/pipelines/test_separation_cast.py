"""Who plays in a separation: what is proposed and silent goes, what is separate already is said; and progress."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from separation_scores import mixture, plain_notes, score_of, separator
from symusic.core import ScoreTick

from ondes.pipelines.separation_parts import already_separate
from ondes.pipelines.separation_result import without_silent
from ondes.representations.ensembles import parse_ensemble

TUNE = [(step * 240, 240, 60 + step, 80) for step in range(20)]
BEATS = [(step * 240, 120, 36, 90) for step in range(7)]


def _drummed(*tracks: list[tuple[int, int, int, int]]) -> ScoreTick:
    return score_of(*(mixture(rows) for rows in tracks), mixture(BEATS, is_drum=True))


@pytest.mark.parametrize(("score", "total"), [(_drummed(TUNE), 27), (_drummed(), 7)])
def test_progress_counts_drums_as_done(score: ScoreTick, total: int) -> None:
    seen: list[tuple[float, float]] = []
    separator()(score, into="piano, drums", progress=lambda *done: seen.append(done))
    assert seen[-1] == (total, total)
    assert all(len(BEATS) <= done <= total for done, _ in seen)


def test_parts_that_are_silent_in_all_alternatives_go_and_numbers_with_them() -> None:
    parts = parse_ensemble("violin 1, violin 2, viola, cello 1, cello 2")
    labels = np.array([[1, 1, 4], [1, 2, 4]])
    doubled = np.zeros((2, 3, 5), np.bool_)
    doubled[1, 0, 3] = True
    kept, found, also = without_silent(parts, labels, doubled)
    assert [part.name for part in kept] == ["violin", "viola", "cello 1", "cello 2"]
    assert [part.part_number for part in kept] == [0, 0, 0, 1]
    assert found.tolist() == [[0, 0, 3], [0, 1, 3]]
    assert np.argwhere(also).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("seed", range(4))
def test_proposed_parts_all_get_notes(seed: int) -> None:
    score = score_of(mixture(TUNE[:2]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        made = separator(seed)(score, n=2)
    assert set(made.labels.ravel().tolist()) == set(range(len(made.parts)))
    for one in made.scores:
        assert plain_notes(one) == plain_notes(score)


def test_parts_that_were_asked_for_stay_though_silent() -> None:
    made = separator()(score_of(mixture(TUNE[:1])), into="violin, viola, cello")
    assert len(made.parts) == 3
    assert len(made.scores[0].tracks) == 3


@pytest.mark.parametrize(
    ("tracks", "found"),
    [
        ([("", 0), ("", 40)], ["piano", "violin"]),
        ([("Soprano", 52), ("Alto", 52)], ["Soprano", "Alto"]),
        ([("up:1", 0), ("down:2", 0)], []),
        ([("", 40), ("", 40)], []),
        ([("all", 40)], []),
    ],
)
def test_voices_with_names_are_separate_and_hands_are_not(
    tracks: list[tuple[str, int]], found: list[str]
) -> None:
    score = score_of(*(mixture(TUNE, name=name, program=program) for name, program in tracks))
    assert already_separate(score) == found
