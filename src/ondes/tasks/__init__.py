"""Tasks: one object a job, which runs the same in the process, in the studio's worker and on Ray.

Names are imported when they are first used, so that the functions beside them cost no one pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ondes.tasks.bench import Cancelled, Workbench
    from ondes.tasks.compose import Compose
    from ondes.tasks.editing import Inpaint, Interpolate, Outpaint, Vary
    from ondes.tasks.generate import Generate
    from ondes.tasks.kinds import TASKS, AnyTask, read_task
    from ondes.tasks.separate import Separate
    from ondes.tasks.shelf import ModelShelf
    from ondes.tasks.synthesize import Synthesize
    from ondes.tasks.task import Made, Outcome, Reference, Source, Task

_HOMES = {
    "AnyTask": "kinds",
    "Cancelled": "bench",
    "Compose": "compose",
    "Generate": "generate",
    "Inpaint": "editing",
    "Interpolate": "editing",
    "Made": "task",
    "ModelShelf": "shelf",
    "Outcome": "task",
    "Outpaint": "editing",
    "Reference": "task",
    "Separate": "separate",
    "Source": "task",
    "Synthesize": "synthesize",
    "TASKS": "kinds",
    "Task": "task",
    "Vary": "editing",
    "Workbench": "bench",
    "read_task": "kinds",
}

__all__ = [
    "TASKS",
    "AnyTask",
    "Cancelled",
    "Compose",
    "Generate",
    "Inpaint",
    "Interpolate",
    "Made",
    "ModelShelf",
    "Outcome",
    "Outpaint",
    "Reference",
    "Separate",
    "Source",
    "Synthesize",
    "Task",
    "Vary",
    "Workbench",
    "read_task",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ondes.tasks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ondes.tasks.{_HOMES[name]}"), name)
