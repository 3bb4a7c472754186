"""The published separator as a pipeline: every note once, seeds, windows that agree, folders, refusals."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from separation_scores import any_track, everything, mixture, plain_notes, score_of
from symusic.core import ScoreTick
from torch import Tensor

from ondes.errors import UserError
from ondes.models.trans_unet import RollDecoder, TransUNet
from ondes.pipelines.mixture2music import Mixture2MusicPipeline
from ondes.pipelines.roll_samplers import make_roll_scheduler
from ondes.pipelines.separation import Separation
from ondes.pipelines.separation_opening import open_separator
from ondes.representations.note_sequence import DRUMS

TINY: dict[str, Any] = {"width": 32, "token_size": 8, "head_size": 8, "layers": 1, "most_tokens": 72}


def pipeline(*, decoder: bool = False, sampler: str = "ddim", **changes: Any) -> Mixture2MusicPipeline:
    torch.manual_seed(0)
    network = TransUNet(**TINY, **changes)
    second = RollDecoder(parts=int(network.config["parts"]), width=32) if decoder else None
    return Mixture2MusicPipeline(network, make_roll_scheduler(sampler), second, default_steps=2)


class Guessing(Mixture2MusicPipeline):
    """Claims anything, in no time."""

    def sample(self, mixture: np.ndarray, *, seed: int = 0, **_: Any) -> np.ndarray:
        claims = np.random.default_rng(seed).random((5, *mixture.shape))
        return claims * mixture


GUESSING = Guessing(TransUNet(**TINY), make_roll_scheduler("ddim"))


@pytest.fixture(scope="module")
def plain() -> Mixture2MusicPipeline:
    return pipeline()


def who_plays(monkeypatch: pytest.MonkeyPatch, made: Mixture2MusicPipeline, data: Tensor) -> None:
    """Let the network know the rolls (parts, steps, rows) of every window, which must be the same."""
    kept = made.scheduler.alphas_cumprod

    def oracle(noisy: Tensor, timestep: Tensor) -> Tensor:
        share = kept[timestep][:, None, None, None]
        return (noisy - share.sqrt() * data) / (1 - share).sqrt()

    monkeypatch.setattr(made.network, "forward", oracle)


def band() -> ScoreTick:
    """Two bars: low, middle and high notes, drums, and what no roll has."""
    rows = [(step * 480, 480, pitch, 80) for step in range(8) for pitch in (40, 60, 80)]
    rows += [(0, 240, 12, 70), (960, 240, 110, 70)]
    drums = [(step * 240, 60, pitch, 90) for step in range(8) for pitch in (36, 60)]
    return score_of(mixture(rows), mixture(drums, is_drum=True))


def thirds() -> Tensor:
    """Rolls in which keys below 50 are the bass's, below 70 the piano's, and the others of strings."""
    data = torch.zeros(5, 64, 72)
    for layer, first, last in ((2, 0, 26), (0, 26, 46), (3, 46, 63), (4, 63, 72)):
        data[layer, :, first:last] = 1
    return data


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_notes_go_to_the_part_whose_roll_claims_them(sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = pipeline(sampler=sampler)
    who_plays(monkeypatch, made, thirds())
    found: Separation = made(band(), steps=20)
    assert [part.name for part in found.parts] == ["piano", "bass", "strings", "drums"]
    names = np.array([part.name for part in found.parts])[found.labels[0]]
    pitched = ~found.notes.is_drum
    for pitch, name in ((40, "bass"), (60, "piano"), (80, "strings")):
        assert set(names[pitched & (found.notes.pitch == pitch)]) == {name}
    assert set(names[found.notes.is_drum]) == {"drums"}
    # Below and above all rolls: the first note in the order of the score of those that begin with it.
    assert set(names[pitched & np.isin(found.notes.pitch, (12, 110))]) == {"bass"}
    assert found.confidences[0][np.isin(found.notes.pitch, (40, 60, 80))].min() > 0.95
    assert plain_notes(found.scores[0]) == plain_notes(band())
    programs = {track.name: (track.program, track.is_drum) for track in found.scores[0].tracks}
    assert programs["strings"] == (49, False)
    assert programs["drums"] == (0, True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(any_track(), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_every_note_is_there_once_whatever_the_network_says(tracks: list[Any], seed: int) -> None:
    score = score_of(*tracks)
    if not score.note_num():
        return
    made = GUESSING
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of parts that are there already
        found = made(score, seed=seed)
    assert everything(found.scores[0]) == everything(score)
    drums = np.array([part.instrument == DRUMS for part in found.parts])
    assert np.array_equal(drums[found.labels[0]], found.notes.is_drum)
    assert ((found.confidences >= 0) & (found.confidences <= 1)).all()


def test_a_seed_means_the_same_alone_among_alternatives_and_after_saving(tmp_path: Path) -> None:
    made = pipeline(decoder=True)
    score = band()
    three = made(score, n=3, seed=4, steps=3)
    alone = made(score, seed=5, steps=3)
    claims = [made.sample(np.ones((20, 72), np.bool_), steps=2, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(claims[0], claims[1])
    assert not np.array_equal(claims[0], claims[2])
    names = [[part.name for part in one.parts] for one in (three, alone)]
    assert [names[0][label] for label in three.labels[1]] == [names[1][label] for label in alone.labels[0]]
    made.save_pretrained(tmp_path / "saved")
    torch.manual_seed(77)
    loaded = open_separator(tmp_path / "saved")
    assert isinstance(loaded, Mixture2MusicPipeline)
    assert loaded.model_hash == made.model_hash
    assert np.array_equal(loaded(score, n=3, seed=4, steps=3).labels, three.labels)
    again = loaded.sample(np.ones((20, 72), np.bool_), steps=2, seed=0)
    # Weights lie elsewhere in memory, which changes the order in which products are summed.
    np.testing.assert_allclose(again, claims[0], atol=1e-4)


def test_the_folder_of_a_run_is_a_model_too(tmp_path: Path) -> None:
    made = pipeline(schedule="cosine")
    made.network.save_pretrained(tmp_path / "model")
    loaded = open_separator(tmp_path / "model")
    assert isinstance(loaded, Mixture2MusicPipeline)
    assert loaded.scheduler.config["beta_schedule"] == "squaredcos_cap_v2"
    assert loaded.decoder is None


def test_long_pieces_are_windows_that_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    made, shapes = pipeline(), []

    def listen(noisy: Tensor, timestep: Tensor) -> Tensor:
        shapes.append(tuple(noisy.shape))
        return noisy

    monkeypatch.setattr(made.network, "forward", listen)
    rolls = made.sample(np.ones((330, 72), np.bool_), steps=2)
    assert rolls.shape == (5, 330, 72)
    # Windows of 64 begin every 32 sixteenths, and the last one where it ends with the piece.
    assert shapes == [(8, 5, 64, 72), (2, 5, 64, 72)] * 2


def test_nothing_is_claimed_where_nothing_sounds(plain: Mixture2MusicPipeline) -> None:
    mixture_ = np.random.default_rng(0).random((64, 72)) < 0.1
    for sampler in ("ddim", "ddpm"):
        rolls = plain.sample(mixture_, steps=3, sampler=sampler)
        assert not rolls[:, ~mixture_].any()
        assert (np.abs(rolls[:, mixture_]) > 0).mean() > 0.9


def test_parts_can_be_asked_for(plain: Mixture2MusicPipeline) -> None:
    found = plain(band(), into="bass, drums, strings")
    assert [part.name for part in found.parts] == ["bass", "drums", "strings"]
    assert plain_notes(found.scores[0]) == plain_notes(band())


def test_parts_of_one_kind_are_layers_where_the_network_was_trained_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = pipeline(parts=2, layer_names=[[40, 0], [40, 1]])
    data = torch.zeros(2, 64, 72)
    data[0, :, 40:] = 1
    data[1, :, :40] = 1
    who_plays(monkeypatch, made, data)
    score = score_of(mixture([(0, 480, 70, 80), (0, 480, 55, 80)]))
    found = made(score, into="violin 1, violin 2", steps=10)
    assert found.labels.tolist() == [[0, 1]]
    with pytest.warns(UserWarning, match="16 notes are on the drum channel"):
        assert plain_notes(made(band(), into="violin 1, violin 2").scores[0]) == plain_notes(band())


def test_progress_ends_with_all_notes_and_may_stop_the_work(plain: Mixture2MusicPipeline) -> None:
    told: list[tuple[float, float]] = []
    plain(band(), n=2, steps=2, progress=lambda *done: told.append(done))
    assert [done for done, _ in told] == [
        total * share for share, (_, total) in zip((0.25, 0.5, 0.75, 1), told, strict=True)
    ]

    def stop(_done: float, _total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plain(band(), progress=stop)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            {"into": "flute, piano, drums"},
            "knows no flute: its parts are piano, guitar, bass, strings, drums",
        ),
        ({"into": "piano, harpsichord, drums"}, "one part for piano, and 2 were asked for"),
        ({"n": 0}, "0 alternatives"),
        ({"steps": 1001}, "in 1 to 1000 steps"),
        ({"sampler": "euler"}, "there is no sampler 'euler'"),
        ({"method": "classifier"}, "no method 'classifier'"),
        ({"ranges": True}, "has no 'ranges'"),
    ],
)
def test_refusals(plain: Mixture2MusicPipeline, wish: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plain(band(), **wish)


def test_bad_models_and_scores_are_refused(plain: Mixture2MusicPipeline, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no notes"):
        plain(score_of(mixture([])))
    with pytest.warns(UserWarning, match="has separate parts already"):
        plain(score_of(mixture([(0, 9, 60, 60)]), mixture([(0, 9, 70, 60)], program=40)))
    broken = pipeline()
    torch.nn.init.constant_(broken.network.leave.weight, torch.nan)
    with pytest.raises(UserError, match="NaN or infinity"):
        broken(band())
    with pytest.raises(UserError, match="no noise schedule 'cosin': did you mean 'cosine'"):
        make_roll_scheduler("ddim", "cosin")
    (tmp_path / "config.json").write_text('{"_class_name": "Vocoder"}')
    with pytest.raises(UserError, match="holds a Vocoder, not a TransUNet"):
        Mixture2MusicPipeline.from_pretrained(tmp_path)
