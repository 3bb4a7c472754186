"""All kinds of tasks, and how one is read from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from ondes.errors import UserError, nearest
from ondes.tasks.compose import Compose
from ondes.tasks.editing import Inpaint, Interpolate, Outpaint, Vary
from ondes.tasks.generate import Generate
from ondes.tasks.separate import Separate
from ondes.tasks.synthesize import Synthesize
from ondes.tasks.task import Task, checked

AnyTask = Annotated[
    Compose | Separate | Synthesize | Generate | Vary | Interpolate | Inpaint | Outpaint,
    Field(discriminator="kind"),
]

TASKS: dict[str, type[Task]] = {
    "compose": Compose,
    "separate": Separate,
    "synthesize": Synthesize,
    "generate": Generate,
    "vary": Vary,
    "interpolate": Interpolate,
    "inpaint": Inpaint,
    "outpaint": Outpaint,
}
"""By kind, in the order in which people meet them."""


def read_task(data: str | bytes | Mapping[str, Any]) -> Task:
    """A task of its JSON, or of the object in it; the inverse of `model_dump_json` and `model_dump`.

    Raises:
        UserError: If there is no such kind, or an option is missing, unknown or out of bounds.
    """
    if isinstance(data, str | bytes):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise UserError("the task is no JSON; give an object with its kind and options") from error
    if not isinstance(data, Mapping):
        raise UserError("the task is no object; give its kind and options")
    kind = str(data.get("kind", ""))
    if kind not in TASKS:
        raise UserError(f"there is no task {kind!r}: {nearest(kind, TASKS)}")
    return checked(TASKS[kind], data)
