"""The scores that come with music21: chorales, quartets, folk songs. Needs the extra `music21`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ondes.datasets.named import ScoreEntry

if TYPE_CHECKING:
    import symusic.core

NAME = "music21"
"""What the data set is called."""


def music21_entries() -> list[ScoreEntry]:
    """The scores of the corpus, in order of path; movements of a work are in one split.

    Raises:
        UserError: If music21 is not installed.
    """
    raise NotImplementedError


def read_music21(path: Path) -> symusic.core.ScoreTick:
    """A score by music21.

    Raises:
        UserError: If music21 is not installed, or cannot read it.
    """
    raise NotImplementedError
