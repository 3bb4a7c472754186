"""A composer in the package: matrices of half size, the settings, the card."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from ondes.models.note_transformer import NoteTransformer
from ondes.pipelines.composer import ComposerPipeline
from ondes.training.bundle import bundle_composer


def test_a_bundled_composer_has_half_matrices_and_its_settings(tmp_path: Path) -> None:
    network = NoteTransformer(width=8, depth=1, heads=2, hidden=8)
    network.save_pretrained(tmp_path / "run")
    folder = tmp_path / "compose-small"
    bundle_composer(
        tmp_path / "run", folder, {"task": "composing"}, scheduler={"order": "confidence"}, default_steps=5
    )
    stored = load_file(folder / "network" / "diffusion_pytorch_model.safetensors")
    kinds = {tensor.dtype for tensor in stored.values() if tensor.ndim >= 2}
    assert kinds == {torch.float16}
    assert {tensor.dtype for tensor in stored.values() if tensor.ndim < 2} == {torch.float32}
    loaded = ComposerPipeline.from_pretrained(folder)
    assert {weights.dtype for weights in loaded.network.parameters()} == {torch.float32}
    assert (loaded.config["default_steps"], loaded.scheduler.config["order"]) == (5, "confidence")
    for name, weights in network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], weights, rtol=1e-3, atol=1e-4)
    card = json.loads((folder / "card.json").read_text())
    counted = sum(weights.numel() for weights in network.parameters())
    assert card == {"kind": "composer", "parameters": counted, "task": "composing"}
    assert "_name_or_path" not in json.loads((folder / "network" / "config.json").read_text())
