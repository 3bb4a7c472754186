"""Writes tiny checkpoints as T5X does: a msgpack tree with small arrays inside, large ones in zarr folders."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import tensorstore

from ondes.checkpoints.spectrogram_parts import CONTEXT, DECODER, NOTES
from spectrogram_layout import layout_state

BRANCHES = {NOTES: "token_encoder", CONTEXT: "continuous_encoder", DECODER: "decoder"}

RULES = [
    (r"token_embedder\.weight", "token_embedder/embedding"),
    (r"position_encoding\.weight", "Embed_0/embedding"),
    (r"conditioning_emb\.0\.weight", "time_emb_dense0/kernel"),
    (r"conditioning_emb\.2\.weight", "time_emb_dense1/kernel"),
    (r"(input_proj|continuous_inputs_projection)\.weight", r"\1/kernel"),
    (r"spec_out\.weight", "spec_out_dense/kernel"),
    (r"layer_norm\.weight", "encoder_norm/scale"),
    (r"decoder_norm\.weight", "decoder_norm/scale"),
    (r"encoders\.(\d)\.layer\.0\.layer_norm\.weight", r"layers_\1/pre_attention_layer_norm/scale"),
    (r"encoders\.(\d)\.layer\.0\.SelfAttention\.(\w)\.weight", r"layers_\1/attention/<\2>/kernel"),
    (r"encoders\.(\d)\.layer\.1\.layer_norm\.weight", r"layers_\1/pre_mlp_layer_norm/scale"),
    (r"encoders\.(\d)\.layer\.1\.DenseReluDense\.(\w+)\.weight", r"layers_\1/mlp/\2/kernel"),
    (r"decoders\.(\d)\.layer\.0\.layer_norm\.weight", r"layers_\1/pre_self_attention_layer_norm/scale"),
    (
        r"decoders\.(\d)\.layer\.0\.FiLMLayer\.scale_bias\.weight",
        r"layers_\1/FiLMLayer_0/DenseGeneral_0/kernel",
    ),
    (
        r"decoders\.(\d)\.layer\.0\.attention\.to_(\w+)(?:\.0)?\.weight",
        r"layers_\1/self_attention/<\2>/kernel",
    ),
    (r"decoders\.(\d)\.layer\.1\.layer_norm\.weight", r"layers_\1/pre_cross_attention_layer_norm/scale"),
    (
        r"decoders\.(\d)\.layer\.1\.attention\.to_(\w+)(?:\.0)?\.weight",
        r"layers_\1/MultiHeadDotProductAttention_0/<\2>/kernel",
    ),
    (r"decoders\.(\d)\.layer\.2\.layer_norm\.weight", r"layers_\1/pre_mlp_layer_norm/scale"),
    (r"decoders\.(\d)\.layer\.2\.film\.scale_bias\.weight", r"layers_\1/FiLMLayer_1/DenseGeneral_0/kernel"),
    (r"decoders\.(\d)\.layer\.2\.DenseReluDense\.(\w+)\.weight", r"layers_\1/mlp/\2/kernel"),
]
WORDS = {"<q>": "query", "<k>": "key", "<v>": "value", "<o>": "out", "<out>": "out"}

Store = Callable[[str, np.ndarray, Path], Any]


def t5x_name(name: str) -> str:
    """What T5X calls a tensor of the Hugging Face layout."""
    (found,) = [re.sub(f"^{ours}$", theirs, name) for ours, theirs in RULES if re.fullmatch(ours, name)]
    return re.sub(r"<\w+>", lambda word: WORDS[word[0]], found)


def store_zarr(name: str, array: np.ndarray, folder: Path) -> Any:
    """Write a matrix to a folder of its own and return its description; a vector stays in the index."""
    if array.ndim == 1:
        return array
    metadata = {
        "compressor": {"id": "gzip"},
        "shape": array.shape,
        "chunks": [max(1, size // 2) for size in array.shape],
    }
    spec = {"driver": "zarr", "dtype": array.dtype.name, "metadata": metadata}
    kvstore = {"driver": "file", "path": f"{folder / name}/"}
    tensorstore.open({**spec, "kvstore": kvstore}, create=True).result().write(array).result()
    return {
        **spec,
        "metadata": {**metadata, "shape": list(array.shape)},
        "kvstore": {"driver": "gcs", "bucket": "b", "path": name},
    }


def store_inside(name: str, array: np.ndarray, folder: Path) -> Any:
    """Keep every array in the index."""
    return array


def packed(value: Any) -> Any:
    """What msgpack takes in place of an array."""
    if isinstance(value, np.ndarray):
        data = msgpack.packb((value.shape, value.dtype.name, value.tobytes()), use_bin_type=True)
        return msgpack.ExtType(1, data)
    if isinstance(value, np.generic):
        data = msgpack.packb((value.shape, value.dtype.name, value.tobytes()), use_bin_type=True)
        return msgpack.ExtType(3, data)
    return value


def write_index(folder: Path, target: dict[str, Any]) -> None:
    """Write the tree with a step counter and some state of the optimiser, which nobody should read."""
    state = {"step": np.int32(500_000), "param_states": {"decoder": {"v_row": np.ones(3, np.float32)}}}
    content = {"version": 3, "optimizer": {"target": target, "state": state}}
    data = msgpack.packb(content, default=packed, use_bin_type=True, strict_types=True)
    assert data is not None
    (folder / "checkpoint").write_bytes(data)


def write_t5x(folder: Path, *, context: bool = True, store: Store = store_zarr) -> Path:
    """A checkpoint folder with the deterministic weights and a `config.gin` above it."""
    place = folder / "checkpoint_500000"
    place.mkdir(parents=True)
    target: dict[str, Any] = {}
    branches = BRANCHES if context else {NOTES: "encoder", DECODER: "decoder"}
    for part, branch in branches.items():
        for name, value in layout_state(part).items():
            words = t5x_name(name).split("/")
            array = np.ascontiguousarray(value.T) if words[-1] == "kernel" else value
            inner = target.setdefault(branch, {})
            for word in words[:-1]:
                inner = inner.setdefault(word, {})
            inner[words[-1]] = store(".".join(["target", branch, *words]), array, place)
    write_index(place, target)
    (folder / "config.gin").write_text("network.T5Config:\n  emb_dim = 32\n  head_dim = 8\n  num_heads = 2\n")
    return folder


BASELINE_RULES = [
    (r"notes_encoder\.(.*)", r"encoder/\1"),
    (r"enter\.weight", "decoder/continuous_inputs_projection/kernel"),
    (r"leave\.weight", "decoder/spec_out_dense/kernel"),
    (r"norm\.weight", "decoder/decoder_norm/scale"),
    (r"layers\.(\d)\.self_norm\.weight", r"decoder/layers_\1/pre_self_attention_layer_norm/scale"),
    (r"layers\.(\d)\.cross_norm\.weight", r"decoder/layers_\1/pre_cross_attention_layer_norm/scale"),
    (r"layers\.(\d)\.mlp_norm\.weight", r"decoder/layers_\1/pre_mlp_layer_norm/scale"),
    (
        r"layers\.(\d)\.self_attention\.to_(\w+)(?:\.0)?\.weight",
        r"decoder/layers_\1/self_attention/<\2>/kernel",
    ),
    (
        r"layers\.(\d)\.cross_attention\.to_(\w+)(?:\.0)?\.weight",
        r"decoder/layers_\1/encoder_decoder_attention/<\2>/kernel",
    ),
    (r"layers\.(\d)\.mlp\.(\w+)\.weight", r"decoder/layers_\1/mlp/\2/kernel"),
]


def baseline_name(name: str) -> str:
    """What T5X calls a tensor of the autoregressive baseline."""
    (found,) = [
        re.sub(f"^{ours}$", theirs, name) for ours, theirs in BASELINE_RULES if re.fullmatch(ours, name)
    ]
    branch, _, rest = found.partition("/")
    rest = t5x_name(rest) if branch == "encoder" else rest
    return f"{branch}/" + re.sub(r"<\w+>", lambda word: WORDS[word[0]], rest)


def write_baseline(folder: Path, state: dict[str, np.ndarray], *, store: Store = store_zarr) -> Path:
    """A checkpoint folder of the autoregressive baseline; its sinusoids are not stored."""
    place = folder / "checkpoint_500000"
    place.mkdir(parents=True)
    target: dict[str, Any] = {}
    for name, value in state.items():
        if name == "notes_encoder.position_encoding.weight":
            continue
        words = baseline_name(name).split("/")
        inner = target
        for word in words[:-1]:
            inner = inner.setdefault(word, {})
        array = np.ascontiguousarray(value.T) if words[-1] == "kernel" else value
        inner[words[-1]] = store(".".join(["target", *words]), array, place)
    write_index(place, target)
    (folder / "config.gin").write_text("network.T5Config:\n  head_dim = 4\n  num_heads = 2\n")
    return folder
