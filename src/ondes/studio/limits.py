"""What a job may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ondes.errors import UserError, nearest

if TYPE_CHECKING:
    from ondes.studio.settings import StudioSettings
    from ondes.studio.store import File
    from ondes.tasks.task import Task

ALWAYS = ("griffin-lim",)
"""Names that stand for no weights."""

WRITES_NOTES = ("compose", "separate")
"""Tasks whose results last no time of their own."""


def check_models(task: Task, allowed: Iterable[str]) -> None:
    """Refuse models that are not allowed, folders and names of the Hub among them.

    Raises:
        UserError: If there is one.
    """
    names = list(allowed)
    for name in task.models():
        if name not in (*names, *ALWAYS):
            raise UserError(f"the model {name[:60]!r} is not one of this studio: {nearest(name, names)}")


def check_limits(task: Task, files: Mapping[str, File], settings: StudioSettings) -> None:
    """Refuse what is too long or too much.

    Args:
        task: What is asked for.
        files: Its inputs.
        settings: What is allowed.

    Raises:
        UserError: If it is.
    """
    count = max(int(getattr(task, "n", 1)), int(getattr(task, "walk", None) or 1))
    notes = max((file.notes or 0 for file in files.values()), default=0)
    notes = count * max(notes, int(getattr(task, "notes", None) or 0))
    if notes > settings.notes:
        raise UserError(f"the job takes {notes} notes; {settings.notes} are allowed, so ask for fewer")
    if task.kind in WRITES_NOTES:
        return
    length_s = max((file.duration_s or 0.0 for file in files.values()), default=0.0)
    asked_s = task.asked_s() + count * length_s
    if asked_s > settings.audio_s:
        raise UserError(
            f"the job makes {asked_s:.0f} s of audio; {settings.audio_s:g} s are allowed, so ask for less"
        )
