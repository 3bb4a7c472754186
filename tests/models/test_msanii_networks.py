"""The networks of Msanii by what is published of them, and what each option changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ondes.models.msanii_griffin_lim import griffin_lim, random_phases
from ondes.models.msanii_unet import Block, LinearAttention, MsaniiUNet, ResidualBlock, time_code
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.representations.msanii_mel import to_magnitude

GOLDEN = Path(__file__).parent.parent / "golden"
TINY = {
    "bands": 6,
    "width": 8,
    "hidden_factor": 2,
    "multipliers": (1, 1, 1),
    "time_size": 8,
    "dilations": (1, 1, 1),
    "heads": 2,
    "attention": (False, True, True),
    "resampling": (True, True, False),
    "blocks": (2, 2, 2),
}


def weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def tiny(**settings: object) -> MsaniiUNet:
    torch.manual_seed(0)
    return MsaniiUNet(**{**TINY, **settings}).eval()  # pyright: ignore[reportArgumentType]


def noisy(frames: int = 16, channels: int = 2) -> Tensor:
    return torch.randn(1, channels, 6, frames, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def answer(network: MsaniiUNet, features: Tensor, step: int = 300) -> Tensor:
    return network(features, torch.full((len(features),), step))


@pytest.fixture(scope="module")
def published() -> MsaniiUNet:
    with torch.device("meta"):
        return MsaniiUNet()


def test_the_network_has_as_many_weights_and_tensors_as_published(published: MsaniiUNet) -> None:
    assert weights(published) == 49_878_016
    assert len(published.state_dict()) == 336
    assert published.multiple == 64
    parts = [published.input, published.output, published.time, published.encoder, published.middle]
    assert [weights(part) for part in [*parts, published.decoder]] == [
        33_024,
        32_896,
        131_712,
        18_315_264,
        2_560_512,
        28_804_608,
    ]


def test_every_block_has_as_many_weights_as_published(published: MsaniiUNet) -> None:
    encoder, decoder = published.encoder, published.decoder
    assert [weights(encoder[place]) for place in (0, 2, 15, 17, 18)] == [
        1_148_672,
        196_864,
        1_411_840,
        196_864,
        1_411_840,
    ]
    assert [weights(decoder[place]) for place in (0, 2, 3, 6, 19)] == [
        2_132_992,
        262_400,
        2_132_992,
        1_869_824,
        1_869_824,
    ]
    attending = [
        [place for place, block in enumerate(layers) if isinstance(block, Block) and block.attention]
        for layers in (encoder, decoder)
    ]
    assert attending == [[15, 16, 18, 19], [0, 1, 3, 4]]
    assert len(encoder) == len(decoder) == 20


def test_the_vocoder_has_as_many_weights_as_published() -> None:
    with torch.device("meta"):
        vocoder = MsaniiVocoder()
    assert weights(vocoder) == 1_412_097
    assert len(vocoder.state_dict()) == 10


@pytest.mark.slow
def test_the_published_network_runs_on_its_shortest_stereo() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 2, 128, 64)
    assert answer(MsaniiUNet().eval(), features).shape == features.shape


def test_the_time_code_is_sines_then_cosines_of_rates_with_both_ends() -> None:
    code = time_code(torch.tensor([0.0, 500.0]), 128)
    assert torch.equal(code[0], torch.cat([torch.zeros(64), torch.ones(64)]))
    assert code[1, 0] == pytest.approx(np.sin(500), abs=1e-5)
    assert code[1, 63] == pytest.approx(np.sin(500 / 10_000), abs=1e-6)
    assert code[1, 127] == pytest.approx(np.cos(500 / 10_000), abs=1e-6)


def test_a_residual_block_is_the_published_formula() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 6, hidden_factor=2, dilation=2, time_size=8, norm="instance").double()
    hidden, level = torch.randn(2, 4, 2, 9).double(), torch.randn(2, 8, 1, 1).double()
    assert block.time is not None
    assert block.shortcut is not None
    normed = nn.InstanceNorm2d(4, eps=1e-5)(hidden)
    spatial = nn.functional.conv2d(
        normed, block.spatial.weight, block.spatial.bias, padding=2, dilation=2
    ) + block.time(level)
    gelu = nn.GELU()
    expected = block.narrow(gelu(block.widen(gelu(spatial)))) + block.shortcut(hidden)
    assert torch.allclose(block(hidden, level), expected, atol=1e-12)


def test_attention_is_the_published_formula_on_each_side_alone() -> None:
    torch.manual_seed(0)
    attention = LinearAttention(8, heads=2, norm="instance").double()
    hidden = torch.randn(3, 8, 2, 5).double()
    rows = nn.functional.conv2d(
        nn.InstanceNorm2d(8, eps=1e-5)(hidden), attention.project.weight, attention.project.bias
    )
    sides = rows.permute(0, 2, 1, 3).reshape(6, 24, 5)  # left and right are examples of their own
    query, key, value = (part.reshape(6, 2, 4, 5) for part in sides.split(8, 1))
    made = torch.zeros(6, 2, 4, 5).double()
    for side in range(6):
        for head in range(2):
            across = query[side, head].softmax(0) / 2
            context = key[side, head].softmax(1) @ (value[side, head] / 5).T
            made[side, head] = context.T @ across
    seen = made.reshape(3, 2, 8, 5).permute(0, 2, 1, 3)
    assert torch.allclose(attention(hidden), hidden + attention.out(seen), atol=1e-12)


def test_a_fixed_length_of_attention_is_the_published_one_at_that_length_only() -> None:
    network, fixed = tiny(), tiny(attention_frames=16)
    assert torch.equal(answer(network, noisy(16)), answer(fixed, noisy(16)))
    assert (answer(network, noisy(32)) - answer(fixed, noisy(32))).abs().max() > 1e-6


def test_published_norms_spread_a_change_everywhere_and_frame_norms_do_not() -> None:
    changed = noisy(64)
    changed[..., 0] += 1
    quiet = {"attention": (False,) * 3, "multipliers": (1,) * 3}

    def reach(norm: str) -> Tensor:
        network = tiny(norm=norm, **quiet)
        network.middle.attention.out.weight.data.zero_()
        return (answer(network, noisy(64)) - answer(network, changed)).abs().amax((0, 1, 2))

    assert reach("instance")[-1] > 0
    assert reach("frame")[-1] == 0


def test_mono_and_stereo_of_any_fitting_length_are_taken() -> None:
    for channels, frames in ((1, 8), (2, 4), (2, 12)):
        features = noisy(frames, channels)
        assert answer(tiny(), features).shape == features.shape
    with pytest.raises(ValueError, match="14 frames: give a multiple of 4"):
        answer(tiny(), noisy(14))


def test_examples_do_not_see_each_other() -> None:
    network = tiny()
    both = torch.cat([noisy(), noisy().flip(-1)])
    assert torch.allclose(answer(network, both)[:1], answer(network, noisy()), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"norm": "batch"}, "norm 'batch': 'instance' and 'frame'"),
        ({"multipliers": (2, 1, 1)}, "the first of which is 1"),
        ({"blocks": (2, 2)}, "3 levels by the multipliers, but lists of 3, 3, 3, 2"),
        ({"heads": 3}, "must come out even"),
    ],
)
def test_settings_that_describe_no_network_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tiny(**wrong)


def test_levels_may_differ_in_width() -> None:
    assert answer(tiny(multipliers=(1, 2, 3)), noisy()).shape == (1, 2, 6, 16)


def test_networks_come_back_from_a_folder(tmp_path: Path) -> None:
    vocoder = MsaniiVocoder(6, 9, 8, 2).eval()
    vocoder.save_pretrained(tmp_path / "vocoder")
    tiny(attention_frames=16).save_pretrained(tmp_path / "unet")
    back = MsaniiUNet.from_pretrained(tmp_path / "unet", low_cpu_mem_usage=False)
    assert torch.allclose(answer(back, noisy(32)), answer(tiny(attention_frames=16), noisy(32)), atol=1e-5)
    loaded = MsaniiVocoder.from_pretrained(tmp_path / "vocoder", low_cpu_mem_usage=False)
    with torch.inference_mode():
        magnitude = loaded(noisy())
        assert torch.allclose(magnitude, vocoder(noisy()), atol=1e-5)
    assert magnitude.shape == (1, 2, 9, 16)
    assert float(magnitude.min()) > 0


def test_griffin_lim_is_that_of_librosa() -> None:
    with np.load(GOLDEN / "msanii.npz") as ours, np.load(GOLDEN / "mel.npz") as sound:
        samples = torch.from_numpy(sound["samples"].astype(np.float32) / 32768)
        golden = torch.from_numpy(ours["griffin_lim"])
    magnitude = to_magnitude(samples)[None]
    first = torch.ones_like(magnitude, dtype=torch.complex64)
    made = griffin_lim(magnitude, first, hop_samples=1024, iterations=12, samples=len(samples))
    assert made.shape == (1, len(samples))
    assert (made[0] - golden).abs().max() < 2e-3 * float(golden.abs().max())


def test_first_phases_are_uniform_in_the_first_quadrant_and_come_again_with_the_seed() -> None:
    first, again = (random_phases((2, 50, 40), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    for part in (first.real, first.imag):
        assert 0 <= float(part.min()) < 0.01
        assert 0.99 < float(part.max()) < 1
        assert float(part.mean()) == pytest.approx(0.5, abs=0.02)


def test_griffin_lim_can_be_watched_and_stopped_and_refuses_nonsense() -> None:
    magnitude, seen = torch.ones(1, 9, 5), []
    phases = torch.ones(1, 9, 5, dtype=torch.complex64)
    griffin_lim(magnitude, phases, hop_samples=8, iterations=3, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(ValueError, match="3 iterations with momentum 1"):
        griffin_lim(magnitude, phases, hop_samples=8, iterations=3, momentum=1)
