"""Checkpoints as the published code of Mixture2Music writes them, with few weights and its own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PARTS, QUARTER, TOKEN, TIME = 5, 8, 64, 4


def _layer(name: str, *shape: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {})


def _block(name: str, inputs: int, outputs: int, *, time: bool) -> dict[str, tuple[int, ...]]:
    found = _layer(f"{name}.time_emb.1", 2 * outputs, 4 * TIME) if time else {}
    for number, size in ((1, inputs), (2, outputs)):
        found |= _layer(f"{name}.block{number}.conv", outputs, size, 3, 3)
        found |= _layer(f"{name}.block{number}.norm", outputs)
    return found | _layer(f"{name}.res_conv", outputs, inputs, 1, 1)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of the network by their names."""
    quarter, half, width = QUARTER, 2 * QUARTER, 4 * QUARTER
    found = _layer("time_expand.1", 4 * TIME, TIME) | _layer("time_expand.3", 4 * TIME, 4 * TIME)
    found |= _layer("in_layer", quarter, PARTS, 7, 7) | _layer("out_layer", PARTS, quarter, 1, 1)
    for number, sizes in enumerate(((quarter, half), (half, width), (width, width)), 1):
        found |= _block(f"down{number}.block", *sizes, time=True)
    for number, sizes in enumerate(((2 * width, half), (width, quarter), (half, quarter)), 1):
        found |= _block(f"up{number}.block", *sizes, time=True)
    found |= _layer("transformer.in_linear", TOKEN, width, bias=False)
    found |= _layer("transformer.out_linear", width, TOKEN)
    for layer in range(2):
        name = f"transformer.enc_layers.{layer}"
        for attention in ("rga", "rga2"):
            for matrix in ("Wq", "Wk", "Wv", "fc"):
                found |= _layer(f"{name}.{attention}.{matrix}", TOKEN, TOKEN)
        found |= _layer(f"{name}.FFN_pre", TOKEN // 2, TOKEN) | _layer(f"{name}.FFN_suf", TOKEN, TOKEN // 2)
        for number in (1, 2, 3):
            found |= _layer(f"{name}.layernorm{number}", TOKEN)
    return found


def network_state(seed: int = 0) -> dict[str, Tensor]:
    """Tensors of a TransUNet, with the prefix of its Lightning module."""
    return _drawn({f"model.{name}": shape for name, shape in _shapes().items()}, seed)


def decoder_state(seed: int = 1, *, parts: int = PARTS) -> dict[str, Tensor]:
    """The same of the independent decoder."""
    shapes = _layer("in_layer", QUARTER, parts, 7, 7) | _layer("out_layer", parts, QUARTER, 3, 3)
    for number in (1, 2):
        shapes |= _block(f"layer_{number}", QUARTER, QUARTER, time=False)
    return _drawn({f"decoder.{name}": shape for name, shape in shapes.items()}, seed)


def _drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_checkpoint(path: Path, state: dict[str, Tensor], **more: Any) -> Path:
    """A checkpoint of Lightning 1.5."""
    content = {
        "epoch": 9,
        "global_step": 7000,
        "pytorch-lightning_version": "1.5.9",
        "state_dict": state,
        "callbacks": {},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999)}]}],
        "lr_schedulers": [{"factor": 0.95, "best": 0.0004}],
        **more,
    }
    torch.save(content, path)
    return path
