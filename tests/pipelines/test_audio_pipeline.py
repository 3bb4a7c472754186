from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ondes.audio import Audio
from ondes.diffusion.noise import position_noise
from ondes.errors import UserError
from ondes.models.mel_unet import MelUNet
from ondes.models.vocoder import Vocoder
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.audio_inputs import available_bytes, take_sound
from ondes.pipelines.audio_making import Level, levelled, new_mel
from ondes.pipelines.audio_windows import Meter, mirrored, windows_between
from ondes.pipelines.loudness import LoudnessMeter
from ondes.pipelines.samplers import SAMPLERS, make_scheduler
from tiny_model import save_tiny_audio  # pyright: ignore[reportMissingImports]

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_audio(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def pipeline(saved: Path) -> AudioPipeline:
    """Windows of 64 frames, 0.74 s, and a network in which noise, context, place and style all matter."""
    return AudioPipeline.from_pretrained(saved)


@pytest.fixture(scope="module")
def piece(pipeline: AudioPipeline) -> Audio:
    return pipeline.generate(1.5)[0]


def test_music_is_as_long_as_was_asked_to_the_sample(pipeline: AudioPipeline, piece: Audio) -> None:
    assert piece.sample_rate_hz == RATE_HZ
    assert piece.samples.shape == (2, 66_150)
    assert float(np.abs(piece.samples).max()) > 1e-3
    assert pipeline.generate(0.1234)[0].samples.shape == (2, 5442)


def test_a_stream_is_the_whole_bit_for_bit(pipeline: AudioPipeline, piece: Audio) -> None:
    blocks = list(pipeline.stream(1.5))
    assert len(blocks) > 2
    assert np.array_equal(np.concatenate([block.samples for block in blocks], 1), piece.samples)


def test_a_piece_is_the_same_alone_and_in_a_batch(pipeline: AudioPipeline) -> None:
    three = pipeline.generate(0.3, n=3, seed=5)
    alone = [pipeline.generate(0.3, seed=seed)[0] for seed in (5, 6, 7)]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(three, alone, strict=True))


def test_sixteen_seeds_are_sixteen_pieces(pipeline: AudioPipeline) -> None:
    pieces = pipeline.generate(0.1, n=16, steps=1)
    assert len({piece.samples.tobytes() for piece in pieces}) == 16


def test_a_longer_piece_begins_alike_far_from_the_end(pipeline: AudioPipeline) -> None:
    # The network of this test feels the end over 16 s alone, so nearness changes little but never nothing.
    short, long = (pipeline.generate(length_s)[0].samples for length_s in (1.5, 1.6))
    assert np.abs(short[:, :20_000] - long[:, :20_000]).max() < 0.2 * np.abs(short[:, :20_000]).max()


def test_context_makes_windows_follow_each_other(saved: Path, pipeline: AudioPipeline, piece: Audio) -> None:
    strange = AudioPipeline.from_pretrained(saved)
    strange.register_to_config(context_frames=0)
    other = strange.generate(1.5)[0]
    assert np.array_equal(other.samples[:, :12_000], piece.samples[:, :12_000])
    # The third window, from frame 96 on, is the first of which a token can be known.
    assert np.abs(other.samples - piece.samples)[:, 49_152:].max() > 0.1 * np.abs(piece.samples).max()


class NormalData(MelUNet):
    """Knows that all features are independent standard normal: the path from noise ends in the noise itself."""

    def forward(self, noisy: Any, level: Any, conditions: Any, known: Any = None) -> Any:  # noqa: ARG002
        """Velocity of a path whose point at level t has variance (1 - t)^2 + t^2."""
        share = level[:, None, None, None]
        return noisy * (2 * share - 1) / ((1 - share) ** 2 + share**2)


def test_normal_data_are_the_noise_of_each_place() -> None:
    network = NormalData(widths=(8, 8), hidden=(8, 8), blocks=(1, 1), strides=(8,), heads=2)
    pipeline = AudioPipeline(network, Vocoder(width=8, hidden=8, blocks=1), make_scheduler("heun"), 64, 16)
    maker = pipeline.maker(3, steps=24)
    made = torch.cat(list(new_mel(maker, pipeline.plan(100), 1.16, meter=Meter(None, 1.16))), -1)
    noise = position_noise((2, 128), start_frame=0, frames=made.shape[-1], seed=3)
    assert (made - network.restore(noise)).abs().max() < 0.05


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_makes_other_music_of_the_same_seed(pipeline: AudioPipeline, sampler: str) -> None:
    one, other = (pipeline.generate(0.1, sampler=sampler, seed=seed)[0].samples for seed in (1, 2))
    assert np.isfinite(one).all()
    assert not np.allclose(one, other, atol=1e-4)


def test_style_guidance_and_temperature_change_the_music(pipeline: AudioPipeline) -> None:
    plain = pipeline.generate(0.2)[0].samples
    strings = pipeline.generate(0.2, style=["strings"])[0].samples
    assert np.array_equal(pipeline.generate(0.2, style="strings")[0].samples, strings)
    assert not np.allclose(plain, strings, atol=1e-4)
    assert not np.allclose(
        pipeline.generate(0.2, style=["strings"], guidance_scale=3.0)[0].samples, strings, atol=1e-4
    )
    # Without a style there is nothing to guide to; at scale 0 the style plays no part.
    assert np.array_equal(pipeline.generate(0.2, guidance_scale=3.0)[0].samples, plain)
    assert np.allclose(
        pipeline.generate(0.2, style=["strings"], guidance_scale=0.0)[0].samples, plain, atol=1e-6
    )
    cold = [pipeline.generate(0.2, temperature=0.0, seed=seed)[0].samples for seed in (0, 1)]
    assert np.array_equal(cold[0], cold[1])


def test_loudness_is_what_was_asked_for(pipeline: AudioPipeline) -> None:
    meter = LoudnessMeter(RATE_HZ)
    for block in pipeline.stream(1.0, loudness_lufs=-30.0):
        meter.push(block.samples)
    assert meter.lufs() == pytest.approx(-30.0, abs=0.05)


def test_new_music_opens_as_loud_as_the_model_says_with_one_gain_for_all_of_it(saved: Path) -> None:
    plain, opening = (AudioPipeline.from_pretrained(saved, opening_lufs=lufs) for lufs in (None, -35.0))
    # The first window is 0.74 s, of which the vocoder keeps back what the next may change.
    as_it_comes, made = (
        np.concatenate([block.samples for block in one.stream(2.0)], 1) for one in (plain, opening)
    )
    meter = LoudnessMeter(RATE_HZ)
    first = next(iter(opening.stream(2.0, progress=None))).samples.shape[1]
    meter.push(made[:, : max(first, 24_000)])
    assert meter.lufs() == pytest.approx(-35.0, abs=1.5)
    ratio = made[:, 1000:] / as_it_comes[:, 1000:]
    assert np.allclose(ratio[np.abs(as_it_comes[:, 1000:]) > 1e-3], np.median(ratio), rtol=1e-3)


@pytest.mark.parametrize(
    ("loudness", "gain_db"),
    [(-30.0, 7.0), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((-60.0, 20.0), (math.inf, 2.0)))],
)
def test_a_soft_opening_is_raised_so_far_and_a_silent_one_not(loudness: float, gain_db: float) -> None:
    level = Level(gain_db=2.0, opening_lufs=-23.0)
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 997 * time_s)[None] * 10 ** (
        (loudness + 3.01) / 20 if loudness < 0 else -math.inf
    )
    block = torch.from_numpy(np.concatenate([tone, np.zeros_like(tone)]).astype(np.float32))
    made = Audio.concatenate(levelled([block], RATE_HZ, level=level, length_s=1.0)).samples
    assert made == pytest.approx(10 ** (gain_db / 20) * block.numpy(), rel=2e-2, abs=1e-6)


def test_progress_is_told_in_seconds_and_may_stop_the_work(pipeline: AudioPipeline) -> None:
    told: list[tuple[float, float]] = []
    pipeline.generate(1.0, n=2, progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {2.0}
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert done[-1] == 2.0
    assert len(done) > 4

    def stop(_done: float, _total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.generate(1.0, progress=stop)


def test_a_model_is_the_same_after_saving(pipeline: AudioPipeline, piece: Audio, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "again")
    again = AudioPipeline.from_pretrained(tmp_path / "again")
    assert again.model_hash == pipeline.model_hash
    assert np.array_equal(again.generate(1.5)[0].samples, piece.samples)
    (tmp_path / "again" / "network" / "diffusion_pytorch_model.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match="damaged"):
        AudioPipeline.from_pretrained(tmp_path / "again")


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"steps": 0}, "0 steps: 1 to 1000"),
        ({"sampler": "eular"}, "did you mean 'euler'"),
        ({"guidance_scale": -1.0}, "guidance scale of -1.0"),
        ({"temperature": math.nan}, "temperature of nan"),
        ({"style": ["string"]}, "did you mean 'strings'"),
        ({"loudness_lufs": 3.0}, "-60 to -5"),
        ({"duration_s": 0.0}, "a piece of 0.0 s; give 0.05 s or more"),
        ({"duration_s": math.inf}, "a piece of inf s"),
        ({"duration_s": 1e9}, "GiB of memory"),
    ],
)
def test_what_cannot_be_is_refused(pipeline: AudioPipeline, choices: dict[str, Any], words: str) -> None:
    asked: dict[str, Any] = {"duration_s": 0.1} | choices
    with pytest.raises(UserError, match=words):
        pipeline.generate(**asked)


def test_there_is_memory() -> None:
    assert available_bytes() > 2**24


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="there is no audio 'audio-smal'"):
        AudioPipeline.from_pretrained("audio-smal")


@pytest.mark.parametrize(
    ("first", "stop", "end"), [(0, 300, 300), (40, 41, 90), (30, 100, 130), (64, 700, 800)]
)
def test_windows_make_every_frame_once_with_context(first: int, stop: int, end: int) -> None:
    plan = windows_between(first, stop, end, window=96, context=32, multiple=16)
    made = first
    for one in plan:
        assert one.frames <= 96
        assert one.frames % 16 == 0
        assert one.start + one.known == made
        assert one.known == min(made, 32)
        made = one.stop
    assert min(end, stop + 32) <= made < end + 16
    back = mirrored(plan, end)
    assert [one.frames for one in back] == [one.frames for one in plan]
    assert back[0].stop == end - plan[0].start
    with pytest.raises(ValueError, match="no such plan"):
        windows_between(0, 9, 9, window=64, context=32, multiple=16)


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (Audio(np.zeros((2, 0), np.float32), RATE_HZ), "lasts 0 s"),
        ((np.ones(100, np.float32), RATE_HZ), "at least 0.05 s"),
        (Audio(np.ones((7, 9000), np.float32), RATE_HZ), "7 channels"),
        ((np.full((1, 9000), np.nan, np.float32), RATE_HZ), "NaN"),
        (Audio(np.ones((1, 9000), np.float32), 100), "1000 Hz or more"),
        ("nowhere.wav", "does not exist"),
    ],
)
def test_sounds_that_cannot_be_edited_are_refused(sound: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        take_sound(sound)  # pyright: ignore[reportArgumentType]


def test_odd_sounds_are_remarked_on(caplog: pytest.LogCaptureFixture) -> None:
    time = np.arange(20_000)
    take_sound((np.zeros(20_000, np.float32), RATE_HZ))
    take_sound((np.sin(time * 0.1).astype(np.float32), 8000))
    take_sound((np.clip(3 * np.sin(time * 0.01), -1, 1).astype(np.float32), RATE_HZ))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "is silent" in said[0]
    assert "nothing above 4000 Hz" in said[1]
    assert "is clipped" in said[2]
    take_sound((np.sin(time * 0.1).astype(np.float32), RATE_HZ))
    assert len(caplog.records) == 3
