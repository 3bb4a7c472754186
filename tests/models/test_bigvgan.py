"""The public vocoder's network equals plain numpy, and its stream the whole."""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.models.bigvgan import BLOCK_FRAMES, BigVGAN, low_pass_taps

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = {"width": 8, "upsample_rates": [4, 2], "upsample_kernels": [8, 4], "bands": 5}
SMALL |= {"block_kernels": [3, 5], "block_dilations": [[1, 3], [1, 2]]}


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads((GOLDEN / "bigvgan.json").read_text())


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(GOLDEN / "make_bigvgan.py"))


def small(**settings) -> BigVGAN:
    """A network with weights strong enough that no part of it goes unnoticed."""
    torch.manual_seed(1)
    network = BigVGAN(**(SMALL | settings)).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.normal_(std=0.3 if "act." in name else 0.25)
    return network


@pytest.mark.parametrize("gain", [1.0, 3.0])
@pytest.mark.parametrize("final_tanh", [False, True])
def test_audio_equals_plain_numpy(golden, script, gain, final_tanh):
    network = BigVGAN(**SMALL, final_bias=True, final_tanh=final_tanh)
    weights = {name: torch.tensor(value) for name, value in script["weights"]().items()}
    for name in ("conv_post.weight", "conv_post.bias"):
        weights[name] = gain * weights[name]
    network.load_state_dict(weights)
    with torch.no_grad():
        audio = network.decode(torch.tensor(script["spectrogram"]()[None], dtype=torch.float32))[0]
    wanted = gain * np.array(golden["unbounded"])
    wanted = np.tanh(wanted) if final_tanh else np.clip(wanted, -1, 1)
    assert (np.abs(wanted).max() == 1.0) == (gain == 3.0 and not final_tanh)
    np.testing.assert_allclose(audio.numpy(), wanted, atol=2e-6)


def test_golden_numbers_are_the_scripts(golden, script):
    audio = script["generate"](script["spectrogram"](), script["weights"]())
    np.testing.assert_allclose(audio, golden["unbounded"], atol=1e-6)


def test_low_pass_filter_equals_scipys(golden):
    np.testing.assert_allclose(low_pass_taps().numpy(), golden["filter"], atol=1e-7)


def test_default_sizes_are_those_of_the_public_model():
    with torch.device("meta"):
        network = BigVGAN()
    assert round(sum(value.numel() for value in network.parameters()) / 1e6) == 122  # as NVIDIA's table says
    assert (network.spec.hop_samples, network.spec.bands, network.spec.sample_rate_hz) == (512, 128, 44_100)


def test_any_pieces_give_the_very_samples_of_the_whole():
    network = small()
    log_mel = 2 * torch.randn(2, 5, 2 * BLOCK_FRAMES + 41) - 4
    whole = network(log_mel[None])[0]
    stream = network.stream()
    cuts = [0, 1, 90, 90, 190, 280, log_mel.shape[-1]]
    pieces = [stream.push(log_mel[..., a:b], last=b == cuts[-1]) for a, b in itertools.pairwise(cuts)]
    assert torch.equal(torch.cat(pieces, -1), whole)
    assert pieces[3].shape[-1] == BLOCK_FRAMES * network.spec.hop_samples


def test_blocks_join_without_a_trace():
    network = small()
    log_mel = 2 * torch.randn(2, 5, 2 * BLOCK_FRAMES + 41) - 4
    with torch.no_grad():
        at_once = network.decode(log_mel)
    assert at_once.std() > 0.1
    torch.testing.assert_close(network(log_mel[None])[0], at_once, atol=2e-6, rtol=0)


def test_frames_beyond_the_reach_change_nothing():
    network = small()
    log_mel = torch.randn(1, 5, 80, requires_grad=True)
    hop = network.spec.hop_samples
    network.decode(log_mel)[:, 40 * hop : 41 * hop].square().sum().backward()
    assert log_mel.grad is not None
    felt = log_mel.grad.abs().sum((0, 1)).nonzero()[:, 0]
    assert 40 - network.reach_frames <= felt.min() <= 40 - network.reach_frames + 1
    assert 40 + network.reach_frames - 2 <= felt.max() <= 40 + network.reach_frames


def test_channels_do_not_hear_each_other():
    network = small()
    log_mel = torch.randn(1, 2, 5, 20)
    swapped = network(log_mel.flip(1)).flip(1)
    torch.testing.assert_close(swapped, network(log_mel), atol=2e-6, rtol=0)


def test_an_empty_end_closes_the_stream():
    network = small()
    log_mel = torch.randn(2, 5, 30)
    stream = network.stream()
    assert stream.push(log_mel).shape == (2, 0)
    assert torch.equal(stream.push(log_mel[..., :0], last=True), network(log_mel[None])[0])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"upsample_kernels": [8]}, "a kernel for each"),
        ({"block_dilations": [[1]]}, "dilations for each"),
        ({"upsample_rates": [4, 0]}, "positive"),
        ({"upsample_kernels": [7, 4]}, "an even number more"),
        ({"block_kernels": [3, 4]}, "odd"),
        ({"width": 10}, "halved"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changed, words):
    with pytest.raises(ValueError, match=words):
        BigVGAN(**(SMALL | changed))
