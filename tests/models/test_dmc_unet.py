"""The published network, block by block, and what each of its options changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ondes.models.dmc_unet import AttentionBlock, DmcUNet, Stage, sinusoids

TINY = {"width": 4, "time_size": 8, "notes": 32}


def weights(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def tiny(**settings: object) -> DmcUNet:
    torch.manual_seed(0)
    return DmcUNet(**TINY, **settings).eval()  # pyright: ignore[reportArgumentType]


def reach(network: DmcUNet, note: int) -> list[int]:
    """Which outputs change with a note of the input."""
    torch.manual_seed(1)
    noisy, step = torch.randn(1, 32, 3), torch.tensor([40])
    changed = noisy.clone()
    changed[0, note] += 1
    with torch.inference_mode():
        difference = (network(noisy, step) - network(changed, step)).abs().sum(-1)[0]
    return torch.nonzero(difference > 1e-7)[:, 0].tolist()


@pytest.mark.parametrize("causal", [True, False])
def test_every_block_has_as_many_weights_as_published(causal: bool) -> None:
    with torch.device("meta"):
        network = DmcUNet(causal=causal)
    counts = {
        "input": weights(network.input),
        "position": weights(network.position),
        **{f"down{index + 1}": weights(block) for index, block in enumerate(network.down)},
        **{f"attention{index + 1}": weights(block) for index, block in enumerate(network.down_attention)},
        **{f"middle{index + 1}": weights(block) for index, block in enumerate(network.middle)},
        **{f"up{index + 1}": weights(block) for index, block in enumerate(network.up)},
        **{f"attention{index + 4}": weights(block) for index, block in enumerate(network.up_attention)},
        "output": weights(network.output),
    }
    assert counts == {
        "input": 31_296,
        "position": 4_160,
        "down1": 202_624,
        "down2": 743_168,
        "down3": 1_411_328,
        "attention1": 165_504,
        "attention2": 658_688,
        "attention3": 658_688,
        "middle1": 1_247_232,
        "middle2": 1_640_448,
        "middle3": 607_232,
        "up1": 3_552_128,
        "up2": 896_960,
        "up3": 247_616,
        "attention4": 165_504,
        "attention5": 41_792,
        "attention6": 41_792,
        "output": 195,
    }
    assert weights(network) == 12_316_355


def test_causal_convolutions_and_attention_see_nothing_ahead() -> None:
    torch.manual_seed(0)
    stage = Stage(8, 8, middle=8, time_size=8, causal=True, time_code="broadcast")
    for block in (stage.block1, stage.block2):  # squeeze-and-excitation sees the whole sequence
        block.gate1, block.gate2 = torch.nn.Identity(), torch.nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    attention = AttentionBlock(8, 2, causal=True)
    hidden, time = torch.randn(1, 8, 16), torch.randn(1, 8)
    changed = hidden.clone()
    changed[..., 9] += 1
    with torch.inference_mode():
        difference = attention(stage(hidden, time)) - attention(stage(changed, time))
    seen = difference.abs().amax((0, 1))
    assert seen[:9].max() == 0
    assert seen[9:].min() > 0


def test_the_published_network_is_not_causal_and_the_other_sees_on_both_sides() -> None:
    # As measured on the published code: changing the last note changes the first.
    assert reach(tiny(causal=True), 31)[0] == 0
    assert reach(tiny(causal=False), 16) == list(range(32))


def test_the_time_code_is_the_same_at_every_note_unless_it_is_scrambled() -> None:
    torch.manual_seed(0)
    code = torch.randn(2, 256)
    for channels, notes, distinct in ((128, 64, 2), (256, 32, 8), (256, 16, 16), (128, 32, 4), (64, 128, 1)):
        stages = {}
        for time_code in ("broadcast", "scrambled"):
            stage = Stage(channels, channels, middle=1, time_size=256, causal=True, time_code=time_code)
            for parameter in (*stage.block1.parameters(), *stage.block2.parameters()):
                torch.nn.init.zeros_(parameter)
            stages[time_code] = stage
        stages["scrambled"].load_state_dict(stages["broadcast"].state_dict())
        plain, scrambled = (stage(torch.zeros(2, channels, notes), code) for stage in stages.values())
        assert torch.equal(plain, plain[..., :1].expand_as(plain))
        assert len(plain[0, :, 0].unique()) == channels
        assert max(len(scrambled[1, :, note].unique()) for note in range(notes)) == distinct
        # Tiled to (channels, notes), then read row by row as (notes, channels).
        expected = plain[1, :, :1].expand(channels, notes).reshape(-1).reshape(notes, channels).T
        torch.testing.assert_close(scrambled[1], expected)


def test_examples_do_not_depend_on_their_batch() -> None:
    network = tiny()
    torch.manual_seed(2)
    noisy, steps = torch.randn(3, 32, 3), torch.tensor([0, 500, 999])
    with torch.inference_mode():
        together = network(noisy, steps)
        alone = torch.cat([network(noisy[i : i + 1], steps[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-5)


def test_a_saved_network_is_the_same(tmp_path: Path) -> None:
    network = tiny(causal=False, statistics={"scaling": "minmax"})
    network.save_pretrained(tmp_path)
    loaded = DmcUNet.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert dict(loaded.config)["statistics"] == {"scaling": "minmax"}
    noisy, step = torch.randn(1, 64, 3), torch.tensor([7])
    with torch.inference_mode():
        torch.testing.assert_close(network(noisy, step), loaded(noisy, step), atol=2e-5, rtol=1e-5)
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


def test_sinusoids_are_those_of_the_paper() -> None:
    table = sinusoids(torch.tensor([0.0, 3.0]), 8)
    assert table[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    rates = 10_000 ** (-torch.arange(4) / 4)
    torch.testing.assert_close(table[1], torch.cat([(3 * rates).sin(), (3 * rates).cos()]))


def test_lengths_and_codes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="30 notes: give a multiple of 8"):
        tiny()(torch.zeros(1, 30, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="time_code 'tiled': 'broadcast' and 'scrambled' are allowed"):
        tiny(time_code="tiled")
