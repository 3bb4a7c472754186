"""Both forms of the published checkpoint are read as data, whole, and into networks that answer the same."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.configuration_utils import FrozenDict

from msanii_layout import (
    RUNNING,
    content,
    foreign_modules,
    networks,
    unet_state,
    vocoder_state,
    with_containers,
    write_msanii,
)
from ondes.checkpoints.msanii import UNET_NAMES, VOCODER_NAMES, read_msanii, renamed
from ondes.checkpoints.torch_archive import read_torch_archive
from ondes.errors import UserError
from ondes.models.msanii_unet import MsaniiUNet
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.representations.msanii_mel import MsaniiFeatures, MsaniiSpec, msanii_filters

SPEC = MsaniiSpec(8000, 64, 32, 6)


@pytest.fixture(scope="module")
def filters() -> torch.Tensor:
    return msanii_filters(SPEC).T.contiguous()


@pytest.mark.parametrize("containers", [False, True])
def test_both_forms_make_the_networks_that_were_written(
    tmp_path: Path, filters: torch.Tensor, containers: bool
) -> None:
    file = write_msanii(tmp_path / "msanii.pt", filters, containers=containers)
    with zipfile.ZipFile(file) as archive:
        pickled = archive.read("msanii/data.pkl")
    assert (b"omegaconf.listconfig" in pickled) == containers
    assert (b"training_config" in pickled) == containers
    assert (b"getitem" in pickled) == containers
    parts = read_msanii(file)
    unet, vocoder = networks()
    noisy = torch.randn(2, 2, 6, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        made, wanted = (network(noisy, torch.tensor([3, 900])) for network in (parts.unet, unet))
        assert torch.allclose(made, wanted, atol=1e-6)
        assert torch.allclose(parts.vocoder(noisy), vocoder(noisy), rtol=1e-5)
    assert list(parts.unet.config["blocks"]) == [2, 1, 2]
    assert list(parts.unet.config["attention"]) == [False, True, True]
    assert (parts.unet.config["norm"], parts.unet.config["attention_frames"]) == ("instance", None)
    assert parts.griffin_lim == {"iterations": 100, "momentum": 0.99}
    assert parts.scheduler["beta_schedule"] == "squaredcos_cap_v2"
    assert parts.hashes == {"msanii.pt": hashlib.sha256(file.read_bytes()).hexdigest()}


def test_features_are_scaled_by_the_running_values_in_either_network(
    tmp_path: Path, filters: torch.Tensor
) -> None:
    parts = read_msanii(write_msanii(tmp_path / "msanii.pt", filters))
    features = MsaniiFeatures.from_config(parts.unet.config["features"])
    assert MsaniiFeatures.from_config(parts.vocoder.config["features"]) == features
    assert features.spec == SPEC
    mel = torch.tensor([[1e-6, 0.01, 3.0]]).double()
    mean, variance, least, most = RUNNING.values()
    published = 2 * ((((mel + 1e-5).log() - mean) / (variance + 1e-5) ** 0.5) - least) / (most - least) - 1
    made = features.scaling.to_features((mel + 1e-5).log())
    assert torch.allclose(made, published.clamp(-1, 1), atol=1e-6)


def test_the_names_of_the_full_networks_lead_to_ours() -> None:
    with torch.device("meta"):
        unet, vocoder = MsaniiUNet(), MsaniiVocoder()
    for network, state, rules, count, total in (
        (unet, unet_state(unet), UNET_NAMES, 336, 49_878_016),
        (vocoder, vocoder_state(vocoder), VOCODER_NAMES, 10, 1_412_097),
    ):
        assert len(state) == count
        assert sum(value.numel() for value in state.values()) == total
        shapes = {name: value.shape for name, value in renamed(state, rules).items()}
        assert shapes == {name: value.shape for name, value in network.state_dict().items()}
    shapes = {name: tuple(value.shape) for name, value in unet_state(unet).items()}
    assert shapes["input_fn.1.weight"] == (256, 128, 1, 1)
    assert shapes["timestep_embedding.fn.2.weight"] == (128, 512)
    assert shapes["encoder_blocks.17.weight"] == (256, 256, 1, 3)
    assert shapes["decoder_blocks.17.weight"] == (256, 256, 1, 4)
    assert shapes["decoder_blocks.19.residual_fn.residual_fn.weight"] == (256, 512, 1, 1)
    assert shapes["encoder_blocks.15.attention_fn.in_fn.1.weight"] == (768, 256, 1, 1)
    assert shapes["middle_block.out_residual_fn.out_fn.1.weight"] == (1024, 256, 1, 1)


def test_older_and_stranger_but_harmless_files_are_read(tmp_path: Path, filters: torch.Tensor) -> None:
    changed = content(filters)
    numbers = {"n_heads": np.int64(2), "n_block_layers": [np.int32(2), 1, 2], "later_setting": 3}
    changed["unet_config"] = FrozenDict({**changed["unet_config"], **numbers})
    changed["transforms_config"] = OrderedDict(sample_rate=8000, n_fft=64, n_mels=6)
    for name in ("spectrogram.window", "mel_scale.fb", "minmax_scaler.momentum"):
        del changed["transforms_state_dict"][name]
    changed["vocoder_state_dict"] = {
        name: value.half() for name, value in changed["vocoder_state_dict"].items()
    }
    torch.save(changed, tmp_path / "old.pt")
    parts = read_msanii(tmp_path / "old.pt")
    assert parts.vocoder.input.weight.dtype == torch.float32
    assert parts.unet.config["heads"] == 2


class Calls:
    """Pickles into a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("evil", "name"),
    [
        (Calls(os.mkdir, "made"), "posix.mkdir"),
        (Calls(eval, "open('made', 'w')"), "builtins.eval"),
        (Calls(getattr, 1, "real"), "builtins.getattr"),
        (Calls(torch.load, "made"), "torch.serialization.load"),
        (Calls(type("FrozenList", (), {"__module__": __name__}), 1), "FrozenList"),
    ],
)
def test_files_that_would_run_something_are_refused(
    tmp_path: Path, filters: torch.Tensor, evil: Calls, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "FrozenList":
        monkeypatch.setitem(globals(), name, evil.call[0])
    changed = content(filters)
    changed["unet_config"] = FrozenDict({**changed["unet_config"], "d_freq": evil})
    torch.save(changed, tmp_path / "evil.pt")
    with pytest.raises(UserError, match=rf"is refused: its pickle needs \S*{name}, but only") as refused:
        read_msanii(tmp_path / "evil.pt")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "made").exists()


def test_calls_under_the_names_of_stand_ins_do_nothing(tmp_path: Path, filters: torch.Tensor) -> None:
    with foreign_modules() as foreign:
        changed = with_containers(content(filters), foreign)
        changed["more"] = Calls(foreign["list"], "touch made")
        torch.save(changed, tmp_path / "odd.pt")
    assert read_msanii(tmp_path / "odd.pt").unet.config["width"] == 8


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("unet_state_dict", "input_fn.1.weight", None, r"lacks the tensor input\.weight"),
        ("unet_state_dict", "more", torch.ones(1), "has the tensor more, of which the network knows nothing"),
        ("unet_state_dict", "input_fn.1.bias", torch.ones(7), r"input.bias is \(7,\)"),
        ("unet_state_dict", "input_fn.1.bias", torch.full((8,), torch.nan), "input.bias is not finite"),
        ("unet_state_dict", "input_fn.1.bias", 3.0, "input_fn.1.bias of unet_state_dict is no tensor"),
        ("unet_config", "d_freq", 5, r"input\.weight is \(8, 6, 1, 1\), but its settings ask for \(8, 5"),
        ("unet_config", "d_base", 10**9, "width is 1000000000, but must be from 0"),
        ("unet_config", "d_multipliers", [2, 1, 1], "the first of which is 1"),
        ("unet_config", "dilations", {"a": 1}, "a dict where a number, text or a list of them is needed"),
        ("transforms_config", "n_fft", 63, "no front end has 63 samples a frame"),
        ("transforms_config", "n_fft", 128, "its mel filters are not those of its settings"),
        ("transforms_config", "win_length", 32, "a window of 32 in 64 samples"),
        ("transforms_config", "feature_range", 3, "transforms_config cannot be read"),
        ("transforms_state_dict", "standard_scaler.fitted", torch.tensor(False), "was never fitted"),
        ("transforms_state_dict", "minmax_scaler.running_max", None, "has no minmax_scaler.running_max"),
        ("transforms_state_dict", "minmax_scaler.running_max", torch.tensor(-3.0), "each must rise"),
        ("scheduler_config", "prediction_type", "v_prediction", "prediction_type is 'v_prediction'"),
        ("scheduler_config", "num_train_timesteps", "many", "num_train_timesteps is 'many'"),
    ],
)
def test_files_of_other_models_are_refused_in_one_line(
    tmp_path: Path, filters: torch.Tensor, part: str, name: str, value: Any, words: str
) -> None:
    changed = content(filters)
    entries = dict(changed[part]) | {name: value}
    if value is None:
        del entries[name]
    changed[part] = FrozenDict(entries) if part.endswith("config") else OrderedDict(entries)
    torch.save(changed, tmp_path / "other.pt")
    with pytest.raises(UserError, match=words) as refused:
        read_msanii(tmp_path / "other.pt")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("missing", ["unet_config", "vocoder_state_dict"])
def test_files_without_a_part_are_refused(tmp_path: Path, filters: torch.Tensor, missing: str) -> None:
    changed = content(filters)
    del changed[missing]
    torch.save(changed, tmp_path / "part.pt")
    with pytest.raises(UserError, match=f"has no {missing}; give msanii.pt"):
        read_msanii(tmp_path / "part.pt")


def test_what_is_no_archive_of_torch_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "old.pt").write_bytes(pickle.dumps({}))
    torch.save([1], tmp_path / "list.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("readme", "weights")
    with pytest.raises(UserError, match="there is no file"):
        read_msanii(tmp_path / "none.pt")
    for name in ("text.pt", "old.pt"):
        with pytest.raises(UserError, match=r"is no file of torch\.save"):
            read_msanii(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_msanii(tmp_path / "zip.pt")
    with pytest.raises(UserError, match="holds no parts with names"):
        read_msanii(tmp_path / "list.pt")


def test_tensors_of_every_kind_and_view_come_back(tmp_path: Path) -> None:
    wide = torch.arange(12.0).reshape(3, 4)
    stored = {
        "view": wide.T[1:],
        "flag": torch.tensor(True),
        "empty": torch.zeros(0, 3),
        "long": torch.arange(3),
    }
    stored["kept"] = torch.nn.Parameter(wide.double())
    torch.save(stored, tmp_path / "a.pt")
    read = read_torch_archive(tmp_path / "a.pt")
    for name, value in stored.items():
        assert torch.equal(read[name], value.detach())
        assert read[name].dtype == value.dtype


def test_a_storage_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(50)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as whole, zipfile.ZipFile(tmp_path / "b.pt", "w") as short:
        for name in whole.namelist():
            raw = whole.read(name)
            short.writestr(name, raw[:-8] if name == "a/data/0" else raw)
    with pytest.raises(UserError, match="a storage of 192 bytes instead of 200"):
        read_torch_archive(tmp_path / "b.pt")
