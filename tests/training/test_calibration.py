"""Fitting the temperature of a separator: known temperatures come back, and stated probabilities hold afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from note_caches import song  # pyright: ignore[reportMissingImports]

from ondes.datasets.note_cache import build_note_cache
from ondes.evaluation.separation import Calibration
from ondes.models.part_labeller import PartLabeller
from ondes.representations.note_sequence import from_note_sequence
from ondes.training.calibration import calibrate, fit_temperature, stated
from ondes.training.mixture_windows import MixtureWindows


def opinions(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too bold by a factor, and labels drawn from what they should be."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (8_000, 4))
    logits[:, 3] = np.where(rng.random(8_000) < 0.5, -np.inf, logits[:, 3])
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = (chances.cumsum(1) < rng.random((8_000, 1))).sum(1)
    return logits * temperature, true


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_a_known_temperature_is_found_and_makes_statements_hold(temperature: float) -> None:
    logits, true = opinions(temperature)
    found = fit_temperature(logits, true)
    assert found == pytest.approx(temperature, rel=0.05)
    scaled = np.exp(logits / found)
    chances = scaled / scaled.sum(1, keepdims=True)
    assert Calibration.of(chances.max(1), chances.argmax(1) == true).error < 0.025


def test_logarithms_of_probabilities_serve_as_well_as_logits() -> None:
    logits, true = opinions(1.7)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert fit_temperature(logs, true) == pytest.approx(fit_temperature(logits, true), abs=1e-6)
    with pytest.raises(ValueError, match="no notes"):
        fit_temperature(logits[:0], true[:0])


@pytest.fixture(scope="module")
def network() -> PartLabeller:
    torch.manual_seed(0)
    made = PartLabeller(width=16, hidden=16, blocks=1, heads=2).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def test_in_one_step_a_network_states_what_it_answers_at_once(network: PartLabeller) -> None:
    batch = MixtureWindows([song(0), song(1)], batch=2, notes=20, seed=0, vary=False).at(0)
    logs, true = stated(network, batch, steps=1)
    with torch.no_grad():
        logits = network(batch.facts, torch.full_like(batch.labels, -1), batch.parts)
    real = batch.labels >= 0
    np.testing.assert_allclose(np.exp(logs), logits[real].double().softmax(-1).numpy(), atol=1e-6)
    assert true.tolist() == batch.labels[real].tolist()
    later, _ = stated(network, batch, steps=4)
    assert np.abs(later - logs).max() > 1e-3


def test_a_cache_gives_a_temperature(network: PartLabeller, tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    for seed in range(2):
        from_note_sequence(song(seed)).dump_midi(tmp_path / "songs" / f"{seed}.mid")
    build_note_cache(tmp_path / "songs", tmp_path / "notes")
    found = [calibrate(network, tmp_path / "notes", steps=2, windows=4, notes=20) for _ in range(2)]
    assert found[0] == found[1]
    assert 0.25 <= found[0] <= 4
