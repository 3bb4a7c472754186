"""Edits as streams: what is read in blocks, never held as a whole, and nothing of it computed twice."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ondes.audio import Audio, AudioWriter
from ondes.errors import UserError
from ondes.pipelines import splicing
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.audio_canvas import Canvas
from ondes.pipelines.audio_inputs import open_sound
from ondes.pipelines.audio_variation import inversions_kept
from ondes.pipelines.audio_windows import WindowMaker
from ondes.representations.regions import Region
from tiny_model import save_tiny_audio  # pyright: ignore[reportMissingImports]

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AudioPipeline:
    return AudioPipeline.from_pretrained(save_tiny_audio(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions from less."""
    monkeypatch.setattr(splicing, "PREDICTION_ORDER", 32)
    monkeypatch.setattr(splicing, "PREDICTION_CONTEXT", 1024)


def noise(samples: int, channels: int = 2) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


VERBS: list[tuple[str, dict[str, Any]]] = [
    ("inpaint", {"regions": [Region(5000, 9001), Region(9500, 20_000), Region(30_000, 35_280)]}),
    ("outpaint", {"before_s": 1.7, "after_s": 0.4}),
    ("vary", {"strength": 0.4}),
]


@pytest.mark.parametrize(("verb", "choices"), VERBS)
def test_how_a_sound_is_read_changes_nothing(
    pipeline: AudioPipeline, verb: str, choices: dict[str, Any]
) -> None:
    source = open_sound((noise(35_280), RATE_HZ))
    rows = np.concatenate(list(source.blocks()), axis=1)
    pieces = replace(source, blocks=lambda: iter(np.split(rows, range(777, 35_280, 777), axis=1)))
    whole, streamed = getattr(pipeline, verb), getattr(pipeline, f"stream_{verb}")
    blocks = list(streamed(pieces, seed=3, **choices))
    assert len(blocks) > 1
    assert np.array_equal(
        Audio.concatenate(blocks).samples, whole(Audio(rows, RATE_HZ), seed=3, **choices).samples
    )


def test_a_canvas_holds_only_what_is_still_needed() -> None:
    source = open_sound((noise(400_000, 1), RATE_HZ))
    rows = np.concatenate(list(source.blocks()), axis=1)
    pieces = replace(source, blocks=lambda: iter(np.split(rows, range(1000, 400_000, 1000), axis=1)))
    canvas = Canvas(pieces, offset=0, length=400_000, regions=[Region(100_000, 300_000)])
    # The region is skipped, so what lies in it is never held.
    after = canvas.read(300_000, 301_500)
    assert np.array_equal(after, rows[:, 300_000:301_500])
    held = sum(samples.shape[1] for _, samples in canvas._held)
    assert held <= 100_000 + 3000
    (block,) = canvas.blocks(0, 100_000, needed=95_000)
    assert np.array_equal(block, rows[:, :100_000])
    held = sum(samples.shape[1] for _, samples in canvas._held)
    assert held <= 5000 + 3000


@pytest.mark.parametrize("verb", ["inpaint", "outpaint"])
@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(pipeline: AudioPipeline, verb: str, tmp_path: Path) -> None:
    peaks = []
    for seconds in (20, 80):
        path = tmp_path / f"{seconds}.wav"
        with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=1, encoding="float") as writer:
            for _ in range(seconds):
                writer.write(noise(RATE_HZ, 1))
        choices: dict[str, Any] = {"regions": "9.5-10"} if verb == "inpaint" else {"after_s": 0.5}
        tracemalloc.start()
        try:
            made = sum(
                block.samples.shape[1] for block in getattr(pipeline, f"stream_{verb}")(path, **choices)
            )
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert made == seconds * RATE_HZ + (verb == "outpaint") * RATE_HZ // 2
    # The longer file alone takes 14 MB.
    assert peaks[1] < peaks[0] + 1e6


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    Audio(noise(150_000), RATE_HZ).write(tmp_path / "take.ogg")
    source = open_sound(tmp_path / "take.ogg")
    whole = Audio.read(tmp_path / "take.ogg")
    assert source.samples == whole.samples.shape[1]
    assert np.array_equal(source.audio().samples, whole.samples)
    assert len(list(source.blocks())) > 1


def test_a_file_with_nan_in_its_middle_is_refused_before_work(
    pipeline: AudioPipeline, tmp_path: Path
) -> None:
    rows = noise(300_000)
    rows[0, 200_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", rows.T, RATE_HZ, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: 1 samples are NaN"):
        pipeline.stream_inpaint(tmp_path / "nan.wav", "0.1-0.2")


def test_a_walk_inverts_each_window_of_both_ends_once(
    pipeline: AudioPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    invert = WindowMaker.invert

    def counted(self: WindowMaker, *arguments: Any) -> Any:
        calls.append(arguments)
        return invert(self, *arguments)

    monkeypatch.setattr(WindowMaker, "invert", counted)
    ends = [(noise(48_000)[:, start:], RATE_HZ) for start in (0, 3000)]
    settings = {"method": "inversion", "strength": 0.8}
    walk = pipeline.interpolate(*ends, ratios=[0.0, 0.3, 1.0], **settings)
    windows = len(pipeline.plan(-(-45_000 // 512)))
    assert len(calls) == 2 * windows
    assert windows > 1
    assert isinstance(walk, list)
    alone = pipeline.interpolate(*ends, ratio=0.3, **settings)
    assert np.array_equal(alone.samples, walk[1].samples)
    assert len(calls) == 4 * windows


def test_other_settings_are_other_inversions(
    pipeline: AudioPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ((noise(20_000)[:, start:], RATE_HZ) for start in (0, 500))

    def blocks(steps: int) -> Iterator[Audio]:
        return pipeline.stream_interpolate(first, second, method="inversion", steps=steps)

    with inversions_kept():
        kept = [Audio.concatenate(blocks(steps)).samples for steps in (1, 3)]
    for made, steps in zip(kept, (1, 3), strict=True):
        assert np.array_equal(made, Audio.concatenate(blocks(steps)).samples)
