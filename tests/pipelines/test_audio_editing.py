from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.pipelines import splicing
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.audio_canvas import Canvas, merged
from ondes.pipelines.audio_editing import look_around
from ondes.pipelines.audio_inputs import open_sound
from ondes.representations.mel import MEL, to_log_mel
from ondes.representations.regions import Region
from tiny_model import save_tiny_audio  # pyright: ignore[reportMissingImports]

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AudioPipeline:
    """Windows of 64 frames, 0.74 s, and a network in which noise, context, place and style all matter."""
    return AudioPipeline.from_pretrained(save_tiny_audio(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions from less, which is enough for three tones."""
    monkeypatch.setattr(splicing, "PREDICTION_ORDER", 64)
    monkeypatch.setattr(splicing, "PREDICTION_CONTEXT", 2048)


def sound(duration_s: float, rate_hz: int = RATE_HZ, channels: int = 2) -> Audio:
    """A chord with a little noise."""
    time = np.arange(round(duration_s * rate_hz)) / rate_hz
    rng = np.random.default_rng(0)
    rows = [
        sum(np.sin(2 * np.pi * hz * time + hz) for hz in (220, 330, 1237 + side)) for side in range(channels)
    ]
    noise = 0.01 * rng.standard_normal((channels, len(time)))
    return Audio((0.1 * np.array(rows) + noise).astype(np.float32), rate_hz)


def outside(length: int, regions: list[Region]) -> np.ndarray:
    """True where no region is."""
    kept = np.ones(length, bool)
    for region in regions:
        kept[region.start : region.stop] = False
    return kept


@pytest.mark.parametrize(
    ("rate_hz", "channels", "regions"),
    [
        (44_100, 2, [Region(20_000, 31_001)]),
        (44_100, 1, [Region(0, 7000), Region(9000, 9001), Region(40_000, 44_100)]),
        (48_000, 2, [Region(11_111, 33_333)]),
        (8000, 1, [Region(1000, 4321)]),
    ],
)
def test_outside_of_regions_nothing_changes(
    pipeline: AudioPipeline, rate_hz: int, channels: int, regions: list[Region]
) -> None:
    old = sound(1.0, rate_hz, channels)
    new = pipeline.inpaint(old, regions)
    assert isinstance(new, Audio)
    assert new.sample_rate_hz == rate_hz
    assert new.samples.shape == old.samples.shape
    kept = outside(rate_hz, regions)
    assert np.array_equal(new.samples[:, kept], old.samples[:, kept])
    for region in regions:
        made = slice(region.start, region.stop)
        assert not np.allclose(new.samples[:, made], old.samples[:, made], atol=1e-6)


def test_what_was_in_a_region_plays_no_part(pipeline: AudioPipeline) -> None:
    old, regions = sound(1.0), [Region(20_000, 30_000), Region(33_000, 36_000)]
    spoilt = old.samples.copy()
    for region in regions:
        spoilt[:, region.start : region.stop] = np.random.default_rng(1).uniform(
            -0.2, 0.2, (2, region.samples)
        )
    one, other = (pipeline.inpaint(Audio(one, RATE_HZ), regions) for one in (old.samples, spoilt))
    assert isinstance(one, Audio)
    assert isinstance(other, Audio)
    assert np.array_equal(one.samples[:, 20_000:36_000], other.samples[:, 20_000:36_000])


def test_a_seed_means_the_same_alone_and_in_a_list(pipeline: AudioPipeline) -> None:
    old = sound(0.8)
    several = pipeline.inpaint([old, sound(0.7), old], "0.2-0.5", seed=4)
    assert isinstance(several, list)
    alone = pipeline.inpaint(old, [(0.2, 0.5)], seed=6)
    assert isinstance(alone, Audio)
    assert np.array_equal(several[2].samples, alone.samples)
    assert not np.allclose(several[0].samples, alone.samples, atol=1e-4)


def test_the_sound_around_a_region_is_heard(pipeline: AudioPipeline) -> None:
    old, region = sound(1.0), Region(20_000, 26_000)
    softer = old.samples.copy()
    softer[:, 32_000:] *= 0.1
    one, other = (pipeline.inpaint(Audio(one, RATE_HZ), [region]) for one in (old.samples, softer))
    assert isinstance(one, Audio)
    assert isinstance(other, Audio)
    middle = slice(22_000, 23_000)
    assert not np.allclose(one.samples[:, middle], other.samples[:, middle], atol=1e-5)


@pytest.mark.parametrize(
    ("before_s", "after_s", "rate_hz", "channels"),
    [(0.5, 1.5, 44_100, 2), (1.6, 0.0, 44_100, 2), (0.0, 0.4, 22_050, 1), (1.1, 1.2, 48_000, 2)],
)
def test_longer_at_either_end_and_the_same_in_between(
    pipeline: AudioPipeline, before_s: float, after_s: float, rate_hz: int, channels: int
) -> None:
    old = sound(0.5, rate_hz, channels)
    new = pipeline.outpaint(old, before_s=before_s, after_s=after_s)
    assert isinstance(new, Audio)
    first, own = round(before_s * rate_hz), old.samples.shape[1]
    assert new.samples.shape == (channels, first + own + round(after_s * rate_hz))
    assert np.array_equal(new.samples[:, first : first + own], old.samples)
    made = np.delete(new.samples, slice(first, first + own), axis=1)
    assert float(np.abs(made).mean()) > 1e-4
    # No jump at the joins: no step is larger than twice the largest of the sound itself.
    steps = np.abs(np.diff(new.samples, axis=1))
    joins = [place for place in (first, first + own) if 0 < place < new.samples.shape[1]]
    assert all(
        steps[:, join - 2 : join + 1].max() < 1.5 * np.abs(np.diff(old.samples)).max() for join in joins
    )


def test_nothing_to_add_gives_the_sound_back(
    pipeline: AudioPipeline, caplog: pytest.LogCaptureFixture
) -> None:
    old = sound(0.3)
    for same in (pipeline.outpaint(old), pipeline.vary(old, 0.0)):
        assert isinstance(same, Audio)
        assert np.array_equal(same.samples, old.samples)
    assert "comes back as it is" in caplog.text


def test_frames_that_see_no_region_are_known_and_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splicing, "PREDICTION_ORDER", 512)
    monkeypatch.setattr(splicing, "PREDICTION_CONTEXT", 8192)
    old, region = sound(2.0), Region(40_000, 50_000)
    canvas = Canvas(open_sound(old), offset=0, length=88_200, regions=[region])
    gap = look_around(canvas, 0, spec=MEL, context_frames=64)
    assert gap.origin % 512 == 0
    whole = to_log_mel(torch.from_numpy(old.samples.copy()))
    first = gap.origin // 512
    left = to_log_mel(gap.left)[..., : gap.first]
    # Two frames at the beginning are reflected there, and one at the end sees what is predicted.
    assert torch.allclose(left[..., 2:-2], whole[..., first + 2 : first + gap.first - 2], atol=1e-4)
    assert (left[..., -2:] - whole[..., first + gap.first - 2 : first + gap.first]).abs().mean() < 0.1
    stop = gap.stop - gap.right_first
    right = to_log_mel(gap.right)[..., stop : gap.end - gap.right_first]
    there = whole[..., first + gap.stop : first + gap.end]
    assert torch.allclose(right[..., 2:-3], there[..., 2:-3], atol=1e-4)
    assert (gap.first + first) * 512 <= region.start
    assert (gap.stop + first) * 512 >= region.stop


def test_frames_after_a_gap_begin_at_whole_samples_of_other_rates() -> None:
    canvas = Canvas(
        open_sound(sound(4.0, 48_000)), offset=0, length=192_000, regions=[Region(30_000, 170_000)]
    )
    gap = look_around(canvas, 0, spec=MEL, context_frames=32)
    place = gap.right_first * 512 * 48_000 / 44_100
    assert gap.right_first > 0
    assert abs(place - round(place)) < 1e-6


def test_regions_that_touch_are_one() -> None:
    assert merged([Region(5, 9), Region(0, 5), Region(12, 13)]) == [Region(0, 9), Region(12, 13)]


def test_progress_of_edits_may_stop_them(pipeline: AudioPipeline) -> None:
    told: list[tuple[float, float]] = []
    pipeline.outpaint(sound(0.3), after_s=1.0, progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {1.0}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == 1.0

    def stop(_done: float, _total: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.inpaint(sound(0.5), "0.1-0.2", progress=stop)


def test_what_cannot_be_edited_is_refused(pipeline: AudioPipeline) -> None:
    with pytest.raises(UserError, match="past the end"):
        pipeline.inpaint(sound(0.5), "0.1-0.7")
    with pytest.raises(UserError, match="an addition after of -1"):
        pipeline.outpaint(sound(0.5), after_s=-1)
    with pytest.raises(UserError, match="GiB of memory"):
        pipeline.outpaint(sound(0.5), before_s=1e8)


def test_files_are_edited_and_stay(pipeline: AudioPipeline, tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    sound(0.5).write(path)
    before = path.read_bytes()
    new = pipeline.inpaint(path, "0.2-0.3")
    assert isinstance(new, Audio)
    assert new.samples.shape == (2, 22_050)
    assert path.read_bytes() == before
