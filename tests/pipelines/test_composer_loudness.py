"""Velocities of new notes: by rules where nothing is known, by the network where its data told it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from composer_network import BARS, band_score, rows, small_composer
from symusic.core import ScoreTick

from ondes.pipelines.composer_loudness import with_loudness
from ondes.representations.expression import shaped
from ondes.representations.note_sequence import to_note_sequence
from ondes.representations.note_tokens import VELOCITY, from_tokens, to_tokens


def _velocities(score: ScoreTick) -> list[int]:
    return [row[4] for row in sorted(rows(score))]


def test_new_pieces_are_shaped_by_the_rules() -> None:
    composer = small_composer()
    (piece,) = composer.generate(notes=30, ensemble="violin, cello", seed=7)
    written = to_note_sequence(piece)
    rules = shaped(replace(written, velocity=np.zeros_like(written.velocity)), seed=7)
    # Notes that give way to others of their pitch are shorter than when they were shaped.
    assert np.corrcoef(written.velocity, rules.velocity)[0, 1] > 0.95
    assert len(set(written.velocity.tolist())) > 8
    assert np.mean(written.velocity) == pytest.approx(76, abs=3)


def test_the_network_is_believed_in_the_styles_whose_data_are_loud_and_soft() -> None:
    believed, shaped_ = small_composer(loud_styles=("bach",)), small_composer()
    said = [composer.generate(notes=30, style="bach", seed=2)[0] for composer in (believed, shaped_)]
    assert _velocities(said[0]) != _velocities(said[1])
    # Velocities that the network says are those of its classes.
    tokens = to_tokens(to_note_sequence(said[0]))
    back = from_tokens(tokens, to_note_sequence(said[0]).bars)
    assert np.array_equal(back.velocity, to_note_sequence(said[0]).velocity)
    assert set(tokens[:, VELOCITY].tolist()) <= set(range(16))
    assert believed.generate(notes=30, seed=2) == shaped_.generate(notes=30, seed=2)


@pytest.mark.slow
def test_new_notes_of_a_score_with_one_velocity_have_it_in_their_middle() -> None:
    composer, score = small_composer(), band_score(flat=True)
    for made in (composer.extend(score, notes=30), composer.infill(score, bars=(3, 6), seed=1)):
        kept = rows(score) & rows(made)
        new = rows(made) - kept
        assert {row[4] for row in kept} <= {77, 80}
        assert len({row[4] for row in new}) > 6
        assert np.mean([row[4] for row in new]) == pytest.approx(80, abs=3)
    assert rows(score) <= rows(composer.extend(score, notes=30))
    varied = composer.vary(score, strength=1.0, seed=1)
    assert {row[4] for row in rows(varied)} == {77, 80}


def test_only_given_notes_know_their_loudness_and_order_does_not_matter() -> None:
    music = to_note_sequence(band_score())
    is_new = music.bar >= BARS // 2
    new, around = music.select(is_new), music.select(~is_new)
    loud = with_loudness(new, around, seed=3, mean_velocity=60)
    assert np.array_equal(loud.onset_quarters, new.onset_quarters)
    assert np.array_equal(loud.pitch, new.pitch)
    assert np.array_equal(loud.index, new.index)
    assert np.mean(loud.velocity) == pytest.approx(60, abs=2)
    again = with_loudness(new, around, seed=4, mean_velocity=60)
    assert not np.array_equal(loud.velocity, again.velocity)
    assert len(with_loudness(new.select(np.zeros(len(new), np.bool_)), around, seed=3)) == 0
