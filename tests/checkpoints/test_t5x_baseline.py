"""The official autoregressive baseline, read from the layout of T5X and computed as its authors describe it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ondes.checkpoints.t5x import BaselineParts, read_t5x
from ondes.errors import UserError
from ondes.models.spectrogram_autoregressive import SpectrogramAutoregressive
from ondes.pipelines.spectrogram_exchange import import_model
from t5x_layout import store_inside, write_baseline

WIDTH, HEADS, BANDS, LAYERS, LENGTH = 16, 2, 8, 2, 2048
LOW, HIGH = math.log(1e-5), 4.0


def small() -> SpectrogramAutoregressive:
    torch.manual_seed(0)
    return SpectrogramAutoregressive(
        vocab_size=40,
        input_dims=BANDS,
        d_model=WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        d_kv=4,
        d_ff=24,
        official=True,
    ).eval()


def arrays(network: SpectrogramAutoregressive) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def read(folder: Path) -> BaselineParts:
    parts = read_t5x(folder)
    assert isinstance(parts, BaselineParts)
    return parts


def table(rows: int) -> Tensor:
    rates = torch.exp(torch.arange(WIDTH // 2) * (-math.log(10_000) / (WIDTH // 2 - 1)))
    radians = torch.arange(rows)[:, None] * rates
    return torch.cat([radians.sin(), radians.cos()], 1)


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight


def attention(
    state: dict[str, Tensor], name: str, letters: str, x: Tensor, y: Tensor, bias: Tensor
) -> Tensor:
    """Softmax of undivided products, with what is masked at -1e10."""
    q, k, v, out = (state[f"{name}.{letter}.weight"] for letter in letters.split())
    query, key, value = (
        functional.linear(given, weight).unflatten(-1, (HEADS, -1)).transpose(-3, -2)
        for given, weight in ((x, q), (y, k), (y, v))
    )
    mixed = (query @ key.transpose(-1, -2) + bias).softmax(-1) @ value
    return functional.linear(mixed.transpose(-3, -2).flatten(-2), out)


def mlp(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    wi_0, wi_1, wo = (state[f"{name}.{part}.weight"] for part in ("wi_0", "wi_1", "wo"))
    gate = functional.gelu(functional.linear(x, wi_0), approximate="tanh")
    return functional.linear(gate * functional.linear(x, wi_1), wo)


def official_answer(state: dict[str, Tensor], tokens: list[int], before: Tensor) -> Tensor:
    """What the official network says to unscaled frames (frames, bands), written down from its description."""
    ids = functional.pad(torch.tensor(tokens), (0, LENGTH - len(tokens)))
    x = state["notes_encoder.token_embedder.weight"][ids] + table(LENGTH)
    for layer in range(LAYERS):
        at = f"notes_encoder.encoders.{layer}.layer"
        y = norm(x, state[f"{at}.0.layer_norm.weight"])
        x = x + attention(state, f"{at}.0.SelfAttention", "q k v o", y, y, torch.zeros(()))
        x = x + mlp(state, f"{at}.1.DenseReluDense", norm(x, state[f"{at}.1.layer_norm.weight"]))
    notes = norm(x, state["notes_encoder.layer_norm.weight"])
    frames = len(before)
    causal = torch.where(torch.ones(frames, frames).tril().bool(), 0.0, -1e10)
    heard = torch.where(ids > 0, 0.0, -1e10)
    x = functional.linear(before, state["enter.weight"]) + table(frames)
    letters = "to_q to_k to_v to_out.0"
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        y = norm(x, state[f"{at}.self_norm.weight"])
        x = x + attention(state, f"{at}.self_attention", letters, y, y, causal)
        y = norm(x, state[f"{at}.cross_norm.weight"])
        x = x + attention(state, f"{at}.cross_attention", letters, y, notes, heard)
        x = x + mlp(state, f"{at}.mlp", norm(x, state[f"{at}.mlp_norm.weight"]))
    return functional.linear(norm(x, state["norm.weight"]), state["leave.weight"])


@pytest.mark.parametrize("store", [None, store_inside])
def test_every_tensor_comes_to_its_place(tmp_path, store):
    network = small()
    choices = {} if store is None else {"store": store}
    parts = read(write_baseline(tmp_path / "a", arrays(network), **choices))
    wanted = network.state_dict()
    found = parts.network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    assert parts.network.config["official"]
    assert set(parts.hashes) == {"checkpoint", "target.*"}


@pytest.mark.slow
def test_the_answers_are_those_of_the_description(tmp_path):
    parts = read(write_baseline(tmp_path / "a", arrays(small()), store=store_inside))
    state, tokens = parts.network.state_dict(), [7, 3, 39, 1]
    scaled = torch.sin(0.1 * torch.arange(6 * BANDS)).view(1, 6, BANDS)
    unscaled = (scaled[0] + 1) * (HIGH - LOW) / 2 + LOW
    before = functional.pad(unscaled, (0, 0, 1, -1))
    wanted = (official_answer(state, tokens, before) - LOW) * 2 / (HIGH - LOW) - 1
    given = torch.tensor([tokens])
    with torch.no_grad():
        torch.testing.assert_close(parts.network(given, given > 0, scaled)[0], wanted, atol=2e-5, rtol=0)
        wider = functional.pad(given, (0, 9))
        torch.testing.assert_close(parts.network(wider, wider > 0, scaled)[0], wanted, atol=2e-5, rtol=0)
    frames = torch.zeros(1, BANDS)
    for _ in range(5):  # each frame from all before it, none of them clipped
        frames = torch.cat([frames, official_answer(state, tokens, frames)[-1:]])
    made = ((frames[1:] - LOW) * 2 / (HIGH - LOW) - 1).clamp(-1, 1)
    torch.testing.assert_close(parts.network.generate(given, 5)[0], made, atol=2e-5, rtol=0)


def test_an_import_is_saved_as_training_saves_it(tmp_path):
    network = small()
    source = write_baseline(tmp_path / "a", arrays(network), store=store_inside)
    assert import_model(str(source), tmp_path / "b") == "t5x"
    saved = SpectrogramAutoregressive.from_pretrained(tmp_path / "b", low_cpu_mem_usage=False)
    tokens = torch.tensor([[5, 6, 1]])
    assert torch.equal(saved.eval().generate(tokens, 3), network.generate(tokens, 3))
    assert json.loads((tmp_path / "b" / "source.json").read_text())["layout"] == "t5x"


def test_a_head_of_gaussians_is_refused(tmp_path):
    state = arrays(small())
    state["leave.weight"] = np.zeros((10 + 20 * BANDS, WIDTH), np.float32)
    source = write_baseline(tmp_path / "a", state, store=store_inside)
    with pytest.raises(UserError, match=r"8 bands and gives 170 numbers for each; .* not a mixture"):
        read_t5x(source)


def test_a_missing_tensor_is_named(tmp_path):
    state = arrays(small())
    del state["layers.1.cross_norm.weight"]
    source = write_baseline(tmp_path / "a", state, store=store_inside)
    with pytest.raises(UserError, match=r"lacks the tensor layers\.1\.cross_norm\.weight"):
        read_t5x(source)
