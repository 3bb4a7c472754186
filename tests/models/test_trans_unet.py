"""The published roll network: sizes, attention by distance, the way back from tokens, what a folder holds."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from ondes.models.trans_unet import RelativeAttention, RollDecoder, TransUNet, noise_code

TINY = {"width": 32, "token_size": 16, "head_size": 8, "layers": 1, "most_tokens": 32}


def tiny(**settings: object) -> TransUNet:
    torch.manual_seed(0)
    return TransUNet(**{**TINY, **settings}).eval()  # pyright: ignore[reportArgumentType]


def test_the_published_sizes_have_the_published_numbers_of_weights() -> None:
    with torch.device("meta"):
        networks = TransUNet(), RollDecoder()
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    assert counts == [4_977_349, 175_173]
    tables = {tuple(buffer.shape) for buffer in networks[0].buffers()}
    assert tables == {(2048, 64)}


def test_attention_by_distance_is_that_of_a_skewed_product() -> None:
    torch.manual_seed(1)
    attention = RelativeAttention(16, 2, 20)
    tokens = torch.randn(3, 7, 16)
    count = 7
    heads = [
        layer(tokens).reshape(3, count, 2, 8).transpose(1, 2)
        for layer in (attention.query, attention.key, attention.value)
    ]
    products = torch.einsum("bhid,jd->bhij", heads[0], attention.table[-count:])
    place = torch.arange(count)
    products = products * (place[None] >= count - 1 - place[:, None])
    skewed = functional.pad(products, (1, 0)).reshape(3, 2, count + 1, count)[:, :, 1:]
    weights = ((heads[0] @ heads[1].transpose(-1, -2) + skewed) / 8**0.5).softmax(-1)
    expected = attention.out((weights @ heads[2]).transpose(1, 2).reshape(3, count, 16))
    torch.testing.assert_close(attention(tokens), expected)


def test_the_code_of_the_noise_reaches_its_slowest_rate() -> None:
    code = noise_code(torch.tensor([0.0, 10_000.0]), 16)
    assert torch.equal(code[0], torch.tensor([0.0] * 8 + [1.0] * 8))
    torch.testing.assert_close(code[1, 7], torch.tensor(1.0).sin())
    torch.testing.assert_close(code[1, 8], torch.tensor(10_000.0).cos(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("bottleneck", "right"), [("straight", 1.0), ("scrambled", 2 / (32 * 6))])
def test_tokens_go_back_to_where_they_came_from_unless_scrambled(bottleneck: str, right: float) -> None:
    network = tiny(bottleneck=bottleneck)
    seen: dict[str, torch.Tensor] = {}

    def listen(_module: nn.Module, _given: object, made: torch.Tensor) -> None:
        seen["before"] = made

    network.middle = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    network.down[-1].register_forward_hook(listen)
    network.up[0].register_forward_pre_hook(lambda _module, given: seen.update(after=given[0]))
    with torch.no_grad():
        network(torch.randn(1, 5, 16, 24), torch.tensor([5]))
    after = seen["after"][:, -32:, ::2, ::2]
    assert float((after == seen["before"]).float().mean()) == pytest.approx(right)


def test_a_saved_network_answers_as_before_and_keeps_its_table(tmp_path: Path) -> None:
    network = tiny(layer_names=[[40, 0], [41, 0]], parts=2)
    network.save_pretrained(tmp_path)
    torch.manual_seed(99)
    loaded = TransUNet.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    rolls, steps = torch.randn(2, 2, 16, 72), torch.tensor([0, 999])
    with torch.no_grad():
        assert torch.equal(network(rolls, steps), loaded(rolls, steps))
        tables = [name for name in network.state_dict() if name.endswith("table")]
        assert len(tables) == 2
        for module in loaded.modules():
            if isinstance(module, RelativeAttention):
                module.table.normal_()
        assert not torch.allclose(network(rolls, steps), loaded(rolls, steps), atol=1e-5)


def test_examples_of_a_batch_do_not_see_each_other() -> None:
    network, rolls, steps = tiny(), torch.randn(3, 5, 8, 72), torch.tensor([1, 500, 999])
    with torch.no_grad():
        together = network(rolls, steps)
        for index in range(3):
            alone = network(rolls[index : index + 1], steps[index : index + 1])
            torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(network(rolls[:1], steps[:1]), network(rolls[:1], steps[1:2]), atol=1e-4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="60 x 72: give multiples of 8"):
        tiny()(torch.zeros(1, 5, 60, 72), torch.tensor([0]))
    with pytest.raises(ValueError, match="2048 cells at most"):
        tiny()(torch.zeros(1, 5, 32, 72), torch.tensor([0]))
    with pytest.raises(ValueError, match="'straight' and 'scrambled'"):
        tiny(bottleneck="curly")
