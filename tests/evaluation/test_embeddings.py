"""Embeddings give the numbers of other programs, and say what is missing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation import embeddings
from ondes.evaluation.embeddings import NetworkEmbedding, embedding_distance, load_embedding
from ondes.models.aisfx import AiSFX, to_aisfx_patches
from ondes.models.musicnn import to_musicnn_patches

GOLDEN = Path(__file__).parent.parent / "golden"


def script(name: str) -> ModuleType:
    """The script that made a golden file; it knows nothing of ondes."""
    spec = importlib.util.spec_from_file_location(name, GOLDEN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def musicnn() -> NetworkEmbedding:
    return load_embedding("musicnn")


def test_musicnn_hears_the_spectrogram_of_librosa() -> None:
    patches = to_musicnn_patches(script("make_musicnn").signal())
    golden = np.load(GOLDEN / "musicnn.npz")["some_frames"]
    assert patches.shape == (2, 187, 96)
    np.testing.assert_allclose(patches[:, ::17], golden, atol=2e-6)


def test_musicnn_answers_as_its_definition_written_in_numpy(musicnn: NetworkEmbedding) -> None:
    audio = Audio(script("make_musicnn").signal()[None].astype(np.float32), 16000)
    golden = np.load(GOLDEN / "musicnn.npz")["embeddings"]
    assert golden.shape == (2, musicnn.dimension)
    np.testing.assert_allclose(musicnn(audio), golden, atol=5e-5)
    assert np.ptp(golden, axis=0).max() > 0.5  # the two patches are told apart


def test_aisfx_hears_the_spectrogram_of_essentia() -> None:
    patches = to_aisfx_patches(script("make_aisfx").signal())
    golden = np.load(GOLDEN / "aisfx.npz")
    assert len(patches) == int(golden["patches"]) == 2
    np.testing.assert_allclose(patches[:, ::9], golden["some_frames"], atol=4e-6)


def test_aisfx_answers_as_the_network_of_its_package() -> None:
    maker = script("make_aisfx")
    network = AiSFX(tuple(maker.FIRST_WIDTH * 2**k for k in range(4))).double().eval()
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith("tracked")}
    state = {name: torch.tensor(value) for name, value in maker.fill(shapes).items()}
    network.load_state_dict(state, strict=False)
    patches = torch.tensor(to_aisfx_patches(maker.signal()), dtype=torch.float64)
    with torch.no_grad():
        found = network(patches).numpy()
    np.testing.assert_allclose(found, np.load(GOLDEN / "aisfx.npz")["embeddings"], atol=1e-5)


@pytest.mark.parametrize(("seconds", "patches"), [(0.5, 1), (2.0, 1), (2.3, 1), (3.5, 2), (5.12, 3)])
def test_aisfx_patches_overlap_by_half_and_a_short_one_is_filled(seconds: float, patches: int) -> None:
    found = to_aisfx_patches(np.full(round(44100 * seconds), 0.1, np.float32))
    assert len(found) == patches
    assert found.any()


@pytest.mark.parametrize(("seconds", "patches"), [(0.01, 1), (2.98, 1), (4.46, 1), (4.47, 2), (5.12, 2)])
def test_musicnn_patches_overlap_by_half_and_a_short_one_is_padded(seconds: float, patches: int) -> None:
    samples = np.full(round(16000 * seconds), 0.1, np.float32)
    found = to_musicnn_patches(samples)
    assert len(found) == patches
    if seconds < 2.9:  # as much silence before as after, give or take a frame
        sounding = np.flatnonzero(found[0].any(axis=1))
        assert abs(sounding[0] - (186 - sounding[-1])) <= 1


def test_channels_are_averaged_and_any_rate_is_taken(musicnn: NetworkEmbedding) -> None:
    time_s = np.arange(4 * 48000) / 48000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    stereo = musicnn(Audio(np.stack([2 * tone, 0 * tone]), 48000))
    at_16_khz = musicnn(Audio(tone[None, ::3].copy(), 16000))
    assert embedding_distance(stereo, at_16_khz) < 0.02 * np.linalg.norm(at_16_khz, axis=1).mean()


def test_other_sounds_are_far_from_a_sound_and_its_soft_noise_is_near(musicnn: NetworkEmbedding) -> None:
    chord = script("make_musicnn").signal().astype(np.float32)
    random = np.random.default_rng(0)
    hiss = (0.001 * random.normal(size=len(chord))).astype(np.float32)
    own, near, far = (musicnn(Audio(samples[None], 16000)) for samples in (chord, chord + hiss, 200 * hiss))
    assert 0 < embedding_distance(own, near) < 0.5 * embedding_distance(own, far)


def test_the_distance_is_the_mean_of_lengths_over_frames_that_both_have() -> None:
    target = np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])
    made = np.array([[3.0, 4.0], [1.0, 2.0]])
    assert embedding_distance(target, made) == 3.0
    assert np.isnan(embedding_distance(target, made[:0]))


def test_nan_becomes_zero() -> None:
    class Broken(torch.nn.Module):
        def forward(self, patches: torch.Tensor) -> torch.Tensor:
            return torch.where(patches > 0, patches, torch.nan)

    embedding = NetworkEmbedding("broken", 8, 2, lambda samples: samples.reshape(-1, 2), Broken())
    audio = Audio(np.array([[1.0, -1.0, 2.0, 3.0]], np.float32), 8)
    np.testing.assert_array_equal(embedding(audio), [[1.0, 0.0], [2.0, 3.0]])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install --no-deps aisfx"):
        load_embedding("aisfx")
    with pytest.raises(UserError, match=r"vggish-10086976\.pth of torchvggish"):
        load_embedding("vggish")
    with pytest.raises(UserError, match="there is no embedding 'musicn'"):
        load_embedding("musicn")


def test_the_weights_of_an_installed_package_are_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "aisfx"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    network = AiSFX()
    torch.nn.init.constant_(network.conv_block4.bn2.bias, 0.25)
    state = {f"embedding_net.{name}": value for name, value in network.state_dict().items()}
    sizes = {"one": (np.int64(0), 78)}  # as the package has it: numpy's numbers in the pickle
    torch.save((state, sizes), package / "models" / "checkpoint.pth")
    monkeypatch.syspath_prepend(tmp_path)
    embedding = load_embedding("aisfx")
    found = embedding.network.state_dict()["conv_block4.bn2.bias"]
    assert found.eq(0.25).all()
    assert embedding.dimension == 512


def test_musicnn_needs_none_of_its_packages_own_requirements(musicnn: NetworkEmbedding) -> None:
    assert musicnn.dimension == 200
    assert not {"tensorflow", "librosa", "musicnn"} & sys.modules.keys()
