"""GuitarSet (Xi et al. 2018): 360 excerpts of acoustic guitar, 30 s each, annotated string by string.

Read from `annotation/<name>.jams` and `audio_mono-mic/<name>_mic.wav` of the Zenodo release. A JAMS file is JSON; the
notes are the six annotations of namespace `note_midi`. With `loader="mirdata"` mirdata's index says which excerpts
there are, so that missing ones are counted, and its loader reads their notes: the same ones, as the tests show. It is
not the default, since it brings 600 MB of packages and an index to be downloaded; the splits are ours in either case.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ondes.datasets.mirdata_sets import FILES, MIRDATA, checked_loader, open_mirdata, require_mirdata
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
STRINGS = 6
HELD_OUT = "3"
"""The third of the three chord progressions is for validation and for testing."""


def read_guitarset(
    folder: str | os.PathLike[str], split: str, *, program: int = STEEL_GUITAR, loader: str = FILES
) -> tuple[list[Recording], Rejections]:
    """The recordings of a split: the progressions 1 and 2 are for training, 3 for validation and for testing alike.

    Args:
        folder: Where `annotation` and `audio_mono-mic` are.
        split: See `SPLIT_NAMES`.
        program: General MIDI program of the notes; the official models were trained with 24.
        loader: "files" takes what is there, "mirdata" what mirdata's index lists.

    Raises:
        UserError: If the folder is no GuitarSet, there is no such program or loader, the split is unknown, or mirdata
            or its index is missing.
    """
    split = checked_split(split)
    through_mirdata = checked_loader(loader) == MIRDATA
    if not 0 <= program <= 127:
        raise UserError(f"program {program} for guitars; General MIDI has 0 to 127, give 24 or 25")
    root = find_root(folder, "GuitarSet", ["annotation/*.jams"], inner="*")
    rejections = Rejections()
    recordings = []
    for name, path, audio in _listed(root) if through_mirdata else _found(root):
        progression = name.partition("-")[0][-1:]
        if (progression == HELD_OUT) != (split != "train"):
            continue
        missing = [(what, file) for what, file in (("audio", audio), ("notes", path)) if not file.is_file()]
        if missing:
            what, file = missing[0]
            rejections.add("guitarset", name, f"missing {what}", str(file))
            continue
        load = partial(read_strings_with_mirdata if through_mirdata else read_strings, path, program)
        options = f"program {program}{' mirdata' if through_mirdata else ''}"
        recordings.append(Recording(name, "guitarset", split, (audio,), (path,), load, options=options))
    return recordings, rejections


def _found(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, annotation and audio of each excerpt that is annotated."""
    for path in sorted(root.glob("annotation/*.jams")):
        yield path.stem, path, root / "audio_mono-mic" / f"{path.stem}_mic.wav"


def _listed(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """The same of each excerpt that mirdata lists, whether it is there or not."""
    for name, track in sorted(open_mirdata("guitarset", root).load_tracks().items()):
        yield name, Path(track.jams_path), Path(track.audio_mic_path)


def read_strings_with_mirdata(path: Path, program: int = STEEL_GUITAR) -> Notes:
    """The notes of the six strings as mirdata reads them, each a part; pitches are rounded to semitones.

    Raises:
        UserError: If mirdata is missing, or cannot read the file.
    """
    load_notes = require_mirdata("mirdata.datasets.guitarset").load_notes
    try:
        strings = [load_notes(str(path), index) for index in range(STRINGS)]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{path} is no JAMS file of GuitarSet ({error!r})") from None
    rows = [
        (float(onset_s), float(release_s), round(float(pitch)), PLAIN_VELOCITY, index)
        for index, string in enumerate(strings)
        if string is not None
        for (onset_s, release_s), pitch in zip(string.intervals, string.pitches, strict=True)
    ]
    return notes_of_rows(rows, [(f"string {index}", program, False) for index in range(STRINGS)])


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
