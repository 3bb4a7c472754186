"""The scores that come with the package, for `ondes demo` and for a first try."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ondes.errors import UserError, nearest


@dataclass(frozen=True)
class BundledScore:
    """One score of the package: what it is called, what it is, where it lies, and under which terms."""

    name: str
    title: str
    file_name: str
    licence: str

    @property
    def path(self) -> Path:
        """The Standard MIDI File on disk."""
        return Path(__file__).parent / self.file_name


BUNDLED_SCORES = (
    BundledScore(
        name="prelude",
        title="J. S. Bach, Prelude in C major, BWV 846",
        file_name="bwv846_prelude.mid",
        licence="music in the public domain; this encoding Apache-2.0",
    ),
    BundledScore(
        name="band",
        title="Nine O'Clock Ferry, for a small band",
        file_name="band.mid",
        licence="original, Apache-2.0",
    ),
)


def bundled_score(name: str) -> BundledScore:
    """The bundled score of this name.

    Raises:
        UserError: If there is none; the message lists those there are.
    """
    for score in BUNDLED_SCORES:
        if score.name == name:
            return score
    hint = nearest(name, [score.name for score in BUNDLED_SCORES])
    raise UserError(f"no bundled score is called {name!r}: {hint}")
