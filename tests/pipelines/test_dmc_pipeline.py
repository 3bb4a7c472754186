"""Sampling of the published composer: seeds, schedulers, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ondes.errors import UserError
from ondes.models.dmc_unet import DmcUNet
from ondes.pipelines.dmc import DmcPipeline, make_dmc_scheduler
from ondes.representations.triples import TripleStatistics

STATISTICS = TripleStatistics("midi", "minmax", (40.0, 0.25, 0.0), (80.0, 2.0, 1.0))


@pytest.fixture
def pipeline() -> DmcPipeline:
    torch.manual_seed(0)
    network = DmcUNet(notes=16, width=4, time_size=8, statistics=STATISTICS.to_config())
    return DmcPipeline(network, make_dmc_scheduler("ddpm"), default_steps=4)


def answer(pipeline: DmcPipeline, monkeypatch: pytest.MonkeyPatch, network: Callable[..., Tensor]) -> None:
    """Let another function predict the noise."""
    monkeypatch.setattr(pipeline.network, "forward", network)


def kept(timestep: Tensor) -> Tensor:
    """Share of the data's variance at a step of the linear schedule."""
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[timestep].float()


@pytest.mark.parametrize(
    ("sampler", "steps", "far"), [("ddpm", 100, 0.05), ("ddpm", 25, 0.05), ("ddim", 10, 1e-3)]
)
def test_who_knows_the_notes_gets_them_back(
    pipeline: DmcPipeline, monkeypatch: pytest.MonkeyPatch, sampler: str, steps: int, far: float
) -> None:
    data = torch.rand(2, 16, 3, generator=torch.Generator().manual_seed(3))

    def oracle(noisy: Tensor, timestep: Tensor) -> Tensor:
        share = kept(timestep)[:, None, None]
        return (noisy - share.sqrt() * data) / (1 - share).sqrt()

    answer(pipeline, monkeypatch, oracle)
    triples = pipeline.sample(2, steps=steps, sampler=sampler)
    expected = data.double().numpy() * STATISTICS.scale + STATISTICS.offset
    np.testing.assert_allclose(triples[..., 1:], expected[..., 1:], atol=far)
    assert np.abs(triples[..., 0] - expected[..., 0]).max() <= 0.5 + 40 * far


def test_the_network_is_told_the_steps_of_the_schedule(
    pipeline: DmcPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def listen(noisy: Tensor, timestep: Tensor) -> Tensor:
        told.extend(timestep.tolist())
        return torch.zeros_like(noisy)

    answer(pipeline, monkeypatch, listen)
    pipeline.sample(steps=1000)
    assert told == list(range(999, -1, -1))


def test_the_published_sampler_adds_noise_of_variance_beta(
    pipeline: DmcPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = make_dmc_scheduler("ddpm")
    scheduler.set_timesteps(1000)
    noisy = torch.full((1, 200_000), 0.3)
    silent = torch.zeros_like(noisy)
    moved = scheduler.step(silent, 500, noisy, generator=torch.Generator().manual_seed(0)).prev_sample
    beta = 1e-4 + 500 / 999 * (0.02 - 1e-4)
    assert float(moved.var()) == pytest.approx(beta, rel=0.02)
    assert float(moved.mean()) == pytest.approx(0.3 / (1 - beta) ** 0.5, abs=1e-3)
    assert torch.equal(
        scheduler.step(silent, 0, noisy).prev_sample.unique(), (noisy / (1 - 1e-4) ** 0.5).unique()
    )


def test_a_piece_is_the_same_in_any_number_and_after_saving(pipeline: DmcPipeline, tmp_path: Path) -> None:
    three = pipeline.sample(3, seed=5)
    np.testing.assert_allclose(three[:1], pipeline.sample(1, seed=5), atol=1e-4)
    assert np.abs(three[0] - three[1]).max() > 0.1
    assert np.abs(three - pipeline.sample(3, seed=6)).max() > 0.1
    pipeline.save_pretrained(tmp_path / "whole")
    pipeline.network.save_pretrained(tmp_path / "bare")
    for name in ("whole", "bare"):
        loaded = DmcPipeline.from_pretrained(tmp_path / name)
        np.testing.assert_allclose(loaded.sample(3, seed=5, steps=4), three, atol=1e-4)
    assert DmcPipeline.from_pretrained(tmp_path / "whole").model_hash == pipeline.model_hash


def test_scores_hold_the_notes(pipeline: DmcPipeline) -> None:
    told: list[tuple[float, float]] = []
    score = pipeline.generate(seed=2, notes=24, progress=lambda *done: told.append(done))[0]
    triples = pipeline.sample(seed=2, notes=24)[0]
    assert told == [(6, 24), (12, 24), (18, 24), (24, 24)]
    notes = score.tracks[0].notes.numpy()
    assert len(notes["pitch"]) == 24
    assert sorted(notes["pitch"].tolist()) == sorted(triples[:, 0].astype(int).tolist())
    assert (score.tempos[0].qpm, score.tracks[0].program) == (60, 0)


def test_nan_is_made_again_once_and_then_refused(
    pipeline: DmcPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    network = pipeline.network.forward

    def breaks(times: int) -> Callable[..., Tensor]:
        def forward(noisy: Tensor, timestep: Tensor) -> Tensor:
            asked.append(len(noisy))
            made = network(noisy, timestep).clone()
            if len(asked) <= times:
                made[-1] = float("nan")
            return made

        return forward

    plain = pipeline.sample(2)
    answer(pipeline, monkeypatch, breaks(1))
    mended = pipeline.sample(2)
    assert asked == [2] * 4 + [1] * 4
    np.testing.assert_array_equal(mended[0], plain[0])
    assert np.abs(mended[1] - plain[1]).max() > 0.1
    asked.clear()
    answer(pipeline, monkeypatch, breaks(99))
    with pytest.raises(UserError, match="NaN or infinity, twice"):
        pipeline.sample(2)


def test_what_cannot_be_made_is_refused(pipeline: DmcPipeline, tmp_path: Path) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"notes": 20}, "20 notes: give"),
        ({"n": 0}, "0 pieces"),
        ({"steps": 0}, "0 steps: 1 to 1000"),
        ({"sampler": "dim"}, "did you mean 'ddim'"),
    ]
    for words, message in refused:
        with pytest.raises(UserError, match=message):
            pipeline.generate(**words)
    bare = DmcPipeline(DmcUNet(notes=16, width=4, time_size=8), make_dmc_scheduler("ddpm"))
    with pytest.raises(UserError, match="no statistics of its training data"):
        bare.generate(steps=1)
    with pytest.raises(UserError, match="there is no composer"):
        DmcPipeline.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text('{"_class_name": "Vocoder"}')
    with pytest.raises(UserError, match="holds a Vocoder, not a DmcUNet"):
        DmcPipeline.from_pretrained(tmp_path)
