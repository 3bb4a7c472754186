"""Notes are matched inside their instrument's track, and added up by their number."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest

from ondes.controls import Controls
from ondes.evaluation.program_f1 import Granularity, basic_pitch, score_programs, to_notes
from ondes.evaluation.transcription import Transcript
from ondes.notes import Notes, Part
from plain_notes import plain_notes

PIANO, HONKY_TONK, VIOLIN = 0, 3, 40


def played(*rows: tuple[float, float, int, int | None]) -> Notes:
    """Notes from (onset, release, pitch, program); None is drums."""
    programs = sorted({row[3] for row in rows}, key=lambda p: -1 if p is None else p)
    parts = [Part(str(p), p or 0, p is None, Controls()) for p in programs]
    return plain_notes([(a, b, pitch, 80, programs.index(p)) for a, b, pitch, p in rows], parts=parts)


WRITTEN = played(
    (0.0, 1.0, 60, PIANO),
    (1.0, 2.0, 62, PIANO),
    (0.0, 2.0, 72, VIOLIN),
    (0.5, 0.6, 36, None),
    (1.5, 1.6, 38, None),
)


@pytest.mark.parametrize(("granularity", "found"), [("flat", 5), ("midi_class", 4), ("full", 2)])
def test_granularities_tell_instruments_apart_more_and_more(granularity: Granularity, found: int) -> None:
    heard = played(
        (0.0, 1.0, 60, HONKY_TONK),  # another program of the same family
        (1.0, 2.0, 62, HONKY_TONK),
        (0.0, 2.0, 72, PIANO),  # another family
        (0.5, 0.6, 36, None),
        (1.5, 1.6, 38, None),
    )
    score = score_programs(heard, WRITTEN, granularity)
    assert score.precision == score.recall == pytest.approx(found / 5)
    assert score.f1 == pytest.approx(found / 5)


def test_tracks_count_by_their_notes_not_alike() -> None:
    heard = played(
        (0.0, 2.0, 72, VIOLIN), (0.0, 1.0, 61, PIANO), (1.0, 2.0, 63, PIANO), (3.0, 4.0, 65, PIANO)
    )
    score = score_programs(heard, WRITTEN, "full", drums=False)
    assert score.precision == pytest.approx(1 / 4)
    assert score.recall == pytest.approx(1 / 3)
    assert score.f1 == pytest.approx(2 / 7)


@pytest.mark.parametrize(
    ("onset_s", "release_s", "found"),
    [
        (0.0, 1.0, 1),
        (0.049, 1.0, 1),
        (0.051, 1.0, 0),
        (0.0, 1.19, 1),  # 20 % of a second
        (0.0, 1.21, 0),
        (0.0, 0.81, 1),
        (0.0, 0.79, 0),
    ],
)
def test_onsets_within_50_ms_and_releases_within_a_fifth(
    onset_s: float, release_s: float, found: int
) -> None:
    score = score_programs(played((onset_s, release_s, 60, PIANO)), played((0.0, 1.0, 60, PIANO)))
    assert score.f1 == found


@pytest.mark.parametrize(("release_s", "found"), [(0.149, 1), (0.151, 0)])
def test_short_notes_may_end_50_ms_off(release_s: float, found: int) -> None:
    assert score_programs(played((0, release_s, 60, PIANO)), played((0, 0.1, 60, PIANO))).f1 == found


def test_releases_of_drums_are_not_judged_and_those_of_others_need_not_be() -> None:
    heard = played((0.5, 5.0, 36, None), (0.0, 9.0, 60, PIANO))
    written = played((0.5, 0.6, 36, None), (0.0, 1.0, 60, PIANO))
    assert score_programs(heard, written).f1 == 0.5
    assert score_programs(heard, written, releases=False).f1 == 1.0


def test_drums_and_pitched_notes_never_match_each_other() -> None:
    assert score_programs(played((0, 1, 36, None)), played((0, 1, 36, PIANO)), "flat").f1 == 0.0


def test_flat_scores_are_mir_evals_own() -> None:
    random = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        onset = np.sort(random.integers(0, 30, 60)) / 10 + random.normal(0, 0.03, 60).clip(0)
        length = random.choice([0.1, 0.4, 0.5], 60)
        sides.append(
            [
                (a, a + b, int(p), 0)
                for a, b, p in zip(onset, length, random.integers(60, 64, 60), strict=True)
            ]
        )
    heard, written = (played(*rows) for rows in sides)
    precision, recall, f1, _ = mir_eval.transcription.precision_recall_f1_overlap(
        np.stack([written.onset_s, written.release_s], 1),
        mir_eval.util.midi_to_hz(written.pitch),
        np.stack([heard.onset_s, heard.release_s], 1),
        mir_eval.util.midi_to_hz(heard.pitch),
    )
    score = score_programs(heard, written, "flat")
    assert 0.1 < f1 < 0.9
    assert (score.precision, score.recall, score.f1) == pytest.approx((precision, recall, f1))


def test_nothing_against_something_is_0() -> None:
    nothing = plain_notes([])
    for heard, written in ((nothing, WRITTEN), (WRITTEN, nothing), (nothing, nothing)):
        assert score_programs(heard, written).f1 == 0.0


def test_a_transcript_becomes_notes_in_order() -> None:
    heard = Transcript(np.array([2.0, 0.5]), np.array([2.5, 0.5]), np.array([60, 72]), np.array([0.5, 1.4]))
    notes = to_notes(heard)
    np.testing.assert_array_equal(notes.onset_s, [0.5, 2.0])
    np.testing.assert_allclose(notes.release_s, [0.501, 2.5])
    np.testing.assert_array_equal(notes.pitch, [72, 60])
    np.testing.assert_array_equal(notes.velocity, [127, 64])


def test_basic_pitch_is_judged_flat_and_without_drums() -> None:
    listener = basic_pitch()
    assert listener.granularities == ("flat",)
    assert not listener.hears_drums
