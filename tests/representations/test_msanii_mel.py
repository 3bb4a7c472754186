"""The features of Msanii against librosa, and a scale that sees all of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.errors import UserError
from ondes.representations.msanii_mel import (
    MSANII,
    MelScaling,
    MsaniiFeatures,
    MsaniiSpec,
    ScaleFit,
    from_log_mel,
    msanii_filters,
    msanii_inverse,
    to_log_mel,
    to_magnitude,
)

GOLDEN = Path(__file__).parent.parent / "golden"
SCALING = MelScaling(-2.0, 19.0, -2.2, 1.7)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    """Made by librosa 0.11: tests/golden/make_msanii.py and make_mel.py."""
    with np.load(GOLDEN / "msanii.npz") as ours, np.load(GOLDEN / "mel.npz") as sound:
        stored = {name: torch.from_numpy(ours[name]) for name in ours.files}
        return stored | {"samples": torch.from_numpy(sound["samples"].astype(np.float32) / 32768)}


def test_log_mels_are_those_of_librosa(golden: dict[str, torch.Tensor]) -> None:
    made = to_log_mel(golden["samples"])
    assert made.shape == golden["log_mel"].shape == (128, 13)
    assert (made - golden["log_mel"]).abs().max() < 2e-4
    assert (made - golden["log_mel"]).abs().mean() < 2e-6


def test_filters_and_their_pseudo_inverse_are_those_of_librosa_and_numpy(
    golden: dict[str, torch.Tensor],
) -> None:
    assert torch.allclose(msanii_filters().sum(1), golden["filters_sums"], atol=1e-5)
    assert torch.allclose(msanii_inverse().T[::16, ::64], golden["inverse"], atol=1e-5)


def test_the_filters_are_as_described() -> None:
    filters = msanii_filters()
    held = (filters > 0).sum(1)
    assert held.min() == 1
    assert (held == 1).sum() == 1
    assert torch.linalg.matrix_rank(filters.double()) == 128


def test_the_inverse_keeps_mels_that_a_spectrum_has_but_for_the_floor() -> None:
    spectrum = torch.rand(1025, 5, generator=torch.Generator().manual_seed(0)).double()
    mels = msanii_filters().double() @ spectrum
    back = msanii_filters().double() @ (msanii_inverse().double() @ mels)
    assert torch.allclose(back, mels, rtol=1e-4)
    assert float(from_log_mel(mels.log()).min()) >= 0


@pytest.mark.parametrize(
    ("seconds", "fitting_seconds"),
    [(1, 1.463), (5, 5.921), (10, 10.379), (30, 31.184), (60, 60.906), (120, 120.349), (190, 190.195)],
)
def test_lengths_are_fitted_as_published(seconds: int, fitting_seconds: float) -> None:
    samples = MSANII.fitting_samples(seconds * 44_100, multiple=64)
    assert samples / 44_100 == pytest.approx(fitting_seconds, abs=5e-4)
    assert MSANII.frames(samples) % 64 == 0
    assert MSANII.samples(MSANII.frames(samples)) == samples


def test_a_length_whose_frames_fit_already_is_cut() -> None:
    assert MSANII.fitting_samples(8191 * 1024 + 1000, multiple=64) == 8_387_584
    assert to_magnitude(torch.zeros(511 * 1024)).shape == (1025, 512)


def test_short_audio_is_refused() -> None:
    with pytest.raises(ValueError, match="1024 samples are too few"):
        to_magnitude(torch.zeros(2, 1024))


def test_the_scale_is_the_published_formula() -> None:
    log_mel = torch.linspace(-11.5, 3, 50).double()
    standard = (log_mel + 2.0) / (19.0 + 1e-5) ** 0.5
    published = (2 * (standard + 2.2) / (1.7 + 2.2) - 1).clamp(-1, 1)
    assert torch.allclose(SCALING.to_features(log_mel), published, atol=1e-12)


@settings(max_examples=25)
@given(st.floats(-9, 1), st.floats(0.1, 30), st.floats(-4, -0.5), st.floats(0.5, 4))
def test_features_within_the_range_come_back(
    mean: float, variance: float, minimum: float, maximum: float
) -> None:
    scaling = MelScaling(mean, variance, minimum, maximum)
    features = torch.linspace(-1.5, 1.5, 31).double()
    back = scaling.to_features(scaling.from_features(features))
    assert torch.allclose(back, features.clamp(-1, 1), atol=1e-9)


def test_the_fit_is_that_of_everything_however_it_is_cut() -> None:
    values = torch.randn(3, 128, 40, generator=torch.Generator().manual_seed(1)).double() * 4 - 2
    values[2] -= 5  # the first pieces say little of the last
    whole, pieces = ScaleFit(), ScaleFit()
    whole.add(values)
    for item in values:
        for piece in item.split(7, -1):
            pieces.add(piece)
    scaling = whole.scaling()
    assert scaling.mean == pytest.approx(float(values.mean()))
    assert scaling.variance == pytest.approx(float(values.var()))
    assert pieces.scaling().variance == pytest.approx(scaling.variance)
    features = scaling.to_features(values)
    assert (float(features.min()), float(features.max())) == (pytest.approx(-1), pytest.approx(1))
    assert torch.allclose(scaling.from_features(features), values, atol=1e-9)


def test_settings_come_back_and_wrong_ones_are_refused() -> None:
    features = MsaniiFeatures(MsaniiSpec(8000, 512, 256, 20), SCALING)
    config = features.to_config()
    assert MsaniiFeatures.from_config(config) == features
    with pytest.raises(UserError, match="no field 'minimun': did you mean 'minimum'"):
        MsaniiFeatures.from_config(config | {"minimun": 1})
    del config["mean"]
    with pytest.raises(UserError, match=r"features cannot be read .*mean"):
        MsaniiFeatures.from_config(config)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"variance": float("nan")}, "variance nan: fit it"),
        ({"maximum": -3.0}, "each must rise"),
        ({"low": 1.0}, "each must rise"),
    ],
)
def test_what_is_no_scale_is_refused(wrong: dict[str, float], words: str) -> None:
    numbers = {"mean": -2.0, "variance": 19.0, "minimum": -2.2, "maximum": 1.7}
    with pytest.raises(UserError, match=words):
        MelScaling(**(numbers | wrong))  # pyright: ignore[reportArgumentType]


def test_nothing_and_silence_have_no_scale() -> None:
    fit = ScaleFit()
    with pytest.raises(UserError, match="no sound to fit"):
        fit.scaling()
    fit.add(torch.full((128, 4), -11.5))
    with pytest.raises(UserError, match="no sound to fit"):
        fit.scaling()
