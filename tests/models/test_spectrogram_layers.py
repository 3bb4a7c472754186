from __future__ import annotations

import math

import pytest
import torch

from ondes.models.spectrogram_layers import (
    Film,
    GatedMlp,
    LengthDropout,
    Norm,
    Sizes,
    attend,
    linear,
    open_mask,
    permuted_positions,
    position_table,
    time_features,
)
from ondes.models.spectrogram_memory import gather_valid, trim

SIZES = Sizes(d_model=6, num_heads=2, d_kv=4, d_ff=5, dropout_rate=0.0)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_attention_is_not_divided_by_the_size_of_a_head():
    query, key, value = normal(1, 2, 3, 4), normal(1, 2, 5, 4, seed=2), normal(1, 2, 5, 4, seed=3)
    found = attend(query, key, value, None)
    wanted = (query @ key.transpose(2, 3)).softmax(-1) @ value
    torch.testing.assert_close(found, wanted.transpose(1, 2).flatten(2))


def test_norms_divide_by_the_root_of_mean_square_and_a_millionth():
    tokens, norm = 1e-3 * normal(2, 3, 6), Norm(6)
    norm.weight.data = torch.arange(1.0, 7.0)
    wanted = tokens / (tokens.square().mean(-1, keepdim=True) + 1e-6).sqrt() * torch.arange(1.0, 7.0)
    torch.testing.assert_close(norm(tokens), wanted)


def test_the_first_layer_of_the_mlp_is_gated_by_the_tanh_gelu_of_wi_0():
    mlp, tokens = GatedMlp(SIZES).eval(), 3 * normal(1, 4, 6)
    gate = tokens @ mlp.wi_0.weight.T
    gate = 0.5 * gate * (1 + (math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)).tanh())
    wanted = (gate * (tokens @ mlp.wi_1.weight.T)) @ mlp.wo.weight.T
    torch.testing.assert_close(mlp(tokens), wanted)


def test_the_first_half_of_film_scales_and_the_second_shifts():
    film, tokens, time = Film(SIZES), normal(2, 3, 6), normal(2, 1, 24, seed=2)
    made = time @ film.scale_bias.weight.T
    torch.testing.assert_close(film(tokens, time), tokens * (1 + made[..., :6]) + made[..., 6:])


def test_times_are_read_as_sines_then_cosines_from_the_quickest():
    time, half = torch.tensor([0.0, 0.001, 0.7]), 4
    found = time_features(time, 8, 20_000.0)
    rates = torch.tensor([20_000 * 20_000 ** (-i / (half - 1)) for i in range(half)], dtype=torch.float64)
    angles = time.double()[:, None] * rates
    # In float32 the greatest angle, 14 000, is known to a thousandth.
    torch.testing.assert_close(found.double(), torch.cat([angles.sin(), angles.cos()], 1), rtol=0, atol=2e-3)
    torch.testing.assert_close(found[:, 3], time.sin())


def test_positions_are_the_plain_sinusoids_out_of_phase_and_order():
    torch.manual_seed(3)
    table = permuted_positions(200, 16).double()
    # A sinusoid of any phase has x[i + 1] + x[i - 1] = 2 cos(rate) x[i].
    middle = table[1:-1]
    found = ((table[2:] + table[:-2]) * middle).sum(0) / (2 * middle.square().sum(0))
    rates = 10_000.0 ** (-torch.arange(8, dtype=torch.float64) / 7)
    torch.testing.assert_close(found.sort().values, rates.cos().repeat(2).sort().values, rtol=0, atol=1e-6)
    assert not torch.equal(found.argsort(), torch.arange(16))
    # The plain table begins with zeros and ones.
    assert ((table[0].abs() > 0.01) & (table[0].abs() < 0.99)).sum() >= 12
    assert table.abs().max() <= 1


def test_tables_differ_so_that_notes_and_frames_do_not_look_alike():
    torch.manual_seed(3)
    first, second = (position_table(50, 64).weight for _ in range(2))
    assert abs(float(torch.nn.functional.cosine_similarity(first.flatten(), second.flatten(), 0))) < 0.4
    assert not first.requires_grad


@pytest.mark.parametrize(("divisor", "truncated"), [(1.0, True), (8.0, False)])
def test_first_weights_keep_the_variance_of_what_they_read(divisor: float, truncated: bool):
    torch.manual_seed(4)
    weight = linear(400, 500, divisor=divisor, truncated=truncated).weight.detach()
    deviation = 1 / (divisor * 20)
    assert float(weight.std()) == pytest.approx(deviation, rel=0.01)
    assert (float(weight.abs().max()) < 2.3 * deviation) == truncated


def test_dropout_leaves_out_channels_of_whole_sequences():
    torch.manual_seed(5)
    dropout = LengthDropout(0.25)
    kept = dropout(torch.ones(200, 7, 50))
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((kept == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(dropout.eval()(torch.ones(1, 2, 3)), torch.ones(1, 2, 3))


def test_masks_are_opened_where_nothing_is_valid_and_left_out_where_all_is():
    mask = torch.tensor([[True, False], [False, False]])
    opened = open_mask(mask, exact=True)
    assert opened is not None
    assert opened[:, 0, 0].tolist() == [[True, False], [True, True]]
    assert open_mask(torch.ones(2, 3, dtype=torch.bool), exact=True) is None
    assert open_mask(torch.ones(2, 3, dtype=torch.bool), exact=False) is not None


def test_trimming_cuts_after_the_last_valid_place_of_any_example():
    mask = torch.tensor([[True, False, False, False], [False, True, True, False]])
    values, kept = trim(torch.arange(8).reshape(2, 4), mask)
    assert values.tolist() == [[0, 1, 2], [4, 5, 6]]
    assert kept.tolist() == mask[:, :3].tolist()
    values, kept = trim(torch.zeros(2, 4, 3), torch.zeros(2, 4, dtype=torch.bool))
    assert values.shape == (2, 1, 3)
    assert not kept.any()


def test_valid_encodings_are_gathered_in_their_order():
    mask = torch.tensor([[True, False, True, True], [False] * 4, [False, False, True, False]])
    encodings = torch.arange(12.0).reshape(3, 4, 1)
    found, kept, hearers = gather_valid(encodings, mask)
    assert hearers.tolist() == [0, 2]
    assert found[0, :, 0].tolist() == [0, 2, 3]
    assert float(found[1, 0, 0]) == 10
    assert kept.tolist() == [[True, True, True], [True, False, False]]
