"""VGGish gives the numbers of the published formulas, in the published layout."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ondes.models.vggish import VGGish, pad_to_seconds, to_vggish_patches, vggish_filters

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that made the golden file; it knows nothing of ondes."""
    spec = importlib.util.spec_from_file_location("make_vggish", GOLDEN / "make_vggish.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "vggish.npz"))


def small(maker: ModuleType, *, rectified: bool = False) -> VGGish:
    network = VGGish(maker.CHANNELS, maker.HIDDEN, rectified=rectified).double()
    network.load_state_dict({name: torch.tensor(value) for name, value in maker.weights().items()})
    return network.eval()


def test_patches_are_those_of_the_published_formulas(maker: ModuleType, golden: dict) -> None:
    patches = to_vggish_patches(maker.signal())
    assert patches.shape == golden["patches"].shape == (2, 96, 64)
    np.testing.assert_allclose(patches, golden["patches"], rtol=1e-6, atol=1e-6)


def test_the_network_is_the_published_one(maker: ModuleType, golden: dict) -> None:
    patches = torch.tensor(golden["patches"], dtype=torch.float64)
    with torch.no_grad():
        embeddings = small(maker)(patches).numpy()
    np.testing.assert_allclose(embeddings, golden["embeddings"], rtol=1e-11, atol=1e-10)
    assert (golden["embeddings"] < 0).any()


def test_a_rectified_embedding_has_no_negative_numbers(maker: ModuleType, golden: dict) -> None:
    patches = torch.tensor(golden["patches"], dtype=torch.float64)
    with torch.no_grad():
        embeddings = small(maker, rectified=True)(patches).numpy()
    np.testing.assert_allclose(embeddings, golden["embeddings"].clip(min=0), rtol=1e-6, atol=1e-6)


def test_the_published_sizes_give_the_published_layout() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in VGGish().state_dict().items()}
    assert shapes["features.0.weight"] == (64, 1, 3, 3)
    assert shapes["features.13.weight"] == (512, 512, 3, 3)
    assert shapes["embeddings.0.weight"] == (4096, 512 * 4 * 6)
    assert shapes["embeddings.4.bias"] == (128,)
    assert {int(name.split(".")[1]) for name in shapes if name.startswith("features")} == {0, 3, 6, 8, 11, 13}
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 72_141_184


def test_0_hz_and_the_range_above_7500_hz_are_left_out() -> None:
    filters = vggish_filters()
    assert not filters[:, :5].any()
    assert not filters[:, 240:].any()
    assert filters[:, 5:240].sum(axis=0).min() > 0.0


@pytest.mark.parametrize(("samples", "patches"), [(399, 0), (15599, 0), (15600, 1), (30960, 2), (16000, 1)])
def test_a_patch_needs_all_its_96_frames(samples: int, patches: int) -> None:
    assert len(to_vggish_patches(np.zeros(samples))) == patches


def test_silence_has_the_logarithm_of_the_offset() -> None:
    np.testing.assert_allclose(to_vggish_patches(np.zeros(16000)), np.log(0.01), rtol=1e-6)


@pytest.mark.parametrize(("length", "before", "after"), [(16000, 0, 0), (15999, 0, 1), (81920, 7040, 7040)])
def test_padding_is_symmetric_and_makes_whole_seconds(length: int, before: int, after: int) -> None:
    padded = pad_to_seconds(np.ones(length))
    assert len(padded) % 16000 == 0
    assert not padded[:before].any()
    assert not padded[before + length :].any()
    assert len(padded) == before + length + after
    assert padded[before : before + length].all()
