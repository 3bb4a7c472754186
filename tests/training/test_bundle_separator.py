"""A separator in the package: matrices of half size, the settings, the card, its classifier beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ondes.models.part_labeller import PartLabeller
from ondes.pipelines.separation import SeparationPipeline
from ondes.training import bundle
from ondes.training.bundle import bundle_separator


def test_a_bundled_separator_has_half_matrices_its_settings_and_its_classifier(tmp_path: Path) -> None:
    networks = [PartLabeller(width=8, hidden=8, blocks=1, heads=2) for _ in range(2)]
    for name, network in zip(("run", "other"), networks, strict=True):
        network.save_pretrained(tmp_path / name)
    folder = tmp_path / "separate-small"
    bundle_separator(
        tmp_path / "run", folder, {"task": "separating"}, classifier=tmp_path / "other", calibration=1.25
    )
    loaded = SeparationPipeline.from_pretrained(folder)
    assert loaded.config["calibration"] == 1.25
    assert loaded.classifier is not None
    for name, network, again in zip(
        ("network", "classifier"), networks, (loaded.network, loaded.classifier), strict=True
    ):
        stored = load_file(folder / name / "diffusion_pytorch_model.safetensors")
        assert {tensor.dtype for tensor in stored.values() if tensor.ndim >= 2} == {torch.float16}
        assert {weights.dtype for weights in again.parameters()} == {torch.float32}
        for key, weights in network.state_dict().items():
            torch.testing.assert_close(again.state_dict()[key], weights, rtol=1e-3, atol=1e-4)
        assert "_name_or_path" not in json.loads((folder / name / "config.json").read_text())
    counted = sum(weights.numel() for network in networks for weights in network.parameters())
    card = json.loads((folder / "card.json").read_text())
    assert card == {"kind": "separator", "parameters": counted, "task": "separating"}


def test_a_separator_needs_no_classifier(tmp_path: Path) -> None:
    PartLabeller(width=8, hidden=8, blocks=1, heads=2).save_pretrained(tmp_path / "run")
    bundle_separator(tmp_path / "run", tmp_path / "model", {})
    assert SeparationPipeline.from_pretrained(tmp_path / "model").classifier is None
    assert not (tmp_path / "model" / "classifier").exists()


def test_temperatures_are_fitted_with_the_steps_that_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, int]] = []

    def calibrate(network: PartLabeller, cache: Path, *, steps: int) -> float:
        assert not network.training
        asked.append((cache, steps))
        return 0.5 + steps / 10

    monkeypatch.setattr(bundle, "calibrate", calibrate)
    for name in ("run", "other"):
        PartLabeller(width=8, hidden=8, blocks=1, heads=2).save_pretrained(tmp_path / name)
    validation = tmp_path / "notes"
    bundle_separator(
        tmp_path / "run",
        tmp_path / "model",
        {},
        classifier=tmp_path / "other",
        validation=validation,
        default_steps=4,
    )
    assert asked == [(validation, 4), (validation, 1)]
    config = SeparationPipeline.from_pretrained(tmp_path / "model").config
    assert (config["calibration"], config["classifier_calibration"]) == (0.9, 0.6)
