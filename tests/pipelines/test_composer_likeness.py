"""Bars that are filled in resemble those beside them, as much as a model asks for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from composer_network import band_score, small_composer

from ondes.diffusion.masked import MaskedScheduler
from ondes.pipelines.composer_likeness import prefer_rhythm, prefer_tokens, repeated
from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import NoteSequence, to_note_sequence
from ondes.representations.note_tokens import BAR, FIELDS, PITCH, POSITION, SIZES

COPY = {"position": 60.0, "pitch": 60.0, "duration": 60.0}


def bar_rows(sequence: NoteSequence, bar: int) -> list[tuple[int, ...]]:
    own = sequence.select(sequence.bar == bar)
    columns = (own.instrument, own.part_number, own.position, own.pitch)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_each_bar_of_a_gap_is_like_the_nearer_side() -> None:
    score = to_note_sequence(band_score())
    for first, last, sources in ((1, 3, (0, 0, 4)), (5, 6, (4, 7)), (0, 1, (2, 2)), (6, 7, (5, 5))):
        made = repeated(score, first, last)
        for bar, source in zip(range(first, last + 1), sources, strict=True):
            assert bar_rows(made, bar) == bar_rows(score, source)


def test_what_does_not_fit_into_a_shorter_bar_is_left_out() -> None:
    numbers = np.array([0, 1, 2, 3])
    nothing = np.zeros(4, np.int64)
    bars = BarTable.constant(2)
    bars = BarTable(
        start_quarters=bars.start_quarters,
        length_quarters=np.array([4.0, 2.0]),
        numerator=np.array([4, 2]),
        denominator=bars.denominator,
        bpm=bars.bpm,
    )
    piece = NoteSequence(
        bar=nothing,
        position=24 * numbers,
        offset=nothing,
        pitch=60 + numbers,
        duration_steps=nothing + 24,
        velocity=nothing,
        instrument=nothing,
        part_number=nothing,
        track=nothing,
        index=numbers,
        bars=bars,
    )
    assert repeated(piece, 1, 1).pitch.tolist() == [60, 61]


def test_likely_tokens_gain_their_bonus_and_hidden_ones_nothing() -> None:
    likely = np.array([SIZES, SIZES])
    likely[1, PITCH] = 64
    logits = tuple(torch.zeros(1, 2, size) for size in SIZES)
    tokens = torch.tensor(SIZES).expand(1, 2, -1)
    made = prefer_tokens(likely, {"pitch": 1.5, "position": 3.0})(tokens, logits)
    expected = torch.zeros(1, 2, 128)
    expected[0, 1, 64] = 1.5
    assert torch.equal(made[PITCH], expected)
    assert not any(bool(made[field].any()) for field in range(len(FIELDS)) if field != PITCH)


def test_the_bonus_decides_between_the_network_and_the_bar_beside() -> None:
    score = band_score()
    before = to_note_sequence(score)
    copied = to_note_sequence(small_composer(likeness=COPY).infill(score, bars=(4, 4), seed=1))
    assert bar_rows(copied, 3) == bar_rows(before, 2)
    free = to_note_sequence(
        small_composer(likeness=dict.fromkeys(COPY, 0.0)).infill(score, bars=(4, 4), seed=1)
    )
    # Who plays, and how often, is that of the bar beside; what, is the network's.
    assert [row[:2] for row in bar_rows(free, 3)] == [row[:2] for row in bar_rows(before, 2)]
    assert bar_rows(free, 3) != bar_rows(before, 2)


def test_a_track_in_some_bars_is_like_itself() -> None:
    score = band_score()
    made = small_composer(likeness=COPY).infill(score, bars=(4, 4), track=2, seed=1)
    before, after = to_note_sequence(score), to_note_sequence(made)
    bass = [row for row in bar_rows(before, 2) if row[0] == 33]
    others = [row for row in bar_rows(before, 3) if row[0] != 33]
    assert bar_rows(after, 3) == sorted(bass + others)


def test_fields_have_temperatures_of_their_own() -> None:
    def pitches(seed: int, **settings: object) -> list[int]:
        composer = small_composer(top_p=1.0, **settings)
        made = composer.infill(band_score(), bars=(4, 4), track=1, seed=seed, temperature=3.0, steps=1)
        return [row[3] for row in bar_rows(to_note_sequence(made), 3) if row[0] == 40]

    cold = {"likeness": dict.fromkeys(COPY, 0.0), "infill_temperatures": {"pitch": 0.0}}
    assert len({tuple(set(pitches(seed, **cold))) for seed in range(3)}) == 1
    assert len({tuple(set(pitches(seed, likeness=dict.fromkeys(COPY, 0.0)))) for seed in range(3)}) > 1


def test_gaps_have_an_order_of_their_own() -> None:
    asked: list[str] = []

    class Watched(MaskedScheduler):
        def scores(
            self, log_probability: torch.Tensor, share: float, generator: torch.Generator
        ) -> torch.Tensor:
            asked.append(self.config["order"])
            return super().scores(log_probability, share, generator)

    composer = small_composer(infill_order="confidence")
    other = small_composer()
    score = band_score()
    assert composer.infill(score, bars=(4, 4), steps=2) != other.infill(score, bars=(4, 4), steps=2)
    composer.scheduler = Watched()
    composer.generate(notes=8, steps=2)
    assert set(asked) == {"random"}
    confident = small_composer()
    confident.scheduler = MaskedScheduler(order="confidence")
    expected = confident.infill(score, bars=(4, 4), steps=2)
    composer.scheduler = MaskedScheduler()
    assert composer.infill(score, bars=(4, 4), steps=2) == expected


def test_onsets_of_the_bars_beside_gain_the_bonus() -> None:
    def row(step: int, position: int) -> list[int]:
        own = [*SIZES]
        own[BAR], own[POSITION] = step, position
        return own

    hidden = SIZES[POSITION]
    places = [(0, 12), (0, 36), (1, hidden), (0, 60), (1, 24), (1, hidden), (SIZES[BAR], hidden), (0, hidden)]
    tokens = torch.tensor([row(*place) for place in places])[None]
    logits = tuple(torch.zeros(1, len(places), size) for size in SIZES)
    made = prefer_rhythm(1.5)(tokens, logits)
    gained = [torch.nonzero(own).flatten().tolist() for own in made[POSITION][0]]
    # Of the bar before and the one behind; nothing where it is not known in which bar a note is.
    assert [gained[note] for note in (2, 5, 6, 7)] == [[12, 24, 36], [24], [], []]
    assert set(made[POSITION].unique().tolist()) == {0.0, 1.5}
    assert not any(bool(made[field].any()) for field in range(len(FIELDS)) if field != POSITION)


@pytest.mark.slow
def test_new_pieces_draw_the_likeness_of_their_rhythm_by_the_seed() -> None:
    def pieces(*rhythms: float) -> list[bytes]:
        composer = small_composer(default_rhythms=rhythms, default_steps=10)
        composer.scheduler = MaskedScheduler(first=(BAR,))
        with torch.no_grad():
            # No bar is left out, so that every one has neighbours.
            composer.network.frequency[2 : SIZES[BAR]] -= 20.0
        return [piece.dumps_midi() for piece in composer.generate(6, notes=24, density=2.0)]

    free, alike = pieces(), pieces(9.0)
    assert pieces(0.0) == free
    drawn = [(one == a, one == b) for one, a, b in zip(pieces(0.0, 9.0), free, alike, strict=True) if a != b]
    assert set(drawn) == {(True, False), (False, True)}
