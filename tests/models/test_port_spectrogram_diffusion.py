from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from ondes.models.port_spectrogram_diffusion import PortDecoderLayer, PortDiffusion, infer_config

SIZES = {"emb_dim": 10, "dim_feedforward": 12, "nhead": 2, "head_dim": 4, "num_layers": 2, "num_emb": 30}
LENGTHS = {"max_input_length": 20, "max_output_length": 8, "output_dim": 5}


def network(**settings: object) -> PortDiffusion:
    torch.manual_seed(1)
    made = PortDiffusion(**{**SIZES, **LENGTHS, "with_context": True, **settings})  # pyright: ignore[reportArgumentType]
    for name, weight in made.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.3)
    return made.eval()


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def port() -> PortDiffusion:
    with torch.no_grad():
        return network()


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TOKENS = torch.randint(0, 30, (3, 9), generator=torch.Generator().manual_seed(2))
VALID = torch.arange(9)[None] < torch.tensor([[9], [4], [0]])
CONTEXT, NOISY, TIME = normal(3, 8, 5, seed=3), normal(3, 8, 5, seed=4), torch.tensor([0.2, 0.6, 0.9])
FRAMES = torch.tensor([[True], [True], [False]]).expand(3, 8)


@pytest.mark.parametrize(
    ("settings", "parameters", "buffers"),
    [
        ({}, 83_534_976, 1_667_584),
        ({"with_context": True}, 102_447_232, 1_667_584),
        (
            {"emb_dim": 758, "dim_feedforward": 2048, "nhead": 12, "num_layers": 12, "with_context": True},
            402_463_664,
            2_468_806,
        ),
    ],
)
def test_sizes_are_those_of_the_port_and_its_tensors_tell_them(settings, parameters, buffers):
    with torch.device("meta"):
        made = PortDiffusion(**settings)
    assert sum(weight.numel() for weight in made.parameters()) == parameters
    assert sum(buffer.numel() for buffer in made.buffers()) == buffers
    found = infer_config(made.state_dict())
    assert found == {name: made.config[name] for name in found}
    assert {"emb_dim", "nhead", "num_layers", "with_context", "num_emb"} <= set(found)


def test_checkpoints_without_a_telling_tensor_are_refused():
    with pytest.raises(ValueError, match=r"no tensor 'emb.weight', which tells a size"):
        infer_config({"weight": torch.zeros(1)})


def test_tensors_have_the_names_of_the_port(port: PortDiffusion):
    state = port.state_dict()
    layer = "transformer.decoder.layers.1"
    assert state[f"{layer}.linear1.weight"].shape == (24, 10)
    assert state[f"{layer}.multihead_attn.emb_proj.weight"].shape == (10, 8)
    assert state[f"{layer}.film2.linear.bias"].shape == (20,)
    assert state["transformer.context_encoder.layers.0.self_attn.q_proj.weight"].shape == (8, 10)
    assert state["diffusion_emb.projection2.weight"].shape == (40, 40)
    assert {"in_pos_emb", "out_pos_emb", "linear_in.bias", "transformer.encoder.norm.weight"} <= set(state)
    assert not any(name.endswith("proj.bias") for name in state)


def attention(state: dict[str, torch.Tensor], name: str, tokens: torch.Tensor, heard: torch.Tensor):
    """The attention written out, divided by the root of four channels."""
    query = (tokens @ state[f"{name}.q_proj.weight"].T).reshape(-1, 2, 4).transpose(0, 1)
    key = (heard @ state[f"{name}.k_proj.weight"].T).reshape(-1, 2, 4).transpose(0, 1)
    value = (heard @ state[f"{name}.v_proj.weight"].T).reshape(-1, 2, 4).transpose(0, 1)
    mixed = (query @ key.transpose(1, 2) / 2).softmax(-1) @ value
    return mixed.transpose(0, 1).reshape(-1, 8) @ state[f"{name}.emb_proj.weight"].T


def test_a_decoder_layer_is_that_of_the_port(port: PortDiffusion):
    layer = port.transformer.decoder.layers[1]
    assert isinstance(layer, PortDecoderLayer)
    state = layer.state_dict()
    tokens, heard, time = normal(6, 10, seed=5), normal(7, 10, seed=6), normal(1, 40, seed=7)

    def norm(x: torch.Tensor, place: int) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * state[f"norm{place}.weight"] + state[f"norm{place}.bias"]

    def film(x: torch.Tensor, place: int) -> torch.Tensor:
        made = time @ state[f"film{place}.linear.weight"].T + state[f"film{place}.linear.bias"]
        return x * (1 + made[:, :10]) + made[:, 10:]

    wanted = film(norm(tokens, 1), 1)
    wanted = tokens + attention(state, "self_attn", wanted, wanted)
    wanted = wanted + attention(state, "multihead_attn", norm(wanted, 2), heard)
    opened = film(norm(wanted, 3), 2) @ state["linear1.weight"].T + state["linear1.bias"]
    gate = opened[:, 12:] * 0.5 * (1 + torch.erf(opened[:, 12:] / math.sqrt(2)))
    wanted = wanted + (opened[:, :12] * gate) @ state["linear2.weight"].T + state["linear2.bias"]

    memory = port.encode(TOKENS[:1], VALID[:1])
    pair = layer.multihead_attn.remember(heard[None])
    found = layer.denoise(tokens[None], time[None], pair, memory._replace(mask=None))
    torch.testing.assert_close(found[0], wanted, rtol=1e-4, atol=1e-5)


def test_times_are_read_as_cosine_and_sine_of_each_rate_in_turn(port: PortDiffusion):
    time = torch.tensor([0.003])
    rates = torch.tensor([20_000 * 20_000 ** (-i / 4) for i in range(5)])
    features = torch.stack([(time * rates).cos(), (time * rates).sin()], -1).reshape(1, 10)
    first, second = port.diffusion_emb.projection1, port.diffusion_emb.projection2
    wanted = functional.silu(functional.linear(features, first.weight, first.bias))
    wanted = functional.silu(functional.linear(wanted, second.weight, second.bias))
    torch.testing.assert_close(port.diffusion_emb(time)[:, 0], wanted, rtol=1e-4, atol=1e-4)


def test_a_batch_is_its_examples_without_their_padding(port: PortDiffusion):
    found = port(NOISY, TIME, port.encode(TOKENS, VALID, CONTEXT, FRAMES))
    for row, length in ((0, 9), (1, 4)):
        one = slice(row, row + 1)
        tokens = TOKENS[one, :length]
        memory = port.encode(tokens, torch.ones_like(tokens, dtype=torch.bool), CONTEXT[one])
        torch.testing.assert_close(found[one], port(NOISY[one], TIME[one], memory), rtol=1e-4, atol=1e-5)


def test_who_hears_nothing_is_as_who_hears_encodings_of_zeros(port: PortDiffusion):
    """The port's unconditional branch attends to zeros."""
    zeros = port._pairs(torch.zeros(1, 6, 10))
    found = port(NOISY[2:], TIME[2:], port.encode(TOKENS[2:], VALID[2:], CONTEXT[2:], FRAMES[2:]))
    heard = port.encode(TOKENS[:1], VALID[:1])._replace(pairs=zeros, mask=None)
    torch.testing.assert_close(found, port(NOISY[2:], TIME[2:], heard), rtol=1e-4, atol=1e-5)


def test_training_hears_what_inference_hears():
    made = network(dropout=0.0)
    wanted = made(NOISY, TIME, made.encode(TOKENS, VALID, CONTEXT, FRAMES))
    made.train()
    found = made(NOISY, TIME, made.encode(TOKENS, VALID, CONTEXT, FRAMES))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_networks_are_the_original(tmp_path, port: PortDiffusion):
    port.save_pretrained(tmp_path)
    loaded = PortDiffusion.from_pretrained(tmp_path)
    memory, again = port.encode(TOKENS, VALID, CONTEXT), loaded.encode(TOKENS, VALID, CONTEXT)
    assert torch.equal(loaded(NOISY, TIME, again), port(NOISY, TIME, memory))


def test_what_has_no_place_is_refused(port: PortDiffusion):
    with pytest.raises(ValueError, match="21 tokens; at most 20 have a position"):
        port.encode(torch.zeros(1, 21, dtype=torch.int64), torch.ones(1, 21, dtype=torch.bool))
    memory = port.encode(TOKENS, VALID)
    with pytest.raises(ValueError, match="9 frames; at most 8"):
        port(normal(3, 9, 5, seed=1), TIME, memory)
    with pytest.raises(ValueError, match="a memory of 3 examples for 1"):
        port(NOISY[:1], TIME[:1], memory)
    with pytest.raises(ValueError, match="no context encoder"):
        network(with_context=False).encode(TOKENS, VALID, CONTEXT)
