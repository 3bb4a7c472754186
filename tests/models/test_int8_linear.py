from __future__ import annotations

import pytest
import torch
from torch import nn

from ondes.models import int8_linear
from ondes.models.int8_linear import (
    Int8Linear,
    multiplies_int8,
    quantise_linears,
    quantise_measured,
    relative_error,
    sums_pairs_in_32_bits,
)

needs_int8 = pytest.mark.skipif(not multiplies_int8(), reason="this processor multiplies no 8-bit integers")


def layer(inputs: int = 512, outputs: int = 256, *, bias: bool = False) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(inputs, outputs, bias=bias)


@needs_int8
@torch.no_grad()
def test_whole_numbers_within_range_are_multiplied_exactly():
    most = 127 if sums_pairs_in_32_bits() else 63
    weight = torch.randint(-127, 128, (256, 512), generator=torch.Generator().manual_seed(2))
    tokens = torch.randint(-most, most + 1, (2, 3, 512), generator=torch.Generator().manual_seed(3))
    weight[:, 0], tokens[..., 0] = 127, most
    exact = layer()
    exact.weight.copy_(weight)
    found = Int8Linear(exact)(tokens.float())
    assert torch.equal(found.round().long(), tokens @ weight.T)


@needs_int8
@torch.no_grad()
def test_each_token_and_each_output_has_a_scale_of_its_own():
    exact = layer(bias=True)
    exact.weight *= torch.logspace(-3, 3, 256)[:, None]
    tokens = (
        torch.randn(5, 512, generator=torch.Generator().manual_seed(2)) * torch.logspace(-2, 2, 5)[:, None]
    )
    found, wanted = Int8Linear(exact)(tokens), exact(tokens)
    lengths = tokens.norm(dim=1)[:, None] * exact.weight.norm(dim=1)
    assert ((found - wanted).abs() / lengths).max() < 4e-3


@needs_int8
@torch.no_grad()
def test_silence_stays_silence():
    assert not Int8Linear(layer())(torch.zeros(1, 4, 512)).any()


def network() -> nn.ModuleDict:
    return nn.ModuleDict({"large": layer(), "small": nn.Linear(16, 16), "film": nn.ModuleList([layer()])})


@needs_int8
def test_large_layers_become_integers_and_the_named_ones_stay():
    changed = network()
    assert quantise_linears(changed, keep=("film",)) == 1
    assert isinstance(changed["large"], Int8Linear)
    assert isinstance(changed["small"], nn.Linear)
    assert quantise_linears(changed) == 1


@needs_int8
def test_the_error_is_that_of_what_is_run():
    changed, tokens = nn.Sequential(layer()), torch.randn(9, 512, generator=torch.Generator().manual_seed(2))
    wanted = changed(tokens).detach()
    error = quantise_measured(changed, lambda: changed(tokens))
    assert 0.002 < error < 0.03
    assert error == pytest.approx(relative_error(changed(tokens), wanted), rel=1e-6)


def test_relative_errors_have_their_closed_form():
    assert relative_error(torch.tensor([3.0, 4.0, 0.0]), torch.tensor([3.0, 4.0, 1.0])) == pytest.approx(
        26**-0.5
    )


def test_builds_without_such_products_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(int8_linear, "multiplies_int8", lambda: False)
    with pytest.raises(ValueError, match="multiplies no 8-bit integers; keep float32"):
        quantise_linears(network())
