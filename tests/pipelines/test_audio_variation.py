from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.models.mel_unet import MelUNet
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.audio_inputs import open_sound
from ondes.pipelines.audio_rates import MelReader, exactly, resampled
from ondes.pipelines.audio_variation import blended, inverted, varied_mel
from ondes.pipelines.audio_windows import Meter
from ondes.pipelines.samplers import make_scheduler
from ondes.representations.mel import MEL, to_log_mel
from tiny_model import save_tiny_audio  # pyright: ignore[reportMissingImports]

RATE_HZ = 44_100
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AudioPipeline:
    return AudioPipeline.from_pretrained(save_tiny_audio(tmp_path_factory.mktemp("model") / "tiny"))


class OneAnswer(MelUNet):
    """Knows one piece of music: all features are 1, whatever is heard."""

    def forward(self, noisy: Any, level: Any, conditions: Any, known: Any = None) -> Any:  # noqa: ARG002
        """Velocity towards it."""
        return (noisy - 1) / level[:, None, None, None]


class NormalData(MelUNet):
    """Knows that all features are independent standard normal."""

    def forward(self, noisy: Any, level: Any, conditions: Any, known: Any = None) -> Any:  # noqa: ARG002
        """Velocity of a path whose point at level t has variance (1 - t)^2 + t^2."""
        share = level[:, None, None, None]
        return noisy * (2 * share - 1) / ((1 - share) ** 2 + share**2)


def knowing(kind: type[MelUNet]) -> AudioPipeline:
    torch.manual_seed(0)
    network = kind(widths=(8, 8), hidden=(8, 8), blocks=(1, 1), strides=(8,), heads=2)
    network.mean[0] = -6.0
    network.deviation[:] = 2.0
    return AudioPipeline(network, Vocoder(width=8, hidden=8, blocks=1), make_scheduler("euler"), 64, 16)


def sound(duration_s: float, rate_hz: int = RATE_HZ, channels: int = 2, seed: int = 0) -> Audio:
    noise = np.random.default_rng(seed).standard_normal((channels, round(duration_s * rate_hz)))
    return Audio((0.1 * noise).astype(np.float32), rate_hz)


def mel_of(pipeline: AudioPipeline, start: Any, strength: float, frames: int, **choices: Any) -> torch.Tensor:
    maker = pipeline.maker(0, **choices)
    length_s = frames / MEL.frames_per_second
    pieces = varied_mel(
        start(maker), maker, pipeline.plan(frames), strength, length_s, meter=Meter(None, length_s)
    )
    return torch.cat(list(pieces), -1)[..., :frames]


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (48_000, 1), (8000, 2)])
def test_a_variation_is_like_its_sound_in_length_rate_and_channels(
    pipeline: AudioPipeline, rate_hz: int, channels: int
) -> None:
    old = sound(0.8123, rate_hz, channels)
    new = pipeline.vary(old, 0.4)
    assert isinstance(new, Audio)
    assert new.sample_rate_hz == rate_hz
    assert new.samples.shape == old.samples.shape
    assert float(np.abs(new.samples).max()) > 1e-3


def test_a_variation_is_the_same_in_a_list(pipeline: AudioPipeline) -> None:
    one, other = sound(0.3), sound(0.4, seed=1)
    several = pipeline.vary([one, other], 0.5, seed=7)
    alone = pipeline.vary(other, 0.5, seed=8)
    assert isinstance(several, list)
    assert isinstance(alone, Audio)
    assert np.array_equal(several[1].samples, alone.samples)


def test_little_strength_changes_little_and_much_strength_much() -> None:
    # The only music the network knows has features of 1; after Euler's steps from any level that is what is left.
    pipeline, old = knowing(OneAnswer), sound(1.5)
    frames = 120
    made = mel_of(pipeline, lambda maker: blended([open_sound(old)], 0.0, maker, 0.4), 0.4, frames)
    assert torch.allclose(made, pipeline.network.restore(torch.ones(2, 128, frames)), atol=1e-4)
    # Where the data are normal, strength s keeps (1 - s) / sqrt((1 - s)^2 + s^2) of the old features.
    pipeline = knowing(NormalData)
    made = mel_of(
        pipeline,
        lambda maker: blended([open_sound(old)], 0.0, maker, 0.3),
        0.3,
        frames,
        steps=64,
        temperature=0.0,
    )
    features = pipeline.network.standardise(MelReader(open_sound(old), MEL).take(frames))
    expected = pipeline.network.restore(features * 0.7 / (0.7**2 + 0.3**2) ** 0.5)
    assert (made - expected).abs().mean() < 0.02


def test_inversion_leads_back_to_either_sound() -> None:
    pipeline, first, second = knowing(NormalData), sound(1.2), sound(1.2, seed=1)
    for ratio, audio in ((0.0, first), (1.0, second)):

        def start(maker: Any, ratio: float = ratio) -> Any:
            return inverted([open_sound(first), open_sound(second)], ratio, maker, 1.0)

        made = mel_of(pipeline, start, 1.0, 100, steps=24, sampler="heun")
        # The first window has no context that was itself made, so only the solver's error is left.
        assert (made - MelReader(open_sound(audio), MEL).take(100)).abs()[..., :64].mean() < 0.05


def test_in_between_both_methods_give_sounds_in_between(pipeline: AudioPipeline) -> None:
    first, second = sound(0.5), Audio(0.1 * sound(0.6, 48_000, 1, seed=1).samples, 48_000)
    walk = pipeline.interpolate(first, second, ratios=[0.0, 0.5, 1.0], strength=0.2)
    assert isinstance(walk, list)
    assert [one.samples.shape for one in walk] == [(2, 22_050)] * 3
    alone = pipeline.interpolate(first, second, ratio=0.5, strength=0.2)
    assert isinstance(alone, Audio)
    assert np.array_equal(alone.samples, walk[1].samples)
    other = pipeline.interpolate(first, second, method="inversion", strength=0.2)
    assert isinstance(other, Audio)
    assert not np.allclose(other.samples, alone.samples, atol=1e-4)


def test_without_strength_spectra_are_mixed() -> None:
    pipeline, first, second = knowing(OneAnswer), sound(0.6), sound(0.6, seed=1)
    made = mel_of(
        pipeline, lambda maker: blended([open_sound(first), open_sound(second)], 0.25, maker, 0.0), 0.0, 40
    )
    parts = [
        pipeline.network.standardise(MelReader(open_sound(one), MEL).take(40)) for one in (first, second)
    ]
    assert torch.allclose(made, pipeline.network.restore(0.75 * parts[0] + 0.25 * parts[1]), atol=1e-4)


def test_extremes_are_remarked_on(pipeline: AudioPipeline, caplog: pytest.LogCaptureFixture) -> None:
    old = sound(0.2)
    pipeline.vary(old, 1.0)
    pipeline.interpolate(old, sound(0.3), strength=0.0)
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "keeps nothing of the sound" in said
    assert "lasts as long as the shorter" in said
    assert "the spectra are mixed" in said


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"ratio": 1.5}, "a ratio of 1.5"),
        ({"ratios": []}, "no ratio is given"),
        ({"strength": -0.1}, "a strength of -0.1"),
        ({"method": "nois"}, "did you mean 'noise'"),
    ],
)
def test_what_cannot_be_is_refused(pipeline: AudioPipeline, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        pipeline.interpolate(sound(0.2), sound(0.2), **choices)


def test_mel_is_read_in_any_pieces_and_silence_follows() -> None:
    old = sound(1.01)
    reader = MelReader(open_sound(old), MEL)
    taken = torch.cat([reader.take(count) for count in (1, 30, 17, 60)], -1)
    whole = to_log_mel(torch.from_numpy(np.pad(old.samples, ((0, 0), (0, 87 * 512 - 44_541)))))
    assert torch.allclose(taken[..., :87], whole, atol=1e-5)
    assert torch.all(taken[..., 87:] == np.log(np.float32(1e-5)))


def test_blocks_are_resampled_like_the_whole() -> None:
    old = sound(0.7)
    blocks = np.split(old.samples, [1000, 1001, 20_000], axis=1)
    made = np.concatenate(list(exactly(resampled(blocks, RATE_HZ, 48_000), 0, 33_600, 2)), axis=1)
    assert np.abs(made - old.resample(48_000).samples).max() < 1e-5
    late = np.concatenate(list(exactly(blocks, 999, 31_000, 2)), axis=1)
    assert np.array_equal(late[:, :29_871], old.samples[:, 999:])
    assert not late[:, 29_871:].any()
