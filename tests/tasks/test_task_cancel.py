"""A task stops before the next evaluation of a network, whatever it is at, and leaves no hook behind."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_bench import Studio, contents, counted
from torch import nn

from ondes.tasks.bench import Cancelled
from ondes.tasks.kinds import read_task
from ondes.tasks.working import entrances

TASKS: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "synthesize", "score": "x"}, "synthesiser", "synth"),
    ({"kind": "compose", "notes": 40, "steps": 6}, "composer", "composer"),
    ({"kind": "separate", "score": "x", "into": "piano, bass", "n": 4, "steps": 3}, "separator", "separator"),
    ({"kind": "generate", "duration_s": 1.0, "steps": 6}, "audio", "audio"),
    ({"kind": "vary", "audio": "x"}, "audio", "audio"),
    ({"kind": "interpolate", "first": "x", "second": "y", "method": "inversion"}, "audio", "audio"),
    ({"kind": "inpaint", "audio": "x", "regions": "0.2-1.5"}, "audio", "audio"),
    ({"kind": "outpaint", "audio": "x", "before_s": 1}, "audio", "audio"),
]


def network_of(pipeline: Any) -> nn.Module:
    return pipeline.components.get("denoiser") or pipeline.components["network"]


@pytest.mark.parametrize(("options", "kind", "model"), TASKS, ids=lambda one: str(one)[:30])
@pytest.mark.filterwarnings("ignore:the score is separate")
def test_every_task_stops_within_one_evaluation(
    options: dict[str, Any], kind: Any, model: str, tiny: Studio
) -> None:
    name = str(tiny.folder / model)
    network = network_of(tiny.shelf.pipeline(kind, name))
    task = read_task(options | {"model": name})
    with counted(network) as count, pytest.raises(Cancelled):
        tiny.run(task, cancelled=lambda: count.evaluations >= 2)
    assert count.evaluations == 2


def test_a_task_that_is_cancelled_before_it_began_asks_no_network(tiny: Studio) -> None:
    name = str(tiny.folder / "audio")
    with counted(network_of(tiny.shelf.pipeline("audio", name))) as count, pytest.raises(Cancelled):
        tiny.run(read_task({"kind": "generate", "model": name}), cancelled=lambda: True)
    assert count.evaluations == 0


def test_hooks_are_gone_afterwards_and_change_nothing(tiny: Studio) -> None:
    name = str(tiny.folder / "audio")
    pipeline = tiny.shelf.pipeline("audio", name)
    task = read_task({"kind": "generate", "duration_s": 0.5, "model": name})
    alone = next(iter(pipeline.stream(0.5, seed=0)))
    first, _ = tiny.run(task)
    with pytest.raises(Cancelled):
        tiny.run(task, cancelled=lambda: True)
    again, _ = tiny.run(task)
    assert contents(first) == contents(again)
    assert next(iter(pipeline.stream(0.5, seed=0))).samples.tobytes() == alone.samples.tobytes()
    assert all(not module._forward_pre_hooks for module in entrances(pipeline))
    assert len(entrances(pipeline)) > 2
