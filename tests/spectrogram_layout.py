"""Small Spectrogram Diffusion weights by the recipe whose results on the published code are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES, SpectrogramParts

SIZES = {"d_model": 32, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 64, "dropout_rate": 0.1}
CONFIGS: dict[str, dict[str, Any]] = {
    NOTES: {
        **SIZES,
        "max_length": 64,
        "vocab_size": 1536,
        "feed_forward_proj": "gated-gelu",
        "is_decoder": False,
    },
    CONTEXT: {
        **SIZES,
        "input_dims": 128,
        "targets_context_length": 16,
        "feed_forward_proj": "gated-gelu",
        "is_decoder": False,
    },
    DECODER: {**SIZES, "input_dims": 128, "targets_length": 16, "max_decoder_noise_time": 20000.0},
}

ENCODER_LAYER = {
    "layer.0.SelfAttention.q": (16, 32),
    "layer.0.SelfAttention.k": (16, 32),
    "layer.0.SelfAttention.v": (16, 32),
    "layer.0.SelfAttention.o": (32, 16),
    "layer.0.layer_norm": (32,),
    "layer.1.DenseReluDense.wi_0": (64, 32),
    "layer.1.DenseReluDense.wi_1": (64, 32),
    "layer.1.DenseReluDense.wo": (32, 64),
    "layer.1.layer_norm": (32,),
}
DECODER_LAYER = {
    "layer.0.layer_norm": (32,),
    "layer.0.FiLMLayer.scale_bias": (64, 128),
    **{f"layer.{block}.attention.to_{name}": (16, 32) for block in (0, 1) for name in "qkv"},
    **{f"layer.{block}.attention.to_out.0": (32, 16) for block in (0, 1)},
    "layer.1.layer_norm": (32,),
    "layer.2.layer_norm": (32,),
    "layer.2.film.scale_bias": (64, 128),
    "layer.2.DenseReluDense.wi_0": (64, 32),
    "layer.2.DenseReluDense.wi_1": (64, 32),
    "layer.2.DenseReluDense.wo": (32, 64),
}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    NOTES: {
        "token_embedder": (1536, 32),
        "position_encoding": (64, 32),
        **{f"encoders.{i}.{name}": shape for i in (0, 1) for name, shape in ENCODER_LAYER.items()},
        "layer_norm": (32,),
    },
    CONTEXT: {
        "input_proj": (32, 128),
        "position_encoding": (16, 32),
        **{f"encoders.{i}.{name}": shape for i in (0, 1) for name, shape in ENCODER_LAYER.items()},
        "layer_norm": (32,),
    },
    DECODER: {
        "conditioning_emb.0": (128, 32),
        "conditioning_emb.2": (128, 128),
        "position_encoding": (16, 32),
        "continuous_inputs_projection": (32, 128),
        **{f"decoders.{i}.{name}": shape for i in (0, 1) for name, shape in DECODER_LAYER.items()},
        "decoder_norm": (32,),
        "spec_out": (128, 32),
    },
}


def layout_state(part: str) -> dict[str, np.ndarray]:
    """Deterministic weights of a network under their published names, linear ones (out, in)."""
    shapes = {f"{name}.weight": shape for name, shape in SHAPES[part].items()}
    state = {}
    for index, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        values = np.sin(0.7 * np.arange(np.prod(shape)) + 0.1 * (index + 1)).reshape(shape)
        if name.endswith("norm.weight"):
            values = 1 + 0.1 * values
        elif len(shape) == 2 and "embedder" not in name and "position" not in name:
            values = values * 1.5 / np.sqrt(shape[1])
        state[name] = values.astype(np.float32)
    return state


def write_layout(
    folder: Path,
    save: Callable[[dict[str, Tensor], Path], None],
    name: str,
    *,
    parts: tuple[str, ...] = (NOTES, CONTEXT, DECODER),
) -> Path:
    """A folder of networks, each with `config.json` and weights that `save` writes under a name."""
    for part in parts:
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps(CONFIGS[part]))
        save(
            {key: torch.from_numpy(value) for key, value in layout_state(part).items()}, folder / part / name
        )
    return folder


def assert_golden(parts: SpectrogramParts, *, context_used: bool = True) -> None:
    """Compare outputs with those of the published PyTorch code (transformers 4.40.2, diffusers 0.25.1).

    Notes, context and decoder each have to agree with four digits after the point or more.
    """
    tokens = torch.zeros(1, 64, dtype=torch.int64)
    tokens[0, :15] = torch.tensor(
        [1134, 90, 1135, 1133, 1080, 112, 1132, 1080, 1133, 1079, 133, 1132, 1079, 1133, 1]
    )
    flat = torch.arange(16 * 128, dtype=torch.float64)
    context = torch.sin(0.013 * flat).float().view(1, 16, 128)
    noisy = torch.cos(0.029 * flat).float().view(1, 16, 128)
    with torch.no_grad():
        notes = parts.notes_encoder(tokens, tokens > 0)
        close(notes[0, 0, :4], [2.113162, 1.169781, -0.293771, -1.248330])
        close(notes[0, 14, :4], [1.678257, 1.521920, 0.627930, -0.027281])
        if context_used:
            assert parts.continuous_encoder is not None
            heard = parts.continuous_encoder(context, torch.ones(1, 16, dtype=torch.bool))
            close(heard[0, 0, :4], [0.443627, -0.878469, -1.472864, -1.178135])
            mask = torch.cat([tokens > 0, torch.ones(1, 16, dtype=torch.bool)], 1)
            memory = parts.decoder.memory(torch.cat([notes, heard], 1), mask)
            made = parts.decoder(noisy, torch.tensor([0.5]), memory)
            close(made[0, 0, :4], [-0.148628, 0.727256, -1.186000, 1.449239])
            close(made[0, 15, 124:], [-1.648758, 0.553320, 0.633330, -1.715580])
        made = parts.decoder(noisy, torch.tensor([0.99]), parts.decoder.memory(notes, tokens > 0))
        close(made[0, 0, :4], [-0.772313, 1.379889, -1.759999, 1.849984])
        close(made.abs().mean()[None], [1.817626])


def close(values: Tensor, wanted: list[float]) -> None:
    """The published figures have six digits."""
    torch.testing.assert_close(values, torch.tensor(wanted), atol=1e-5, rtol=0)
