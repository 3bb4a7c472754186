from __future__ import annotations

import json

import pytest
import torch

from ondes.models.vocoder import Vocoder
from ondes.pipelines.bundled import WEIGHTS
from ondes.pipelines.limiter import Limiter
from ondes.pipelines.playback import REACH_FRAMES, heard_frames
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.representations.segments import PACE, segments
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]
from playing import dry_frames  # pyright: ignore[reportMissingImports]
from tiny_model import save_tiny_model  # pyright: ignore[reportMissingImports]

WHOLE = {"segment_frames": 512, "context_frames": 64, "first_frames": 220}


def test_the_bundled_vocoder_reaches_so_far() -> None:
    config = json.loads((WEIGHTS / "vocoder-small" / "config.json").read_text())
    assert (config["blocks"] + 1) * (config["kernel_frames"] // 2) == REACH_FRAMES


def test_the_bundled_synthesiser_begins_with_three_blocks_of_the_vocoder() -> None:
    config = json.loads((WEIGHTS / "synth-small" / "model_index.json").read_text())
    assert {name: config[name] for name in WHOLE} == WHOLE
    # Two frames less would be heard a block later.
    assert heard_frames(220) == 3 * 64 - 5
    assert heard_frames(218) == 2 * 64 - 5


def test_what_is_heard_is_what_vocoder_and_limiter_have_given_out() -> None:
    torch.manual_seed(0)
    vocoder = Vocoder(width=8, hidden=8, blocks=8).eval()
    assert vocoder.reach_frames == REACH_FRAMES
    stream, limiter = vocoder.stream(), Limiter()
    made = given = 0
    for more in (64, 26, 1, 63, 1, 100, 128):
        made += more
        given += len(limiter.push(stream.push(torch.full((2, 128, more), -8.0))))
        # All of the last frame but a few samples may be there too.
        assert heard_frames(made) * 512 <= given < (heard_frames(made) + 1) * 512


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> SynthesisPipeline:
    """A tiny network in windows as long as the bundled model's."""
    pipeline = SynthesisPipeline.from_pretrained(save_tiny_model(tmp_path_factory.mktemp("m") / "tiny"))
    pipeline.register_to_config(**WHOLE)
    return pipeline


def test_joins_are_where_windows_end(pipeline: SynthesisPipeline) -> None:
    for frames, joins in ((220, []), (221, [220]), (1100, [220, 412, 604, 796, 988])):
        times = pipeline.join_times_s(frames * 512 / 44_100)
        assert (times * 44_100 / 512).round(6).tolist() == joins


@pytest.mark.slow
def test_a_stream_at_nine_tenths_of_real_time_never_runs_dry(pipeline: SynthesisPipeline) -> None:
    song = plain_notes([(0.0, 0.4, 60, 90, 0)], duration_s=12.0)
    blocks = [block.samples.shape[1] / 512 for block in pipeline.stream(song, steps=1)]
    frames = round(sum(blocks))
    plan = segments(frames, window=512, context=64, first=220, multiple=2, heard=heard_frames)
    assert len(blocks) == len(plan) == 7
    given = [sum(blocks[: k + 1]) for k in range(len(blocks))]
    # The whole piece takes 0.9 of its length, every window in proportion to its own.
    cost = 0.9 * frames / sum(segment.frames for segment in plan)
    assert dry_frames([cost * segment.frames for segment in plan], given) == 0.0
    # The same at the pace that is promised for whole windows, but not at one that no plan can hold.
    for pace, holds in ((PACE, True), (1.2, False)):
        costs = [pace * 448 / 512 * segment.frames for segment in plan]
        assert (dry_frames(costs, given) == 0.0) == holds
