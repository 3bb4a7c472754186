"""An audio model in the package, by the words of the command line: half matrices, settings, card, no vocoder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from ondes.models.mel_unet import MelUNet
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio import AudioPipeline
from ondes.training.bundle import main


def test_an_audio_model_is_bundled_with_its_settings_and_without_a_vocoder(tmp_path: Path) -> None:
    network = MelUNet(styles=("piano",), widths=(8, 8), hidden=(8, 8), blocks=(1, 1), strides=(2,), heads=2)
    network.mean.normal_()
    network.save_pretrained(tmp_path / "run")
    (tmp_path / "card.json").write_text(json.dumps({"task": "new music"}))
    settings = json.dumps({"default_steps": 7, "gain_db": 1.5, "sampler": "heun"})
    words = ["audio", str(tmp_path / "run"), "--card", str(tmp_path / "card.json"), "--settings", settings]
    main([*words, "--weights", str(tmp_path)])
    folder = tmp_path / "audio-small"
    assert not (folder / "vocoder").exists()
    stored = load_file(folder / "network" / "diffusion_pytorch_model.safetensors")
    parameters = dict(network.named_parameters())
    assert {stored[name].dtype for name, weights in parameters.items() if weights.ndim >= 2} == {
        torch.float16
    }
    assert torch.equal(stored["mean"], network.mean)
    loaded = AudioPipeline.from_pretrained(folder, vocoder=Vocoder(width=8, hidden=8, blocks=1))
    assert (loaded.default_steps, loaded.config["gain_db"]) == (7, 1.5)
    assert type(loaded.scheduler).__name__ == "FlowMatchHeunDiscreteScheduler"
    for name, weights in loaded.network.named_parameters():
        torch.testing.assert_close(weights, parameters[name], rtol=1e-3, atol=1e-4)
    card = json.loads((folder / "card.json").read_text())
    counted = sum(weights.numel() for weights in parameters.values())
    assert card == {"kind": "audio", "parameters": counted, "task": "new music"}
