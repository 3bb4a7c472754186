"""Checkpoints of Mixture2Music: every tensor finds its place, tables are drawn once, other files are refused."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mixture2music_layout import decoder_state, network_state, write_checkpoint
from ondes.checkpoints.mixture2music import is_mixture2music, read_mixture2music
from ondes.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "TransUNet.ckpt", network_state())


def test_every_tensor_finds_its_place(file: Path) -> None:
    network = read_mixture2music(file).network
    found = network.state_dict()
    names = {
        "model.time_expand.3.bias": "time.2.bias",
        "model.in_layer.weight": "enter.weight",
        "model.down3.block.time_emb.1.weight": "down.2.time.weight",
        "model.up1.block.block2.norm.weight": "up.0.second.norm.weight",
        "model.up3.block.res_conv.bias": "up.2.beside.bias",
        "model.transformer.in_linear.weight": "middle.enter.weight",
        "model.transformer.enc_layers.1.rga2.Wq.weight": "middle.layers.1.attention2.query.weight",
        "model.transformer.enc_layers.0.rga.fc.bias": "middle.layers.0.attention1.out.bias",
        "model.transformer.enc_layers.1.FFN_suf.weight": "middle.layers.1.widen.weight",
        "model.transformer.enc_layers.0.layernorm2.bias": "middle.layers.0.norm2.bias",
    }
    state = network_state()
    for theirs, ours in names.items():
        assert torch.equal(found[ours], state[theirs]), theirs
    total = sum(value.numel() for value in found.values())
    assert total == sum(value.numel() for value in state.values()) + 4 * 2048 * 64
    assert (network.config["parts"], network.config["width"], network.config["layers"]) == (5, 32, 2)
    assert network.config["bottleneck"] == "scrambled"


def test_the_table_is_the_same_at_each_reading_and_taken_where_it_was_saved(file: Path) -> None:
    name = "middle.layers.1.attention2.table"
    tables = [read_mixture2music(file, seed=seed).network.state_dict() for seed in (0, 0, 1)]
    assert torch.equal(tables[0][name], tables[1][name])
    assert not torch.equal(tables[0][name], tables[2][name])
    assert not torch.equal(tables[0][name], tables[0]["middle.layers.0.attention2.table"])
    kept = torch.randn(2048, 64)
    write_checkpoint(file, network_state() | {"model.transformer.enc_layers.1.rga2.E": kept})
    assert torch.equal(read_mixture2music(file).network.state_dict()[name], kept)


def test_the_decoder_computes_what_its_tensors_say(file: Path, tmp_path: Path) -> None:
    state = decoder_state()
    decoder = read_mixture2music(file, write_checkpoint(tmp_path / "decoder.ckpt", state)).decoder
    assert decoder is not None
    given = torch.randn(2, 5, 8, 16)
    hidden = functional.conv2d(
        given, state["decoder.in_layer.weight"], state["decoder.in_layer.bias"], padding=3
    )
    for name in ("decoder.layer_1", "decoder.layer_2"):
        made = hidden
        for block in (f"{name}.block1", f"{name}.block2"):
            made = functional.conv2d(
                made, state[f"{block}.conv.weight"], state[f"{block}.conv.bias"], padding=1
            )
            made = functional.group_norm(made, 8, state[f"{block}.norm.weight"], state[f"{block}.norm.bias"])
            made = functional.leaky_relu(made, 0.2)
        beside = functional.conv2d(hidden, state[f"{name}.res_conv.weight"], state[f"{name}.res_conv.bias"])
        hidden = beside + made
    expected = functional.conv2d(
        hidden, state["decoder.out_layer.weight"], state["decoder.out_layer.bias"], padding=1
    )
    with torch.no_grad():
        torch.testing.assert_close(decoder(given), expected)


def test_checkpoints_are_known_by_their_names(file: Path, tmp_path: Path) -> None:
    assert is_mixture2music(file)
    assert is_mixture2music(write_checkpoint(tmp_path / "d.ckpt", decoder_state()))
    assert not is_mixture2music(write_checkpoint(tmp_path / "o.ckpt", {"model.enter.weight": torch.zeros(1)}))
    assert not is_mixture2music(tmp_path)
    (tmp_path / "broken.ckpt").write_bytes(b"PK\3\4 no more")
    assert not is_mixture2music(tmp_path / "broken.ckpt")


def test_other_files_are_refused(file: Path, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "decoder.ckpt", decoder_state())
    with pytest.raises(UserError, match=r"has the tensor decoder.in_layer.weight, which is none of model"):
        read_mixture2music(other)
    with pytest.raises(UserError, match="which is none of decoder"):
        read_mixture2music(file, file)
    three = write_checkpoint(tmp_path / "three.ckpt", decoder_state(parts=3))
    with pytest.raises(UserError, match="decodes 3 parts, and the network makes 5"):
        read_mixture2music(file, three)
    state = network_state()
    state.pop("model.up2.block.block1.conv.bias")
    with pytest.raises(UserError, match=r"up.1.first.conv.bias"):
        read_mixture2music(write_checkpoint(file, state))
    state = network_state() | {"model.extra.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"extra.weight"):
        read_mixture2music(write_checkpoint(file, state))
    with pytest.raises(UserError, match=r"argparse\.Namespace"):
        read_mixture2music(write_checkpoint(file, network_state(), settings=argparse.Namespace(a=1)))
