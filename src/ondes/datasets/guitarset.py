"""GuitarSet (Xi et al. 2018): 360 excerpts of acoustic guitar, 30 s each, annotated string by string.

Read from `annotation/<name>.jams` and `audio_mono-mic/<name>_mic.wav` of the Zenodo release. A JAMS file is JSON; the
notes are the six annotations of namespace `note_midi`. mirdata 1.0 reads the same six annotations (the tests compare
with it) but lists nothing before its index is downloaded, has no splits, and brings 600 MB of packages: it is used for
what it alone has, the checksums (`checksums`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ondes.datasets.recordings import (
    PLAIN_VELOCITY,
    Recording,
    Rejections,
    checked_split,
    find_root,
    notes_of_rows,
)
from ondes.errors import UserError
from ondes.notes import Notes

STEEL_GUITAR = 25
HELD_OUT = "3"
"""The third of the three chord progressions is for validation and for testing."""


def read_guitarset(
    folder: str | os.PathLike[str], split: str, *, program: int = STEEL_GUITAR
) -> tuple[list[Recording], Rejections]:
    """The recordings of a split: the progressions 1 and 2 are for training, 3 for validation and for testing alike.

    Args:
        folder: Where `annotation` and `audio_mono-mic` are.
        split: See `SPLIT_NAMES`.
        program: General MIDI program of the notes; the official models were trained with 24.

    Raises:
        UserError: If the folder is no GuitarSet, there is no such program, or the split is unknown.
    """
    split = checked_split(split)
    if not 0 <= program <= 127:
        raise UserError(f"program {program} for guitars; General MIDI has 0 to 127, give 24 or 25")
    root = find_root(folder, "GuitarSet", ["annotation/*.jams"], inner="*")
    rejections = Rejections()
    recordings = []
    for path in sorted(root.glob("annotation/*.jams")):
        name = path.stem
        progression = name.partition("-")[0][-1:]
        if (progression == HELD_OUT) != (split != "train"):
            continue
        audio = root / "audio_mono-mic" / f"{name}_mic.wav"
        if not audio.is_file():
            rejections.add("guitarset", name, "missing audio", str(audio))
            continue
        load = partial(read_strings, path, program)
        recordings.append(
            Recording(name, "guitarset", split, (audio,), (path,), load, options=f"program {program}")
        )
    return recordings, rejections


def read_strings(path: Path, program: int = STEEL_GUITAR) -> Notes:
    """The notes of the six strings, each a part; pitches are rounded to semitones.

    Raises:
        UserError: If the file is no JAMS or has no annotation of notes.
    """
    try:
        jams = json.loads(path.read_text(encoding="utf-8"))
        strings = [found for found in jams["annotations"] if found["namespace"] == "note_midi"]
        rows = [
            (time_s, time_s + duration_s, round(value), PLAIN_VELOCITY, index)
            for index, string in enumerate(strings)
            for time_s, duration_s, value in _observations(string["data"])
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is no JAMS file of GuitarSet ({error!r})") from None
    if not strings:
        raise UserError(f"{path} has no annotation of namespace note_midi")
    return notes_of_rows(rows, [(f"string {index}", program, False) for index in range(len(strings))])


def _observations(data: object) -> Iterator[tuple[float, float, float]]:
    """Time, duration and value of each, whether rows or columns are stored; JAMS allows both."""
    if isinstance(data, dict):
        columns = [data["time"], data["duration"], data["value"]]
        yield from ((float(a), float(b), float(c)) for a, b, c in zip(*columns, strict=True))
    elif isinstance(data, list):
        yield from ((float(row["time"]), float(row["duration"]), float(row["value"])) for row in data)
    else:
        raise TypeError(f"data of type {type(data).__name__}")
