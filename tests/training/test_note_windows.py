from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from note_caches import note_caches, song  # pyright: ignore[reportMissingImports]

from ondes.datasets.note_cache import open_note_cache
from ondes.errors import UserError
from ondes.representations.note_conditions import NoteConditions, conditions_of
from ondes.representations.note_sequence import PARTS
from ondes.representations.note_tokens import (
    BAR,
    DURATION,
    FIELDS,
    INSTRUMENT,
    PART_NUMBER,
    PITCH,
    POSITION,
    SIZES,
    VELOCITY,
    to_tokens,
)
from ondes.training.note_masks import PATTERNS, Pattern, draw_levels
from ondes.training.note_windows import NoteBatch, RandomNoteWindows, collate, cut, forget, laid_out

__all__ = ["note_caches"]


def windows(caches: Path, **settings: object) -> RandomNoteWindows:
    plain = {"lengths": (12, 16), "notes_per_batch": 48, "styles": ("train",), "balance": 0.7, "seed": 3}
    return RandomNoteWindows(open_note_cache(caches / "train"), **{**plain, **settings})  # pyright: ignore[reportArgumentType]


def same(one: NoteBatch, other: NoteBatch) -> bool:
    pairs = zip(one[:4], other[:4], strict=True)
    conditions = (torch.equal(one.conditions[name], other.conditions[name]) for name in one.conditions)
    return all(torch.equal(left, right) for left, right in pairs) and all(conditions)


def test_a_batch_is_a_function_of_seed_and_number_and_goes_on_from_any(note_caches: Path) -> None:
    first = [batch for batch, _ in zip(windows(note_caches), range(4), strict=False)]
    later = next(iter(windows(note_caches, first=2)))
    assert same(later, first[2])
    assert not same(first[2], first[3])
    assert not same(windows(note_caches, seed=4).at(2), first[2])


def test_several_processes_share_the_batches_of_one(note_caches: Path) -> None:
    alone = windows(note_caches)
    shared = [windows(note_caches, rank=rank, processes=2) for rank in (0, 1)]
    for rank, made in enumerate(shared):
        own = [batch for batch, _ in zip(made, range(2), strict=False)]
        assert same(own[0], alone.at(rank))
        assert same(own[1], alone.at(2 + rank))


def test_windows_are_as_long_as_asked_and_hold_notes_of_the_songs(note_caches: Path) -> None:
    made = windows(note_caches)
    lengths = set()
    for number in range(12):
        batch = made.at(number)
        lengths.add(batch.tokens.shape[1])
        assert batch.tokens.shape[0] == 48 // batch.tokens.shape[1]
        assert batch.valid.all()
        assert (batch.tokens[..., BAR] >= 0).all()
        assert (batch.tokens <= torch.tensor(SIZES)).all()
        assert batch.level.shape == (len(batch.tokens), len(FIELDS))
    assert lengths == {12, 16}


def test_unknown_velocities_are_hidden_and_never_learned_known_ones_are(note_caches: Path) -> None:
    known = {True: 0, False: 0}
    made = windows(note_caches)
    for number in range(8):
        batch = made.at(number)
        hidden = batch.tokens[..., VELOCITY] == SIZES[VELOCITY]
        assert not batch.free[..., VELOCITY][hidden].any()
        known[True] += int(batch.free[..., VELOCITY][~hidden].sum())
        known[False] += int(hidden.sum())
    assert min(known.values()) > 0


def test_validation_hides_everything_at_even_levels_and_forgets_nothing(note_caches: Path) -> None:
    batch = windows(note_caches, learn=False).at(0)
    count = len(batch.tokens)
    assert sorted(batch.level[:, 0].tolist()) == pytest.approx([(k + 0.5) / count for k in range(count)])
    assert batch.free[..., PITCH].all()
    assert (batch.conditions["key"] > 0).all()
    assert batch.conditions["style"].tolist() == [1] * count
    assert batch.conditions["metre"].unique().tolist() == [2]


def test_a_window_counts_bars_from_its_first_note() -> None:
    piece = song(1)
    part = cut(piece, 20, 10)
    assert part.pitch.tolist() == piece.pitch[20:30].tolist()
    assert part.bar.tolist() == (piece.bar[20:30] - piece.bar[20]).tolist()
    assert len(part.bars) == part.bar[-1] + 1
    assert np.diff(part.onset_quarters).tolist() == np.diff(piece.onset_quarters[20:30]).tolist()
    assert len(cut(piece, 35, 10)) == 5


def test_short_windows_are_padded_with_what_is_neither_valid_nor_learned() -> None:
    pieces = [cut(song(1), 0, 6), cut(song(2), 0, 4)]
    rows = [
        (*laid_out(piece, Pattern(np.ones((len(piece), 7), np.bool_))), np.ones(7, np.float32))
        for piece in pieces
    ]
    batch = collate(rows, [NoteConditions(), NoteConditions()], notes=6, styles=(), number=5)
    assert batch.valid.tolist() == [[True] * 6, [True] * 4 + [False] * 2]
    assert not batch.free[1, 4:].any()
    assert batch.tokens[1, :4].tolist() == to_tokens(pieces[1]).tolist()
    assert int(batch.number) == 5


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_free_what_they_are_for(name: str) -> None:
    rng = np.random.default_rng(0)
    piece = cut(song(3), 0, 30)
    part = piece.instrument * PARTS + piece.part_number
    for _ in range(20):
        free, moved = PATTERNS[name][1](piece, rng)
        rows, columns = np.logical_or.reduce(free, 1), np.logical_or.reduce(free, 0)
        assert free.any()
        if name in ("bars", "parts"):
            assert moved is not None
            assert np.array_equal(rows, moved)
            assert not columns[BAR]
            assert columns[[POSITION, PITCH, DURATION]].all()
            group = piece.bar if name == "bars" else part
            assert not set(group[rows]) & set(group[~rows])
            assert name == "bars" or 0 < rows.sum() < len(rows)
        else:
            assert moved is None
            assert np.array_equal(free, rows[:, None] & columns)
        if name == "suffix":
            assert np.array_equal(rows, np.sort(rows))
            assert not rows[0]
    only = {"pitch": [PITCH], "rhythm": [BAR, POSITION, DURATION], "instrument": [INSTRUMENT, PART_NUMBER]}
    if name in only:
        assert np.flatnonzero(columns).tolist() == only[name]
    assert name != "whole" or free.all()


def test_who_plays_is_known_for_half_of_what_is_filled_in() -> None:
    rng = np.random.default_rng(1)
    piece = cut(song(3), 0, 30)
    known = [not PATTERNS["bars"][1](piece, rng).free[:, INSTRUMENT].any() for _ in range(400)]
    assert 0.4 < np.mean(known) < 0.6


def test_notes_to_fill_in_come_last_in_their_bar_with_their_tokens() -> None:
    piece = cut(song(3), 0, 30)
    pattern = PATTERNS["parts"][1](piece, np.random.default_rng(0))
    tokens, moved = laid_out(piece, pattern)
    assert pattern.moved is not None
    assert moved.moved is not None
    bars = np.cumsum(tokens[:, BAR])
    for bar in np.unique(bars):
        assert np.array_equal(moved.moved[bars == bar], np.sort(moved.moved[bars == bar]))
    plain = to_tokens(piece)
    absolute = {tuple(row) for row in np.column_stack([piece.bar, plain[:, 1:], pattern.free]).tolist()}
    assert {tuple(row) for row in np.column_stack([bars, tokens[:, 1:], moved.free]).tolist()} == absolute


def test_a_condition_is_forgotten_one_time_in_ten_and_all_of_them_another() -> None:
    rng = np.random.default_rng(0)
    known = conditions_of(song(1), style="songs")
    drawn = [forget(known, rng) for _ in range(2000)]
    assert np.mean([wish == NoteConditions() for wish in drawn]) == pytest.approx(0.1, abs=0.02)
    kept = [wish for wish in drawn if wish != NoteConditions()]
    assert np.mean([wish.key is None for wish in kept]) == pytest.approx(0.1, abs=0.025)
    assert all(wish.metre in (None, known.metre) for wish in kept)


def test_levels_are_one_for_all_fields_or_each_its_own() -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([draw_levels(rng, 3, 8) for _ in range(600)])
    common = (rows == rows[:, :1]).all(1)
    assert common.mean() == pytest.approx(0.7, abs=0.06)
    assert (rows[common] >= 3 / 8).all()
    assert (rows[common] < 4 / 8).all()
    assert rows[~common].min() < 0.05
    assert rows[~common].max() > 0.95


def test_a_cache_of_scores_that_are_too_short_is_refused(
    note_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ondes.training.note_windows.LEAST_NOTES", 1000
    )  # the cache holds none that is shorter than 16
    with pytest.raises(UserError, match="none of the 5 scores has 1000 notes"):
        windows(note_caches)
