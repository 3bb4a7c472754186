"""Edits of sounds can be heard while they are made: what is final is given out, and nothing before that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tiny_bench import Studio, counted

from ondes.audio import Audio
from ondes.tasks.kinds import read_task

RATE_HZ = 44_100


@dataclass
class Heard:
    """What a listener gets of a task.

    Attributes:
        blocks: All of them.
        after: How often the network had been asked before each.
        asked: How often in all.
        result: What the file holds in the end.
    """

    blocks: list[np.ndarray] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    asked: int = 0
    result: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def before_evaluation(self, number: int) -> int:
        """Samples that are heard before the network is asked for the so manyth time, from 1."""
        return sum(
            block.shape[1] for block, asked in zip(self.blocks, self.after, strict=True) if asked < number
        )


def listen(tiny: Studio, **options: Any) -> Heard:
    """Run a task on the sound of two seconds, and listen."""
    name = str(tiny.folder / "audio")
    task = read_task({"model": name, "steps": 2, **options})
    heard = Heard()
    with counted(tiny.shelf.pipeline("audio", name).network) as count:

        def on_block(block: Audio) -> None:
            heard.blocks.append(block.samples)
            heard.after.append(count.evaluations)

        made, _ = tiny.run(task, on_block=on_block)
    heard.asked = count.evaluations
    heard.result = Audio.read(made / "audio.wav").samples
    return heard


@pytest.fixture(scope="module")
def sound(tiny: Studio) -> np.ndarray:
    return Audio.read(tiny.sources["audio"]).samples


def test_what_lies_before_a_region_is_heard_before_anything_is_made(tiny: Studio, sound: np.ndarray) -> None:
    heard = listen(tiny, kind="inpaint", audio="x", regions="1.5-1.7")
    first = round(1.5 * RATE_HZ)
    assert heard.before_evaluation(1) == first
    assert heard.asked >= 2
    whole = np.concatenate(heard.blocks, axis=1)
    np.testing.assert_array_equal(whole[:, :first], sound[:, :first])
    np.testing.assert_array_equal(whole[:, round(1.7 * RATE_HZ) :], sound[:, round(1.7 * RATE_HZ) :])
    np.testing.assert_allclose(whole, heard.result, atol=2**-23)  # 24 bits


def test_a_region_is_heard_before_the_next_one_is_made(tiny: Studio) -> None:
    heard = listen(tiny, kind="inpaint", audio="x", regions="0.5-0.6,1.5-1.6")
    assert heard.before_evaluation(1) == round(0.5 * RATE_HZ)
    assert heard.before_evaluation(heard.asked) >= round(1.5 * RATE_HZ)


def test_a_sound_is_heard_before_what_comes_after_it_and_not_before_what_comes_first(tiny: Studio) -> None:
    after = listen(tiny, kind="outpaint", audio="x", after_s=0.5)
    assert after.before_evaluation(1) == 2 * RATE_HZ
    both = listen(tiny, kind="outpaint", audio="x", before_s=0.5, after_s=0.5)
    assert both.before_evaluation(1) == 0
    assert both.before_evaluation(both.asked) >= 2.5 * RATE_HZ
    np.testing.assert_allclose(np.concatenate(both.blocks, axis=1), both.result, atol=2**-23)


@pytest.mark.parametrize(
    "options", [{"kind": "vary", "audio": "x"}, {"kind": "interpolate", "first": "x", "second": "y"}]
)
def test_windows_are_heard_one_by_one(tiny: Studio, options: dict[str, Any]) -> None:
    heard = listen(tiny, **options)
    windows = heard.asked // 2
    assert windows >= 3
    assert len(set(heard.after)) >= 3
    # The middle is heard before the last window is begun.
    assert heard.before_evaluation(heard.asked - 1) > RATE_HZ
    np.testing.assert_allclose(np.concatenate(heard.blocks, axis=1), heard.result, atol=1 / 32768)


def test_a_loudness_is_heard_at_the_end_for_all_must_be_known(tiny: Studio) -> None:
    heard = listen(tiny, kind="vary", audio="x", loudness_lufs=-23)
    assert set(heard.after) == {heard.asked}
