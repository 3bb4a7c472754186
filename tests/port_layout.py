"""A small network of the PyTorch port, and the checkpoint that Lightning would save of it."""

from __future__ import annotations

from typing import Any

import torch

from ondes.models.port_spectrogram_diffusion import PortDiffusion

SIZES: dict[str, Any] = {
    # Not a multiple of the heads, as in the port's base model.
    "emb_dim": 38,
    "dim_feedforward": 20,
    "nhead": 1,
    "head_dim": 64,
    "num_layers": 2,
    "num_emb": 901,
    "with_context": True,
    "max_input_length": 30,
    "max_output_length": 17,
    "output_dim": 128,
}


def port_network(*, with_context: bool = True) -> PortDiffusion:
    """The network, its weights always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PortDiffusion(**SIZES | {"with_context": with_context}).eval()


def lightning_content(*, with_context: bool = True) -> dict[str, Any]:
    """What the checkpoint holds: all weights with their prefix, the mel front end, and much else."""
    state = {
        f"model.{name}": value for name, value in port_network(with_context=with_context).state_dict().items()
    }
    front_end = {
        "mel.0.spectrogram.window": torch.hann_window(640),
        "mel.0.mel_scale.fb": torch.zeros(513, 128),
        "mel.1.min": torch.tensor(-11.25),
        "mel.1.max": torch.tensor(4.5),
    }
    return {
        "epoch": 3,
        "global_step": 500_000,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": state | front_end,
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": None, "dirpath": "/x"}},
        "optimizer_states": [
            {"state": {0: {"step": 7}}, "param_groups": [{"lr": 1e-3, "eps": (1e-30, 1e-3)}]}
        ],
        "lr_schedulers": [],
    }
