"""The JSON file beside composed scores that says how they were made, so that they can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondes.errors import UserError
from ondes.sidecar import Source, is_marked, read_marked, write_marked

FORMAT = 1
MARK = "ondes_composition"
"""The key under which the version of the layout stands."""


@dataclass(frozen=True)
class Composition:
    """What it takes to compose the same scores again.

    Attributes:
        verb: Of the pipeline: "generate", "extend", "infill" or "vary".
        count: How many scores, each with the seed after the one before.
        choices: Keyword arguments of the verb.
        threads: CPU threads of torch.
        score: The score that was edited, if one was.
        model: The model.
        outputs: SHA-256 by file name, in order.
        versions: Of the packages that take part.
    """

    verb: str
    count: int
    choices: dict[str, Any]
    threads: int
    score: Source | None
    model: Source
    outputs: dict[str, str]
    versions: dict[str, str]

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_marked(self, path, mark=MARK, version=FORMAT)

    @classmethod
    def read(cls, path: Path) -> Composition:
        """Read what `write` wrote.

        Raises:
            UserError: If the file has another version, or missing, unknown or ill-typed fields.
        """
        data = read_marked(path, mark=MARK, version=FORMAT, what="composition")
        try:
            data["model"] = Source(**data["model"])
            data["score"] = None if data["score"] is None else Source(**data["score"])
            made = cls(**data)
            whole = all(isinstance(getattr(made, name), dict) for name in ("choices", "outputs", "versions"))
            if not whole or type(made.count) is not int or type(made.threads) is not int:
                raise TypeError("a field has another type than it should")
        except (KeyError, TypeError) as error:
            raise UserError(f"{path} is a damaged composition: {error}; compose again") from error
        return made


def is_composition(path: Path) -> bool:
    """Whether a file can be read as a composition."""
    return is_marked(path, MARK)
