"""What a new user can begin with: the scores of the package, and how their beginnings sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ondes.errors import nearest
from ondes.scores import BUNDLED_SCORES
from ondes.studio.tables import NotFound

SOUNDS = Path(__file__).parent / "sounds"
"""The first bars of each score as `synth-small` plays them with the seed 1, 10.5 and 8 s of notes; Apache-2.0."""


@dataclass(frozen=True)
class Example:
    """A file of the package.

    Attributes:
        name: After "example:", where a reference to a file is asked for.
        path: Where it is.
        file_name: For display and downloads.
        origin: How records call it, where they can name it at all.
    """

    name: str
    path: Path
    file_name: str
    origin: str = ""


EXAMPLES = (
    *(
        Example(score.name, score.path, f"{score.name}.mid", f"bundled:{score.name}")
        for score in BUNDLED_SCORES
    ),
    *(
        Example(f"{score.name}-played", SOUNDS / f"{score.name}.ogg", f"{score.name}-played.ogg")
        for score in BUNDLED_SCORES
    ),
)


def example_named(name: str) -> Example:
    """The example of this name.

    Raises:
        NotFound: If there is none; the message names the nearest.
    """
    for example in EXAMPLES:
        if example.name == name:
            return example
    known = nearest(name, [example.name for example in EXAMPLES])
    raise NotFound(f"there is no example {name[:40]!r}: {known}")
