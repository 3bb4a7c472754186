from __future__ import annotations

import json
from pathlib import Path

import pytest
from sine_pipeline import Ondes

from ondes.pipelines import bundled

CARD = {
    "kind": "synthesiser",
    "task": "notes to mel spectrograms",
    "parameters": 7_500_000,
    "trained_on": ["OpenScore Lieder", "Mutopia"],
    "scores": {"note F1 share": 0.8123456, "real-time factor": 0.3},
    "licence": "Apache-2.0",
    "source_commit": "0123456789abcdef0123456789abcdef01234567",
}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bundled models with one model of two megabytes."""
    model = tmp_path / "synth-tiny"
    (model / "denoiser").mkdir(parents=True)
    (model / "card.json").write_text(json.dumps(CARD))
    (model / "denoiser" / "model.safetensors").write_bytes(bytes(2_000_000))
    monkeypatch.setattr(bundled, "WEIGHTS", tmp_path)
    return tmp_path


def test_the_table_tells_what_the_card_says(ondes: Ondes, shelf: Path) -> None:
    run = ondes("models")
    assert run.status == 0
    for entry in ("synth-tiny", "7.5 M", "2.0 MB", "OpenScore Lieder", "0.812", "Apache-2.0", "0123456789"):
        assert entry in run.out
    assert "0123456789a" not in run.out


def test_programs_get_the_whole_card(ondes: Ondes, shelf: Path) -> None:
    (row,) = json.loads(ondes("models", "--json").out)
    assert row == CARD | {"name": "synth-tiny", "size_mb": 2.0}


@pytest.mark.parametrize("kind", ["vocoder", "audio"])
def test_what_a_card_leaves_out_is_a_dash(kind: str, ondes: Ondes, shelf: Path) -> None:
    (shelf / "synth-tiny" / "card.json").write_text(json.dumps({"kind": kind}))
    run = ondes("models")
    assert run.status == 0
    assert kind in run.out
    assert "None" not in run.out


def test_no_models_is_said(ondes: Ondes, shelf: Path) -> None:
    (shelf / "synth-tiny" / "card.json").unlink()
    assert "no bundled models" in ondes("models").err
    assert json.loads(ondes("models", "--json").out) == []
