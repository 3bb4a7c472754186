"""Checkpoints of the PyTorch port are read with the sizes their tensors have."""

from __future__ import annotations

import argparse
import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ondes.checkpoints.port_lightning import read_port
from ondes.errors import UserError
from ondes.models.port_spectrogram_diffusion import PortDiffusion
from port_layout import SIZES, lightning_content, port_network


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    torch.save(lightning_content(), path)
    return path


def change(file: Path, **tensors: Any) -> None:
    """Change tensors, with two underscores for a dot; None leaves one out."""
    content = lightning_content()
    state = content["state_dict"] | {name.replace("__", "."): value for name, value in tensors.items()}
    content["state_dict"] = {name: value for name, value in state.items() if value is not None}
    torch.save(content, file)


def output(network: PortDiffusion) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    tokens, mask = torch.randint(901, (2, 12), generator=draw), torch.ones(2, 12, dtype=torch.bool)
    mask[1, 7:] = False
    context, noisy = torch.rand(2, 2, 9, 128, generator=draw)
    with torch.no_grad():
        memory = network.encode(tokens, mask, context)
        return network(noisy, torch.tensor([0.25, 0.75]), memory)


def test_a_checkpoint_makes_what_the_network_made_that_wrote_it(file):
    parts = read_port(file)
    assert torch.equal(output(parts.network), output(port_network()))
    assert parts.feature_range == (pytest.approx(-11.25), pytest.approx(4.5))
    assert parts.hashes == {"last.ckpt": hashlib.sha256(file.read_bytes()).hexdigest()}


def test_all_sizes_come_from_the_tensors(file):
    config = read_port(file).network.config
    assert {name: config[name] for name in SIZES} == SIZES
    assert SIZES["emb_dim"] == 38


def test_a_checkpoint_without_context_is_read(file):
    torch.save(lightning_content(with_context=False), file)
    network = read_port(file).network
    assert network.config["with_context"] is False


def test_plain_settings_in_the_file_change_nothing(file):
    content = lightning_content() | {"hyper_parameters": {"num_emb": 7, "emb_dim": 758, "mel_scale": "htk"}}
    torch.save(content, file)
    assert read_port(file).network.config["num_emb"] == 901


def test_settings_of_foreign_classes_are_refused_by_name(file):
    torch.save(lightning_content() | {"hyper_parameters": argparse.Namespace(a=1)}, file)
    with pytest.raises(UserError, match=r"is refused: its pickle needs argparse\.Namespace, but only"):
        read_port(file)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"mel__1__min": None}, r"has no scaler \(mel\.1\.min\), without which"),
        ({"mel__1__max": torch.ones(2)}, r"has no scaler \(mel\.1\.max\)"),
        ({"mel__1__min": torch.tensor(math.inf)}, "the scaler reaches from inf to 4.5; it was saved before"),
        ({"mel__1__max": torch.tensor(math.nan)}, "the scaler reaches from -11.25 to nan"),
        ({"optimizer": torch.ones(1)}, "has the tensor optimizer, which the port's models do not have"),
        ({"model__emb__weight": None}, "no tensor 'emb.weight', which tells a size"),
        (
            {"model__linear_in__weight": torch.ones(38, 127)},
            r"linear_in.weight is \(38, 127\), .* for \(38, 128\)",
        ),
        ({"model__linear_in__bias": None}, r"lacks the tensor linear_in.bias \(38,\)"),
        ({"model__more": torch.ones(1)}, "has the tensor more, of which the network knows nothing"),
        ({"model__in_pos_emb": torch.ones(())}, "give a checkpoint of the port's diffusion model"),
    ],
)
def test_other_tensors_are_refused_in_one_line(file, tensors, words):
    change(file, **tensors)
    with pytest.raises(UserError, match=words) as refused:
        read_port(file)
    assert "\n" not in str(refused.value)


def test_an_autoregressive_model_is_refused(file):
    content = lightning_content()
    content["state_dict"] = {n: v for n, v in content["state_dict"].items() if "diffusion_emb" not in n}
    torch.save(content, file)
    with pytest.raises(UserError, match="no time embedding, so it is no diffusion model"):
        read_port(file)


@pytest.mark.parametrize("content", [[1], {"state_dict": [1]}, {"state_dict": {"model.a": 1}}, {}])
def test_what_is_no_checkpoint_is_refused(file, content):
    torch.save(content, file)
    with pytest.raises(UserError, match="has no 'state_dict' of tensors; give a checkpoint of the port"):
        read_port(file)
