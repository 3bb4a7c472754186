"""BigVGAN in NVIDIA's layout is read as the network that wrote it; other files are refused."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ondes.checkpoints import bigvgan as reader
from ondes.checkpoints.bigvgan import read_bigvgan
from ondes.errors import UserError
from ondes.models.bigvgan import AntiAliasedSnake, BigVGAN, low_pass_taps
from ondes.pipelines.loading import load_vocoder
from ondes.pipelines.synthesis import SynthesisPipeline
from tiny_model import save_tiny_model

CONFIG = {
    "resblock": "1",
    "upsample_rates": [8, 8, 8],
    "upsample_kernel_sizes": [16, 16, 16],
    "upsample_initial_channel": 8,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
    "activation": "snakebeta",
    "snake_logscale": True,
    "num_mels": 128,
    "n_fft": 2048,
    "hop_size": 512,
    "win_size": 2048,
    "sampling_rate": 44100,
    "fmin": 0,
    "fmax": None,
    "learning_rate": 0.0001,
}
SIZES = {
    "width": 8,
    "upsample_rates": [8, 8, 8],
    "upsample_kernels": [16, 16, 16],
    "block_kernels": [3],
    "block_dilations": [[1, 3]],
}


def network(**settings) -> BigVGAN:
    torch.manual_seed(0)
    made = BigVGAN(**(SIZES | settings)).eval()
    for name, value in made.named_parameters():
        if "act." in name:
            nn.init.normal_(value, std=0.3)
    return made


def normed(plain: BigVGAN, how: str) -> BigVGAN:
    """A copy with torch's own weight normalisation, its lengths changed so that they matter."""
    made = copy.deepcopy(plain)
    for module in made.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            if how == "hooks":
                torch.nn.utils.weight_norm(module)
            else:
                torch.nn.utils.parametrizations.weight_norm(module)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if name.endswith(("weight_g", "original0")):
                value.mul_(torch.linspace(0.7, 1.4, len(value))[:, None, None])
    return made


def with_filters(made: BigVGAN) -> dict[str, torch.Tensor]:
    """All tensors that NVIDIA's network would save."""
    state = dict(made.state_dict())
    for name, module in made.named_modules():
        if isinstance(module, AntiAliasedSnake):
            state[f"{name}.upsample.filter"] = low_pass_taps().view(1, 1, 12).clone()
            state[f"{name}.downsample.lowpass.filter"] = low_pass_taps().view(1, 1, 12).clone()
    return state


def write(folder: Path, state: object, **changed: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    torch.save(state, folder / "bigvgan_generator.pt")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "vocoder", {"generator": with_filters(network())})


def log_mel(frames: int = 12) -> torch.Tensor:
    return 2 * torch.randn(1, 2, 128, frames, generator=torch.Generator().manual_seed(3)) - 5


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("how", ["hooks", "parametrizations"])
def test_both_forms_of_weight_norm_are_multiplied_out(tmp_path, how):
    wrote = normed(network(), how)
    state = with_filters(wrote)
    endings = {"hooks": ("weight_g", "weight_v"), "parametrizations": ("original0", "original1")}[how]
    assert all(any(name.endswith(ending) for name in state) for ending in endings)
    read = read_bigvgan(write(tmp_path / "a", {"generator": state}))
    with torch.no_grad():
        wanted = wrote(log_mel())
        assert (network()(log_mel()) - wanted).abs().max() > 1e-3
    torch.testing.assert_close(read(log_mel()), wanted, atol=1e-6, rtol=0)


def test_weights_without_weight_norm_are_read(folder):
    assert torch.equal(read_bigvgan(folder)(log_mel()), network()(log_mel()))


@pytest.mark.parametrize("stated", [True, False])
def test_bias_and_tanh_at_the_end_are_on_unless_refused(tmp_path, stated):
    wrote = network(final_bias=True, final_tanh=True)
    place = write(tmp_path / "a", {"generator": wrote.state_dict()})
    config = {key: value for key, value in CONFIG.items() if not key.endswith("at_final")}
    if stated:
        config |= {"use_tanh_at_final": True, "use_bias_at_final": True}
    (place / "config.json").write_text(json.dumps(config))
    read = read_bigvgan(place)
    assert read.conv_post.bias is not None
    assert torch.equal(read(log_mel()), wrote(log_mel()))


def test_half_the_sample_rate_may_be_written_out(tmp_path):
    assert (
        read_bigvgan(write(tmp_path / "a", {"generator": network().state_dict()}, fmax=22050)).spec.bands
        == 128
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sampling_rate": 24000}, "sampling_rate is 24000, but must be 44100; use nvidia/"),
        ({"num_mels": 100}, "num_mels is 100, but must be 128"),
        ({"hop_size": 256}, "hop_size is 256, but must be 512"),
        ({"n_fft": 1024}, "n_fft is 1024, but must be 2048"),
        ({"win_size": 1024}, "win_size is 1024, but must be 2048"),
        ({"fmin": 20}, "fmin is 20, but must be 0"),
        ({"fmax": 8000}, "fmax is 8000, but must be null or 22050"),
        ({"activation": "snake"}, 'activation is "snake", but must be "snakebeta"'),
        ({"snake_logscale": False}, "snake_logscale is false, but must be true"),
        ({"resblock": "2"}, 'resblock is "2", but must be "1"'),
        ({"upsample_rates": [8, 8, 4]}, "must multiply to 512"),
        ({"upsample_rates": "8"}, 'upsample_rates is "8", but must be whole numbers'),
        ({"upsample_initial_channel": 8.5}, "upsample_initial_channel is 8.5"),
        ({"upsample_initial_channel": 12}, "width can be halved"),
        ({"upsample_initial_channel": 2**70}, "describes no network"),
        (
            {"upsample_initial_channel": 1 << 20},
            "conv_pre.weight is .8, 128, 7. in .*, but .1048576, 128, 7. by",
        ),
        ({"resblock_kernel_sizes": [5]}, r"resblocks.0.convs1.0.weight is \(4, 4, 3\)"),
        ({"use_bias_at_final": True}, "lacks conv_post.bias"),
    ],
)
def test_other_configurations_are_refused(tmp_path, changed, words):
    place = write(tmp_path / "a", {"generator": with_filters(network())}, **changed)
    with pytest.raises(UserError, match=words):
        read_bigvgan(place)


def changed_state(change: str) -> object:
    state = with_filters(network())
    if change == "extra":
        state["conv_mid.weight"] = torch.zeros(1)
    elif change == "filter":
        state["activation_post.upsample.filter"] = torch.ones(1, 1, 12)
    elif change == "nan":
        state["conv_pre.bias"][0] = float("nan")
    elif change == "key":
        return {"discriminator": state}
    elif change == "list":
        return [state]
    return {"generator": state}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("extra", "has conv_mid.weight, of which config.json knows nothing"),
        ("filter", "activation_post.upsample.filter is not the filter of BigVGAN"),
        ("nan", "conv_pre.bias is not finite"),
        ("key", "holds no tensors under 'generator'"),
        ("list", "holds no tensors under 'generator'"),
    ],
)
def test_other_weights_are_refused(tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        read_bigvgan(write(tmp_path / "a", changed_state(change)))


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_pickle_can_run_no_code(folder, tmp_path):
    torch.save(
        {"generator": with_filters(network()), "more": Trap(tmp_path / "mark")}, folder / reader.WEIGHTS
    )
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_bigvgan(folder)
    assert not (tmp_path / "mark").exists()


def test_damaged_and_missing_files_are_refused(folder):
    weights = folder / reader.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_bigvgan(folder)
    weights.unlink()
    with pytest.raises(UserError, match=r"has no bigvgan_generator\.pt"):
        read_bigvgan(folder)
    (folder / "config.json").write_text("[1]")
    with pytest.raises(UserError, match="holds a list"):
        load_vocoder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        load_vocoder(folder)


def test_a_hub_id_is_fetched_file_by_file(folder, monkeypatch):
    asked = []

    def fetch(name: str, file: str) -> str:
        asked.append((name, file))
        return str(folder / file)

    monkeypatch.setattr(reader, "hf_hub_download", fetch)
    assert isinstance(load_vocoder("someone/bigvgan"), BigVGAN)
    assert set(asked) == {("someone/bigvgan", "config.json"), ("someone/bigvgan", "bigvgan_generator.pt")}


def test_a_hub_id_that_cannot_be_fetched_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"someone/nothing on the Hub has no config\.json"):
        load_vocoder("someone/nothing")


def test_a_folder_reaches_no_network(folder, monkeypatch):
    monkeypatch.setattr(reader, "hf_hub_download", lambda *_: pytest.fail("asked the Hub"))
    assert isinstance(load_vocoder(folder), BigVGAN)


def test_saved_as_our_own_it_loads_as_the_same(folder, tmp_path):
    read = load_vocoder(folder)
    read.save_pretrained(tmp_path / "own")
    assert torch.equal(load_vocoder(tmp_path / "own")(log_mel()), read(log_mel()))


@pytest.mark.slow
def test_a_synthesiser_plays_and_keeps_it(folder, tmp_path):
    synth = SynthesisPipeline.from_pretrained(save_tiny_model(tmp_path / "synth"), vocoder=str(folder))
    score = tmp_path / "score.mid"
    score.write_bytes(one_note())
    audio = synth(score, steps=1)
    assert audio.duration_s > 2
    assert np.abs(audio.samples).max() > 0
    synth.save_pretrained(tmp_path / "kept")
    kept = SynthesisPipeline.from_pretrained(tmp_path / "kept")
    assert isinstance(kept.vocoder, BigVGAN)
    np.testing.assert_array_equal(kept(score, steps=1).samples, audio.samples)


def one_note() -> bytes:
    """A MIDI file of one quarter note."""
    track = bytes.fromhex("00903c6460803c0000ff2f00")
    return bytes.fromhex("4d546864000000060000000100604d54726b") + len(track).to_bytes(4, "big") + track
