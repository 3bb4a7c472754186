"""Notes in seconds: what every representation, metric and picture is made from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.controls import Controls
from ondes.errors import UserError

LEAST_NOTE_S = 1e-3
"""Zero-length notes, common in drum tracks, are given this much."""


@dataclass(frozen=True, eq=False)
class Part:
    """One instrument of one track; `program` is its General MIDI number from 0, and 0 for drums."""

    name: str
    program: int
    is_drum: bool
    controls: Controls


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes as arrays (notes,), sorted by onset, part and pitch; the tempo map is applied.

    Args:
        onset_s: Beginnings in seconds.
        release_s: When the sound is let go, pedals included, at least 1 ms after the onset.
        key_release_s: When the key comes up, as written.
        pitch: 0 to 127, 60 is middle C; for drums the General MIDI drum.
        velocity: 1 to 127.
        program: General MIDI program from 0; 0 for drums.
        is_drum: Whether the note is a drum.
        part: Index into `parts`.
        parts: The instruments.
        duration_s: End of the last event of the score.
    """

    onset_s: Float64[np.ndarray, " notes"]
    release_s: Float64[np.ndarray, " notes"]
    key_release_s: Float64[np.ndarray, " notes"]
    pitch: Int64[np.ndarray, " notes"]
    velocity: Int64[np.ndarray, " notes"]
    program: Int64[np.ndarray, " notes"]
    is_drum: Bool[np.ndarray, " notes"]
    part: Int64[np.ndarray, " notes"]
    parts: tuple[Part, ...]
    duration_s: float

    def __len__(self) -> int:
        return len(self.onset_s)

    def select(self, mask: Bool[np.ndarray, " notes"] | Int64[np.ndarray, " chosen"]) -> Notes:
        """The chosen notes, with all parts and the same duration.

        Args:
            mask: One truth value a note, or ascending indices.
        """
        arrays = {name: value[mask] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def window(self, start_s: float, end_s: float) -> Notes:
        """The notes that sound between two times, with time counted from the first.

        Notes that sound already begin at a negative time, and keep their length beyond the end.

        Raises:
            UserError: If the window ends before it begins.
        """
        if not start_s <= end_s:
            raise UserError(f"a window from {start_s} s to {end_s} s; give a start before its end")
        inside = self.select((self.onset_s < end_s) & (self.release_s > start_s))
        parts = tuple(replace(part, controls=part.controls.shifted(-start_s)) for part in self.parts)
        return replace(
            inside,
            onset_s=inside.onset_s - start_s,
            release_s=inside.release_s - start_s,
            key_release_s=inside.key_release_s - start_s,
            parts=parts,
            duration_s=end_s - start_s,
        )
