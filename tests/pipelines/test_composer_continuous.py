"""The composer of continuous features: a perfect denoiser gives its data back, and what it cannot do is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from composer_network import TICKS, band_score, rows, without_notes
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from torch import Tensor

from ondes.errors import UserError
from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline
from ondes.representations.bar_table import BarTable
from ondes.representations.note_conditions import METRE_NAMES
from ondes.representations.note_features import FEATURES, FeatureStatistics, to_features
from ondes.representations.note_sequence import NoteSequence, to_note_sequence

COUNT = 20
STATISTICS = FeatureStatistics((60.0, 3.0, 1.0, 70.0), (12.0, 0.5, 0.7, 20.0))


def melody() -> NoteSequence:
    """A walk of 40 notes in 4/4, of two instruments."""
    walk = np.arange(40)
    none = np.full(40, -1)
    onset = walk * 18
    return NoteSequence(
        bar=onset // 96,
        position=onset % 96,
        offset=0 * walk,
        pitch=60 + walk % 13,
        duration_steps=6 + walk % 19,
        velocity=44 + walk // 8 * 8,
        instrument=np.where(walk % 2, 40, 42),
        part_number=0 * walk,
        track=none,
        index=none,
        bars=BarTable.constant(8),
    )


def continuous(**settings: Any) -> ComposerPipeline:
    """A composer of features with some weights."""
    torch.manual_seed(0)
    network = NoteTransformer(
        kind="features",
        feature_size=len(FEATURES),
        width=8,
        depth=1,
        heads=2,
        hidden=8,
        metres=METRE_NAMES,
        styles=("loud",),
    )
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    scheduler = DDIMScheduler(
        num_train_timesteps=200,
        prediction_type="v_prediction",
        clip_sample=False,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    sizes: dict[str, Any] = {
        "window_notes": 32,
        "context_notes": 16,
        "default_steps": 4,
        "default_notes": COUNT,
    }
    return ComposerPipeline(
        network, scheduler, **(sizes | settings), feature_statistics=STATISTICS.to_config()
    )


def oracle(data: Tensor, composer: ComposerPipeline) -> Callable[..., Tensor]:
    """The velocity towards data (notes, features): v = (alpha x - x0) / sigma (Salimans and Ho 2022)."""
    alphas = composer.scheduler.alphas_cumprod

    def forward(noisy: Tensor, valid: object, asked: object, level: Tensor, known: Tensor) -> Tensor:
        kept = alphas[round(float(level) * 200) - 1]
        wanted = data[: noisy.shape[1]]
        return (kept.sqrt() * noisy - wanted) / (1 - kept).sqrt()

    return forward


def test_a_perfect_denoiser_gives_its_data_back() -> None:
    composer, wanted = continuous(loud_styles=("loud",)), melody()
    data = torch.from_numpy(to_features(wanted, STATISTICS))
    setattr(composer.network, "forward", oracle(data, composer))  # noqa: B010
    # A style whose velocities the network knows: otherwise rules would write them.
    (piece,) = composer.generate(notes=COUNT, metre="4/4", style="loud")
    found = to_note_sequence(piece)
    first = wanted.select(np.arange(COUNT))
    for name in ("bar", "position", "pitch", "duration_steps", "velocity", "instrument"):
        np.testing.assert_array_equal(getattr(found, name), getattr(first, name), err_msg=name)


def test_a_continuation_keeps_the_score_and_begins_behind_it() -> None:
    composer, score = continuous(), band_score()
    longer = composer.extend(score, notes=8, seed=1)
    assert rows(score) <= rows(longer)
    assert without_notes(longer) == without_notes(score)
    new = rows(longer) - rows(score)
    assert 6 <= len(new) <= 8
    assert min(row[1] for row in new) >= max(row[1] for row in rows(score)) - TICKS // 24
    assert longer == composer.extend([band_score(flat=True), score], notes=8, seed=0)[1]


def test_infilling_and_variations_are_refused() -> None:
    composer = continuous()
    for refused in (
        lambda: composer.infill(band_score(), bars=(2, 3)),
        lambda: composer.infill(band_score(), track=1),
        lambda: composer.vary(band_score()),
    ):
        with pytest.raises(UserError, match="choose a model of tokens"):
            refused()


def test_parts_and_scale_hold() -> None:
    (piece,) = continuous().generate(notes=COUNT, ensemble="violin, cello", key="C", scale="strict")
    assert [track.program for track in piece.tracks] == [40, 42]
    pitches = np.concatenate([track.notes.numpy()["pitch"] for track in piece.tracks])
    assert {int(pitch) % 12 for pitch in pitches} <= {0, 2, 4, 5, 7, 9, 11}


def test_answers_that_are_no_numbers_end_in_an_error() -> None:
    composer = continuous()
    composer.network.register_forward_hook(lambda *about: about[-1] * torch.nan)
    with pytest.raises(UserError, match="not numbers, twice in a row"):
        composer.generate()
