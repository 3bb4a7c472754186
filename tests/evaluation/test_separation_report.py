"""Stand-ins for separators on songs whose parts lie apart: what is right passes every gate, what is not misses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from separation_pieces import piece

from ondes.errors import UserError
from ondes.evaluation import separation_report
from ondes.evaluation.separation_baselines import BASELINES, PartPitches
from ondes.evaluation.separation_report import SeparationReport
from ondes.evaluation.separation_rows import ROLLS
from ondes.evaluation.separation_run import (
    Separated,
    Separator,
    changed_notes,
    not_separated,
    separate_song,
    separate_songs,
)
from ondes.evaluation.separation_songs import (
    CHORALE,
    ORCHESTRA,
    QUARTET,
    SONG,
    Song,
    cut,
    family,
    group_of,
    to_song,
)
from ondes.representations.ensembles import parse_ensemble
from ondes.representations.note_sequence import from_note_sequence

QUARTET_PARTS = [(40, 0), (40, 1), (41, 0), (42, 0)]
MIDDLES = (88, 74, 60, 46)


def quartet(seed: int, *, beats: int = 24) -> Song:
    """Four parts, each within five semitones of its own middle."""
    random = np.random.default_rng(seed)
    rows = [
        [beat, 1, middle + random.integers(-5, 6), *part]
        for beat in range(beats)
        for part, middle in zip(QUARTET_PARTS, MIDDLES, strict=True)
    ]
    song = to_song(f"song {seed}", piece(rows))
    assert song is not None
    return song


SONGS = [quartet(seed) for seed in range(4)]
PITCHES = {QUARTET: PartPitches.of([SONGS[0].piece])}


def by_register(wrong: float, confidence: float = 1.0, *, drop: bool = False) -> Separator:
    """Knows the middles, and gives a share of the notes to a part drawn by lot, anew for each alternative."""

    def separate(score: Any, parts: Any, alternatives: int, seed: int) -> Separated:
        assert len(score.tracks) == 1
        assert [part.instrument for part in parts] == [40, 40, 41, 42]
        pitch = score.tracks[0].notes.numpy()["pitch"].astype(np.int64)
        right = np.abs(pitch[:, None] - np.array(MIDDLES)).argmin(1)
        random = np.random.default_rng([seed, int(pitch.sum())])
        shape = alternatives, len(pitch)
        labels = np.where(random.random(shape) < wrong, random.integers(0, 4, shape), right)
        written = score.copy()
        if drop:
            written.tracks[0].notes.pop()
        return Separated(labels, np.full(shape, confidence), [written] * alternatives)

    return separate


def report_of(**separators: Separator) -> SeparationReport:
    findings = separate_songs(SONGS, separators, PITCHES, alternatives=3)
    return SeparationReport.of(findings, {"model": "a stand-in"})


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separation_report, "RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def good(few_draws: None) -> SeparationReport:
    return report_of(ours=by_register(0.0), classifier=by_register(0.3))


def test_groups_go_by_who_plays() -> None:
    orchestra = [(part.instrument, part.part_number) for part in parse_ensemble("orchestra")]
    assert group_of(QUARTET_PARTS) == QUARTET
    assert group_of([(0, 0), (0, 1), (53, 0)]) == SONG
    assert group_of([(0, 0), (0, 1), (71, 0)]) is None
    assert group_of(sorted(orchestra)) == ORCHESTRA
    assert group_of(sorted([*orchestra, (30, 0)])) is None
    assert [family(program) for program in (40, 47, 60, 71, 128)] == [
        *("strings", "percussion", "brass", "woodwind", "percussion")
    ]


def test_a_song_is_in_an_order_that_tells_nothing_of_its_parts() -> None:
    song = SONGS[0]
    onset, pitch = song.piece.onset_quarters, song.piece.pitch
    steps = np.diff(onset * 1000 + pitch)
    assert (steps > 0).all()
    assert set(song.mixture.instrument.tolist()) == {0}
    short = cut(song, 40)
    assert len(short.piece) == 40
    assert short.parts == song.parts
    assert to_song("few", song.piece.select(np.arange(20))) is None
    sung = to_song("sung", song.piece, CHORALE)
    assert sung is not None
    assert sung.roles == ["soprano", "alto", "tenor", "bass"]


def test_labels_come_back_in_the_order_of_the_notes() -> None:
    outcome = separate_song(SONGS[1], by_register(0.0), 2, 0)
    assert (outcome.labels == SONGS[1].true).all()
    assert outcome.changed == 0


def test_a_perfect_separation_passes_every_gate_but_that_over_rules_as_good(good: SeparationReport) -> None:
    verdicts = {(row.figure, row.against): row.verdict for row in good.rows}
    missed = {figure for (figure, _), verdict in verdicts.items() if not verdict.startswith("pass")}
    # The registers are so far apart that zones are perfect, too.
    assert missed == {
        f"{name}, gain over the best baseline" for name in ("note accuracy", "macro-F1 by part")
    }
    assert good.table.accuracy("ours", QUARTET).value == 1
    assert good.table.accuracy("zone", QUARTET).value == 1
    assert good.table.accuracy("most common", QUARTET).value == 0.25
    assert good.table.calibration("ours").value == 0


def test_three_tries_beat_one(good: SeparationReport) -> None:
    once = good.table.accuracy("classifier", QUARTET).value
    best = good.table.best_counts("classifier", QUARTET).sum(0)
    assert 0.7 < once < 0.85
    assert best[0, 0] / best.sum() > once


def test_a_lost_note_and_false_confidence_miss_their_gates() -> None:
    report = report_of(ours=by_register(0.5, confidence=0.99, drop=True))
    verdicts = {row.figure: row.verdict for row in report.rows}
    assert verdicts["notes invented or lost"] == "miss"
    assert report.rows[-1].value.value == len(SONGS) * 3
    assert verdicts["expected calibration error"] == "miss"
    assert verdicts["note accuracy, gain over the classifier"] == "not measured"


def test_changes_are_counted_both_ways() -> None:
    score = from_note_sequence(SONGS[0].mixture)
    other = score.copy()
    other.tracks[0].notes[0].pitch += 1
    assert changed_notes(score, score) == 0
    assert changed_notes(score, other) == 2


def test_published_figures_rank_the_first_part_above_the_truth(good: SeparationReport) -> None:
    published = good.table.published
    assert {pair[0] for name, pair in published.items() if "nobody" not in name} >= {0.0}
    assert published["everything to the first part"][0] == 0
    assert published["everything to the first part"][1] > published["the truth"][1] == 0


def test_both_files_say_the_same(good: SeparationReport, tmp_path: Path) -> None:
    markdown, plain = good.write(tmp_path)
    read = json.loads(plain.read_text())
    figures = read["groups"][QUARTET]["classifier"]
    assert f"{figures['note accuracy']['value']:.3f} [" in markdown.read_text()
    assert np.sum(figures["confusion"]) == sum(len(song.piece) for song in SONGS)
    assert sum(song["right"]["ours"] for song in read["songs"]) == sum(len(song.piece) for song in SONGS)
    assert "| violin 1" not in markdown.read_text().split("## Calibration")[1]
    with pytest.raises(UserError):
        good.write(plain)


def test_who_has_no_such_parts_has_no_row() -> None:
    def rolls(score: Any, parts: Any, alternatives: int, seed: int) -> Separated:
        return not_separated(score, alternatives)

    made = report_of(ours=by_register(0.0), **{ROLLS: rolls})
    assert made.table.separators_of(QUARTET) == ["ours", *BASELINES]
    assert ROLLS not in made.table.published
    assert f"| {ROLLS} |" not in made.to_markdown()
    assert ROLLS not in made.to_json()["groups"][QUARTET]
