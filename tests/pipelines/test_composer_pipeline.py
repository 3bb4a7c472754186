"""The composer: lengths, wishes, what stays note for note, seeds, stopping and answers that are not numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from composer_network import BARS, TICKS, band_score, bar_start, rows, small_composer, sounding, without_notes
from symusic.core import NoteTick, ScoreTick, TrackTick

from ondes.errors import UserError
from ondes.pipelines import composer_variation
from ondes.pipelines.bundled import WEIGHTS
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.opening import pipeline_class
from ondes.score import read_score


@pytest.fixture(scope="module")
def composer() -> ComposerPipeline:
    return small_composer()


def test_a_piece_has_exactly_the_notes_that_were_asked_for_over_many_windows(
    composer: ComposerPipeline,
) -> None:
    (short,) = composer.generate(notes=5)
    (long,) = composer.generate(notes=50, ensemble="piano", key="D minor", metre="3/4", tempo=96)
    assert (short.note_num(), long.note_num()) == (5, 50)
    assert (long.tempos[0].qpm, len(long.tempos)) == (pytest.approx(96), 1)
    assert (long.time_signatures[0].numerator, long.time_signatures[0].denominator) == (3, 4)
    assert (long.key_signatures[0].key, long.key_signatures[0].tonality) == (-1, 1)
    assert rows(read_score(long.dumps_midi())) == rows(long)


def test_a_piece_of_bars_ends_with_the_last_of_them(composer: ComposerPipeline) -> None:
    (piece,) = composer.generate(bars=6, metre="2/4")
    starts = np.concatenate([track.notes.numpy()["time"] for track in piece.tracks])
    assert 3 * 2 * 480 <= starts.max() < 6 * 2 * 480


def test_each_piece_of_a_batch_is_what_it_is_alone(composer: ComposerPipeline) -> None:
    together = composer.generate(2, notes=34, seed=5, ensemble="piano")
    assert together == [composer.generate(notes=34, seed=seed, ensemble="piano")[0] for seed in (5, 6)]
    assert together[0] != together[1]
    scores = [band_score(), band_score(flat=True)]
    assert composer.infill(scores, bars=(2, 2), seed=1) == [
        composer.infill(score, bars=(2, 2), seed=1 + item) for item, score in enumerate(scores)
    ]


def test_all_of_an_ensemble_play_and_nobody_else(composer: ComposerPipeline) -> None:
    for piece in composer.generate(2, notes=24, ensemble="violin 1, violin 2, cello, drums"):
        assert [track.name for track in piece.tracks] == ["violin 1", "violin 2", "cello", "drums"]
        assert [track.is_drum for track in piece.tracks] == [False, False, False, True]
        assert all(len(track.notes) for track in piece.tracks)


@pytest.mark.parametrize("flat", [False, True])
def test_a_continuation_keeps_the_score_and_begins_behind_it(composer: ComposerPipeline, flat: bool) -> None:
    score = band_score(flat=flat)
    longer = composer.extend(score, notes=30)
    assert rows(score) <= rows(longer)
    new = rows(longer) - rows(score)
    last = max(row[1] for row in rows(score))
    assert len(new) in (29, 30)  # at most one gives way to a note of the score that still sounds
    assert min(time for _, time, *_ in new) >= last - TICKS // 24
    assert {track for track, *_ in new} <= {0, 2, 3}
    assert without_notes(longer) == without_notes(score)


@pytest.mark.slow
def test_a_continuation_of_bars_ends_with_the_last_of_them(composer: ComposerPipeline) -> None:
    score = band_score()
    new = rows(composer.extend(score, bars=12)) - rows(score)
    times = [time for _, time, *_ in new]
    assert bar_start(BARS - 1) <= min(times)
    assert bar_start(BARS) <= max(times) < bar_start(BARS + 12)


@pytest.mark.parametrize(
    ("first", "last"),
    [(4, 6), pytest.param(3, 4, marks=pytest.mark.slow), pytest.param(8, 8, marks=pytest.mark.slow)],
)
def test_all_outside_of_filled_bars_stays_in_every_attribute(
    composer: ComposerPipeline, first: int, last: int
) -> None:
    score = band_score()
    result = composer.infill(score, bars=(first, last), seed=2)
    begin, end = bar_start(first - 1), bar_start(last)

    def outside(found: ScoreTick) -> list[list[NoteTick]]:
        return [[note for note in track.notes if not begin <= note.time < end] for track in found.tracks]

    assert outside(result) == outside(score)
    assert without_notes(result) == without_notes(score)
    inside = {row for row in rows(result) if begin <= row[1] < end}
    assert inside
    assert not inside & {row for row in rows(score) if begin <= row[1] < end}
    assert sounding(read_score(result.dumps_midi())) == sounding(result)


def test_a_note_tied_into_filled_bars_stays(composer: ComposerPipeline) -> None:
    tied = (0, bar_start(2) - 20, 3 * TICKS, 90, 77)
    assert tied in rows(composer.infill(band_score(), bars=(3, 4)))


def test_a_track_is_made_anew_and_the_others_stay(composer: ComposerPipeline) -> None:
    score = band_score()
    result = composer.infill(score, track=2, seed=1)
    assert [result.tracks[index] for index in (0, 1, 3)] == [score.tracks[index] for index in (0, 1, 3)]
    assert result.tracks[2].notes != score.tracks[2].notes
    assert result.tracks[2].controls == score.tracks[2].controls
    assert without_notes(result) == without_notes(score)
    # Seven of ten bars keep the part as busy as it was: three notes a bar, less what collides.
    assert 2 * BARS <= len(result.tracks[2].notes) <= 3 * BARS


@pytest.mark.slow
def test_a_track_in_some_bars_alone_is_made_anew(composer: ComposerPipeline) -> None:
    score = band_score()
    changed = rows(composer.infill(score, bars=(2, 3), track=3)) ^ rows(score)
    assert {row[0] for row in changed} == {3}
    assert {bar_start(1) <= row[1] < bar_start(3) for row in changed} == {True}


def test_a_new_track_has_the_instrument_that_was_named(composer: ComposerPipeline) -> None:
    score = band_score()
    result = composer.infill(score, track=4, ensemble="cello")
    assert list(result.tracks[:4]) == list(score.tracks)
    assert (result.tracks[4].program, result.tracks[4].name) == (42, "cello")
    assert len(result.tracks[4].notes) >= BARS
    assert list(result.tempos) == list(score.tempos)


def test_a_variation_of_strength_0_is_the_score(composer: ComposerPipeline) -> None:
    assert composer.vary(band_score(), strength=0) == band_score()


@pytest.mark.parametrize(
    ("keep", "columns"),
    [
        ("rhythm", (1, 2)),
        ("pitch", (3,)),
        pytest.param("velocity", (4,), marks=pytest.mark.slow),
        pytest.param("instruments", (0,), marks=pytest.mark.slow),
    ],
)
def test_a_variation_keeps_what_it_is_told_to(
    composer: ComposerPipeline, keep: str, columns: tuple[int, ...]
) -> None:
    score = band_score()
    result = composer.vary(score, strength=0.5, keep=keep, seed=4)
    assert result != score
    assert without_notes(result) == without_notes(score)

    def kept(found: ScoreTick) -> list[tuple[int, ...]]:
        return [tuple(row[column] for column in columns) for row in rows(found)]

    # Lengths give way where two notes of one pitch come together, and the second of two that begin together goes.
    lost = len(kept(score)) - len(kept(result))
    assert 0 <= lost <= 3
    if keep != "rhythm":
        assert not set(kept(result)) - set(kept(score))
    else:
        assert {row[0] for row in kept(result)} <= {row[0] for row in kept(score)}


@pytest.mark.slow
def test_a_stronger_variation_changes_more(
    composer: ComposerPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = band_score()

    def changed(strength: float) -> float:
        return len(rows(composer.vary(score, strength=strength, seed=1)) - rows(score)) / score.note_num()

    shares = [changed(strength) for strength in (0.1, 0.4, 1.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    # Of the strongest only what would double another stays as it was.
    monkeypatch.setattr(composer_variation, "doubling", lambda _, __, added: np.zeros(len(added), np.bool_))
    assert shares[2] < changed(1.0) == 1.0


def test_work_stops_within_one_step(composer: ComposerPipeline) -> None:
    calls: list[tuple[float, float]] = []
    asked = []

    def stop(done: float, total: float) -> None:
        calls.append((done, total))
        if len(calls) == 4:
            raise KeyboardInterrupt

    hook = composer.network.register_forward_pre_hook(lambda *_: asked.append(None))
    try:
        with pytest.raises(KeyboardInterrupt):
            composer.generate(notes=60, guidance_scale=2.0, progress=stop)
    finally:
        hook.remove()
    assert len(calls) == 4
    # Two evaluations a step, for guidance.
    assert len(asked) == 8


def test_progress_rises_to_its_end(composer: ComposerPipeline) -> None:
    calls: list[tuple[float, float]] = []
    composer.generate(2, notes=30, ensemble="piano", progress=lambda *now: calls.append(now))
    done = [now for now, _ in calls]
    assert done == sorted(done)
    assert done[-1] == calls[-1][1] >= 60


class BadNumbers:
    """Spoils the answers of a network."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, *about: Any) -> Any:
        self.times -= 1
        return tuple(values * torch.nan for values in about[-1]) if self.times >= 0 else about[-1]


def test_answers_that_are_no_numbers_are_tried_again_once() -> None:
    composer = small_composer(default_guidance_scale=1)
    composer.network.register_forward_hook(BadNumbers(1))
    assert composer.generate(notes=6)[0].note_num() == 6
    composer.network.register_forward_hook(BadNumbers(1000))
    with pytest.raises(UserError, match="not numbers, twice in a row"):
        composer.generate(notes=6)


def test_saved_and_loaded_it_writes_the_same(tmp_path: Path) -> None:
    composer = small_composer()
    composer.save_pretrained(tmp_path / "model")
    loaded = ComposerPipeline.from_pretrained(tmp_path / "model")
    assert loaded.model_hash == composer.model_hash
    assert loaded.generate(notes=12, seed=3) == composer.generate(notes=12, seed=3)
    weights = tmp_path / "model" / "network" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.raises(UserError, match="is damaged"):
        ComposerPipeline.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(
    ("verb", "choices", "words"),
    [
        ("infill", {"bars": (7, 9)}, "outside of the piece, which has 8; give bars from 1 to 8"),
        ("infill", {"bars": (3, 2)}, "bars 3 to 2 are no range"),
        ("infill", {"track": 4}, r"no track 4: the piece has 1 Lead \(program 41\), 2 Bass.*3 Kit \(drums\)"),
        ("infill", {"track": 4, "ensemble": "violin, cello"}, "a new track is one part, not 2"),
        ("infill", {}, "give bars, or a track"),
        ("infill", {"bars": (1, 2), "tempo": 100.0}, "its own tempo, which stays"),
        ("extend", {"notes": 3, "bars": 2}, "both say how long"),
        ("extend", {"notes": 0}, "0 notes: 1 to"),
        ("extend", {"metre": "3/4"}, "its own metre"),
        ("vary", {"strength": 1.5}, "a strength of 1.5: 0"),
        ("vary", {"keep": "rythm"}, "did you mean 'rhythm'"),
        ("vary", {"keep": ("nothing", "pitch")}, "keep nothing and pitch"),
        ("vary", {"steps": 0}, "0 steps: 1 to"),
        ("vary", {"style": "bahc"}, "did you mean 'bach'"),
    ],
)
def test_what_cannot_be_is_refused(
    composer: ComposerPipeline, verb: str, choices: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        getattr(composer, verb)(band_score(), **choices)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"key": "H blunt major"}, "H blunt major"),
        ({"metre": "3/5"}, "no 1/5 note"),
        ({"scale": "strict"}, "a strict scale needs a key"),
        ({"tempo": 5.0}, "a tempo of 5: 10 to 500"),
        ({"temperature": -1.0}, "a temperature of -1"),
        ({"guidance_scale": float("nan")}, "a guidance scale of nan"),
        ({"ensemble": "violinn"}, "did you mean 'violin'"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(
    composer: ComposerPipeline, choices: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        composer.generate(**choices)


@pytest.mark.parametrize(("verb", "choices"), [("extend", {}), ("infill", {"bars": (1, 1)}), ("vary", {})])
def test_a_score_without_notes_is_refused(
    composer: ComposerPipeline, verb: str, choices: dict[str, Any]
) -> None:
    empty = ScoreTick(480)
    empty.tracks.append(TrackTick("silent"))
    with pytest.raises(UserError, match="the score has no notes"):
        getattr(composer, verb)(empty, **choices)


def test_models_of_another_kind_are_named(tmp_path: Path) -> None:
    composer = small_composer()
    composer.save_pretrained(tmp_path / "composer")
    with pytest.raises(UserError, match="is a composer, which writes scores"):
        pipeline_class(tmp_path / "composer")
    with pytest.raises(UserError, match="holds a SynthesisPipeline, not a ComposerPipeline"):
        ComposerPipeline.from_pretrained(WEIGHTS / "synth-small")
    with pytest.raises(UserError, match="there is no composer 'compose-smal'"):
        ComposerPipeline.from_pretrained("compose-smal")
