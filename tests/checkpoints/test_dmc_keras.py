"""Weights of Keras become ours: golden outputs of a copy of the network in Keras 2, and files that are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from dmc_layout import GOLDEN, golden_weights, write_keras
from ondes.checkpoints.dmc_keras import is_keras_weights, read_dmc_keras
from ondes.errors import UserError
from ondes.models.dmc_unet import DmcUNet
from ondes.representations.triples import TripleStatistics

STATISTICS = TripleStatistics("hz", "minmax", (8.0, 0.0, 0.0), (4000.0, 2.0, 2.0))


def output(network: DmcUNet) -> np.ndarray:
    """What a network makes of the golden script's input."""
    noisy = np.sin(0.37 * np.arange(2 * GOLDEN["notes"] * 3)).reshape(2, GOLDEN["notes"], 3)
    with torch.inference_mode():
        return network.double()(torch.from_numpy(noisy), torch.tensor(GOLDEN["steps"])).numpy()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_keras(tmp_path / "unet_000020.h5", golden_weights())


def test_an_imported_network_answers_as_it_did_in_keras(file: Path) -> None:
    parts = read_dmc_keras(file, STATISTICS)
    assert parts.hashes == {"unet_000020.h5": hashlib.sha256(file.read_bytes()).hexdigest()}
    config = parts.network.config
    assert [config[name] for name in ("width", "heads", "time_size", "features")] == [4, 2, 16, 3]
    assert (config["causal"], config["time_code"]) == (True, "scrambled")
    assert config["statistics"] == STATISTICS.to_config()
    np.testing.assert_allclose(output(parts.network), GOLDEN["output"], atol=5e-6)


def test_keras_counts_as_many_weights_as_we_do() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in DmcUNet().parameters()) == GOLDEN["weights_at_full_width"] == 12_316_355


@pytest.mark.parametrize("choice", [{"causal": False}, {"time_code": "broadcast"}])
def test_the_options_are_not_the_published_network(file: Path, choice: dict) -> None:
    assert np.abs(output(read_dmc_keras(file, **choice).network) - GOLDEN["output"]).max() > 0.01


def test_other_names_and_orders_of_blocks_are_the_same_network(tmp_path: Path) -> None:
    weights = [(name.replace("diffusion/", ""), values) for name, values in golden_weights()]
    names = [name for name, _ in weights]
    start = next(index for index, name in enumerate(names) if "/down_1/" in name)
    end = next(index for index, name in enumerate(names) if "/self_attention_1/" in name)
    moved = weights[:start] + weights[end:] + weights[start:end]
    file = write_keras(tmp_path / "moved.h5", moved, chunks=3)
    np.testing.assert_allclose(output(read_dmc_keras(file).network), GOLDEN["output"], atol=5e-6)


def refused(path: Path, words: str) -> None:
    with pytest.raises(UserError, match=words) as error:
        read_dmc_keras(path)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    weights = golden_weights()
    lacking = [pair for pair in weights if "/up_2/" not in pair[0]]
    refused(
        write_keras(tmp_path / "a.h5", lacking),
        r"no block with the shapes of 'up\.2' in a network of width 4",
    )
    more = [*weights, ("diffusion/u_net/extra/dense_99/kernel:0", np.zeros((5, 5), np.float32))]
    refused(
        write_keras(tmp_path / "b.h5", more), "holds more than this network: diffusion/u_net/extra/dense_99"
    )
    turned = [(name, values.T if "down/dense" in name else values) for name, values in weights]
    refused(write_keras(tmp_path / "c.h5", turned), r"no block with the shapes of 'down\.0'")
    refused(write_keras(tmp_path / "d.h5", weights[:5]), "lacks the convolution over 7 notes, the attention")
    broken = [
        (name, values * np.nan if index == 9 else values) for index, (name, values) in enumerate(weights)
    ]
    refused(write_keras(tmp_path / "e.h5", broken), "holds NaN or infinity")


def test_files_that_are_no_weights_of_keras_2_are_refused(file: Path, tmp_path: Path) -> None:
    refused(tmp_path / "missing.h5", "cannot be read as weights of Keras")
    (tmp_path / "text.h5").write_text("hello")
    refused(tmp_path / "text.h5", "cannot be read as weights of Keras")
    (tmp_path / "half.h5").write_bytes(file.read_bytes()[:100_000])
    refused(tmp_path / "half.h5", "cannot be read as weights of Keras")
    with h5py.File(tmp_path / "keras3.h5", "w") as stored:
        stored.create_group("layers/conv2d/vars")
    refused(tmp_path / "keras3.h5", "no attribute 'layer_names'.*Keras 3")
    with h5py.File(file, "a") as stored:
        name, shape = GOLDEN["weights"][0]
        place = f"u_net/{name}"
        del stored[place]
        stored.create_dataset(place, shape, "f4", external=[(str(tmp_path / "text.h5"), 0, 999)])
    refused(file, "lies in another file")


def test_weights_of_keras_are_known_by_name(file: Path, tmp_path: Path) -> None:
    assert is_keras_weights(file)
    assert not is_keras_weights(tmp_path / "missing.h5")
    assert not is_keras_weights(tmp_path)


def test_a_missing_library_is_named_with_its_extra(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    refused(file, r"pip install 'ondes\[keras\]'")
