"""How much a studio may be asked for, and where it keeps things."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondes.errors import UserError
from ondes.files import written_whole

MIB, GIB = 2**20, 2**30
SETTINGS_FILE = "settings.json"


def default_folder() -> Path:
    """Where a studio keeps jobs and files if nobody says: the user's data folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "ondes" / "studio"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ondes" / "studio"


@dataclass(frozen=True)
class StudioSettings:
    """What one studio allows.

    Args:
        folder: Holds the database, the files and the jobs; one server at a time uses it.
        queue_limit: Jobs that may wait; one more is refused.
        workers: Processes that run jobs, each on a processor or more.
        models_in_memory: Pipelines that a worker holds; the least recently used goes first.
        threads: Of torch in a worker; its own choice if missing.
        upload_bytes: Largest file to upload.
        audio_s: Longest audio to read and to make, in seconds.
        notes: Most notes in a score.
        wall_s: Longest that a job may run, in seconds; then it fails.
        keep_s: Seconds after which files are deleted.
        storage_bytes: Size of all files together, from which on the oldest go before their time.
        inspect_s: Longest that reading an upload may take, in seconds.
        inspect_bytes: Memory that reading an upload may take.
        attempts: How often a job is begun that a dying worker interrupts.
        resume: Whether interrupted jobs go on by themselves; if not, `Studio.resume` makes them.
        models: Names of models that a job may ask for; the bundled ones if empty. A request never names a folder.

    Raises:
        UserError: If a limit is not positive.
    """

    folder: Path
    queue_limit: int = 64
    workers: int = 1
    models_in_memory: int = 1
    threads: int | None = None
    upload_bytes: int = 64 * MIB
    audio_s: float = 600.0
    notes: int = 100_000
    wall_s: float = 1800.0
    keep_s: float = 86400.0
    storage_bytes: int = 8 * GIB
    inspect_s: float = 20.0
    inspect_bytes: int = 1 * GIB
    attempts: int = 3
    resume: bool = True
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
                raise UserError(f"{field.name} is {value}; give more than 0")

    def write(self) -> None:
        """Leave the settings in the folder, for the workers to read."""
        data = dataclasses.asdict(self) | {"folder": ""}
        with written_whole(self.folder / SETTINGS_FILE) as neighbour:
            neighbour.write_text(json.dumps(data, indent=2), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> StudioSettings:
        """What `write` left in a folder.

        Raises:
            UserError: If there are none, or they are damaged.
        """
        try:
            data: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            return cls(**data | {"folder": folder, "models": tuple(data["models"])})
        except (OSError, ValueError, TypeError, KeyError):
            raise UserError(f"{folder} is not the folder of a studio; start 'ondes studio' with it") from None
