"""Windows side by side are what they are alone, and what is asked of a piece holds for every note of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from composer_network import BARS, band_score, bar_start, rows, small_composer, small_network

from ondes.diffusion.masked import MaskedScheduler
from ondes.pipelines import composer_sampling
from ondes.pipelines.composer import ComposerPipeline
from ondes.pipelines.composer_jobs import Bonus, job_of
from ondes.pipelines.composer_pieces import Setting, extension, new_piece
from ondes.pipelines.composer_sampling import Sampling
from ondes.pipelines.composer_verbs import WindowSizes
from ondes.pipelines.composer_wishes import parse_wishes
from ondes.representations.chords import parse_chords
from ondes.representations.ensembles import parse_ensemble
from ondes.representations.keys import KRUMHANSL_KESSLER, parse_key
from ondes.representations.metres import Metre
from ondes.representations.note_conditions import conditions_of
from ondes.representations.note_sequence import to_note_sequence
from ondes.representations.note_tokens import INSTRUMENT, PITCH, QUANTISED, SIZES

SETTING = Setting(QUANTISED, WindowSizes(32, 16), Metre(4, 4), 100.0)


@pytest.fixture(scope="module")
def composer() -> ComposerPipeline:
    return small_composer()


def test_windows_of_several_lengths_in_one_batch_are_what_they_are_alone() -> None:
    wishes = parse_wishes(key="D minor", ensemble="violin, cello")
    pieces = [
        new_piece(wishes, SETTING, notes=9, bars=None, seed=1),
        extension(band_score(flat=True), parse_wishes(), SETTING, notes=12, bars=None, seed=2),
    ]
    jobs = [job_of(piece, next(piece.windows), 0, Bonus(1.0, 0.0, {})) for piece in pieces]
    network, scheduler, sampling = small_network().eval(), MaskedScheduler(), Sampling(3, 1.5, 1.0, 0.95)
    known = [job.problem.tokens for job in jobs]
    together = composer_sampling._sample(network, scheduler, jobs, known, sampling, 0, lambda _: None)
    for job, tokens in zip(jobs, together, strict=True):
        alone = composer_sampling._sample(
            network, scheduler, [job], [job.problem.tokens], sampling, 0, lambda _: None
        )
        np.testing.assert_array_equal(tokens, alone[0])
        fixed = job.problem.tokens < network.sizes
        np.testing.assert_array_equal(tokens[fixed], job.problem.tokens[fixed])


def test_a_piece_of_notes_without_a_density_takes_one_by_its_seed() -> None:
    composer = small_composer(default_densities=(8.0, 0.5))
    ends = sorted(piece.end() for piece in composer.generate(6, notes=28, ensemble="piano"))
    assert 3 * ends[0] < ends[-1]
    asked = composer.generate(notes=28, density=8.0, ensemble="piano", seed=3)[0]
    assert any(3 * asked.end() < end for end in ends)


def test_keys_asked_for_and_keys_of_ones_own_have_bonuses_of_their_own() -> None:
    setting = replace(SETTING, keys=("D minor",))
    for wishes, bonus in ((parse_wishes(key="D minor"), 3.0), (parse_wishes(), 5.0)):
        piece = new_piece(wishes, setting, notes=4, bars=None, seed=1)
        job = job_of(piece, next(piece.windows), 0, Bonus(3.0, 5.0, {}))
        tokens = torch.from_numpy(job.problem.tokens)[None]
        (prefer,) = job.before
        logits = prefer(tokens, tuple(torch.zeros(1, len(job.problem.tokens), size) for size in SIZES))
        profile = np.roll(KRUMHANSL_KESSLER[1], 2)
        pitched = 1 - 1 / SIZES[INSTRUMENT]  # equal logits: any instrument, drums among them
        expected = pitched * bonus * (profile - profile.mean()) / profile.std()
        np.testing.assert_allclose(logits[PITCH][0, 0, :12], expected, rtol=1e-5)


def test_a_flat_score_shows_the_network_no_velocity() -> None:
    seen = []
    composer = small_composer()
    composer.network.register_forward_pre_hook(lambda _, given: seen.append(given[0][..., 4]))
    composer.extend(band_score(flat=True), notes=8)
    assert torch.stack(seen[:3]).unique().tolist() == [16]
    seen.clear()
    composer.extend(band_score(), notes=8)
    assert seen[0].unique().tolist() == [10, 16]


def test_a_strict_scale_and_compasses_hold_for_every_note(composer: ComposerPipeline) -> None:
    parts = parse_ensemble("string quartet")
    (piece,) = composer.generate(notes=40, key="Eb minor", scale="strict", ensemble="string quartet")
    scale = parse_key("Eb minor").wide_scale
    for track, part in zip(piece.tracks, parts, strict=True):
        pitches = track.notes.numpy()["pitch"]
        assert {int(pitch) % 12 for pitch in pitches} <= scale
        assert part.low <= pitches.min() <= pitches.max() <= part.high


def test_chords_hold_bar_by_bar(composer: ComposerPipeline) -> None:
    (piece,) = composer.generate(bars=6, chords="C | G7", ensemble="piano")
    chords = parse_chords("C | G7")
    for note in piece.tracks[0].notes:
        bar, rest = divmod(note.time, 4 * 480)
        assert note.pitch % 12 in chords.chord_at(bar, rest / (4 * 480)).classes


def test_the_key_of_the_score_is_the_scale_where_none_is_named(composer: ComposerPipeline) -> None:
    score = band_score()
    del score.tracks[3]
    for track in score.tracks:
        for note in track.notes:
            note.pitch = (60, 62, 64, 65, 67, 69, 71)[note.pitch % 7]
    new = rows(composer.infill(score, bars=(2, 4), scale="strict")) - rows(score)
    assert new
    key = conditions_of(to_note_sequence(score)).key
    assert key is not None
    assert {row[3] % 12 for row in new} <= key.wide_scale


def test_density_decides_how_far_notes_reach(composer: ComposerPipeline) -> None:
    ends = [
        composer.generate(notes=28, density=density, ensemble="piano", seed=3)[0].end()
        for density in (8.0, 0.5)
    ]
    assert 3 * ends[0] < ends[1]


def test_more_bars_than_a_window_holds_are_filled_bar_after_bar(composer: ComposerPipeline) -> None:
    score = band_score()
    new = rows(composer.infill(score, bars=(1, BARS), seed=3)) - rows(score)
    found = {int(np.searchsorted([bar_start(bar) for bar in range(1, BARS)], row[1], "right")) for row in new}
    assert found == set(range(BARS))


def test_a_piano_has_two_hands_and_a_piece_without_wishes_a_usual_ensemble() -> None:
    composer = small_composer(default_ensembles=("string trio", "piano"))
    made = composer.generate(6, notes=8)
    names = {tuple(track.name for track in piece.tracks) for piece in made}
    assert names == {("violin", "viola", "cello"), ("piano, right hand", "piano, left hand")}


def test_a_piece_without_wishes_has_a_key_by_its_seed() -> None:
    own = {"default_keys": ("Eb major", "F# minor"), "default_ensembles": ("piano",)}
    composer = small_composer(**own, key_bonus=0.5, home_key_bonus=0.5)
    made = composer.generate(6, notes=4)
    keys = [(piece.key_signatures[0].key, piece.key_signatures[0].tonality) for piece in made]
    assert set(keys) == {(-3, 0), (3, 1)}
    names = [str(parse_key(("Eb major", "F# minor")[found == (3, 1)])) for found in keys]
    assert made == [composer.generate(notes=4, seed=seed, key=key)[0] for seed, key in enumerate(names)]
    (chords,) = composer.generate(notes=4, chords="C | G")
    assert not chords.key_signatures
