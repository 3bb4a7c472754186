"""URMP (Li et al. 2019): 44 pieces of chamber music, each part recorded alone and mixed.

Read from the public layout: folders `<NN>_<piece>_<instrument>_...` with `AuMix_*.wav`, one
`Notes_<i>_<instrument>_<NN>_<piece>.txt` a player (onset in seconds, pitch in Hz, duration in seconds), and the score
`Sco_*.mid`. The annotations follow the recording, the score does not: its tempo is another. Training from scores, as
the PyTorch port does, needs the programs written into them first: `ondes data clean-urmp`. mirdata has no
loader for it.
"""

from __future__ import annotations

import math
import os
import re
from functools import partial
from pathlib import Path

from ondes.datasets.recordings import (
    PLAIN_VELOCITY,
    Recording,
    RejectedError,
    Rejections,
    checked_split,
    find_root,
    notes_of_rows,
)
from ondes.errors import UserError, nearest
from ondes.files import written_whole
from ondes.notes import Notes
from ondes.score import read_score, to_notes

PROGRAMS = {
    "vn": 40,
    "va": 41,
    "vc": 42,
    "db": 43,
    "tpt": 56,
    "tbn": 57,
    "tba": 58,
    "hn": 60,
    "sax": 65,
    "ob": 68,
    "bn": 70,
    "cl": 71,
    "fl": 73,
}
"""General MIDI programs of the instruments' codes in file names."""
SAXOPHONES = (65, 64)
"""Alto, as the PyTorch port has it, and soprano, as the official models do."""
HELD_OUT = (1, 2, 12, 13, 24, 25, 31, 38, 39)
"""Pieces for validation and for testing alike, in the port and in the official pipeline."""
NOTE_SOURCES = ("annotations", "score")

PIECE = re.compile(r"\d\d_.+")
ANNOTATION = re.compile(r"Notes_([0-9]+)_[^_]+_.+\.txt")


def read_urmp(
    folder: str | os.PathLike[str],
    split: str,
    *,
    sax: int = SAXOPHONES[0],
    notes: str = "annotations",
    midi_folder: str | os.PathLike[str] | None = None,
) -> tuple[list[Recording], Rejections]:
    """The pieces of a split, mixed; validation and test are the same nine pieces.

    Args:
        folder: Where the pieces' folders are, or the folder above.
        split: See `SPLIT_NAMES`.
        sax: Program of saxophones, 65 or 64.
        notes: `annotations` of the performance, or the `score`.
        midi_folder: What `clean_urmp` wrote; needed for scores.

    Raises:
        UserError: If the folder is no URMP, or an option is unknown or missing.
    """
    split = checked_split(split)
    _check_sax(sax)
    if notes not in NOTE_SOURCES:
        raise UserError(f"unknown source of notes {notes!r}; {nearest(notes, NOTE_SOURCES)}")
    if notes == "score" and midi_folder is None:
        raise UserError(
            "scores of URMP need a folder of clean MIDI files; make it with 'ondes data clean-urmp'"
        )
    root = find_root(folder, "URMP", ["[0-9][0-9]_*/AuMix*.wav", "[0-9][0-9]_*/Notes_*.txt"], inner="*")
    rejections = Rejections()
    recordings = []
    for piece in _pieces(root):
        if (int(piece.name[:2]) in HELD_OUT) != (split != "train"):
            continue
        try:
            audio = _first(piece, "AuMix*.wav", "missing audio")
            if notes == "score":
                assert midi_folder is not None
                labels = (Path(midi_folder) / f"{piece.name}.mid",)
                load = partial(_read_midi, labels[0])
            else:
                labels = _annotations(piece)
                load = partial(read_annotations, labels, sax)
        except RejectedError as error:
            rejections.add("urmp", piece.name, error.reason, error.detail)
            continue
        recordings.append(
            Recording(piece.name, "urmp", split, (audio,), labels, load, options=f"{notes}, sax {sax}")
        )
    return recordings, rejections


def read_annotations(paths: tuple[Path, ...], sax: int = SAXOPHONES[0]) -> Notes:
    """The notes of all players, one part each; pitches are rounded to semitones.

    Args:
        paths: The files `Notes_<i>_<instrument>_<NN>_<piece>.txt` of one piece.
        sax: Program of saxophones.

    Raises:
        UserError: If a line does not hold three numbers, or an instrument is unknown.
    """
    rows, parts = [], []
    for index, path in enumerate(paths):
        code = path.name.split("_")[2]
        parts.append((code, _program(code, sax, path.name), False))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                onset_s, pitch_hz, duration_s = map(float, line.replace(",", " ").split())
                pitch = round(69 + 12 * math.log2(pitch_hz / 440))
            except (ValueError, OverflowError):
                raise UserError(f"{path}: line {number} is not onset, pitch and duration: {line!r}") from None
            rows.append((onset_s, onset_s + duration_s, pitch, PLAIN_VELOCITY, index))
    return notes_of_rows(rows, parts)


def clean_urmp(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], *, sax: int = SAXOPHONES[0]
) -> list[Path]:
    """Write the scores of all pieces with the programs that the folders' names say.

    Nothing is written unless every score fits its folder's name.

    Args:
        folder: Where the pieces' folders are, or the folder above.
        out: Folder for `<piece folder>.mid`, made if missing.
        sax: Program of saxophones, 65 or 64.

    Returns:
        The files.

    Raises:
        UserError: If the folder is no URMP, or a score has not one track an instrument; it names the piece.
    """
    _check_sax(sax)
    root = find_root(folder, "URMP", ["[0-9][0-9]_*/*.mid"], inner="*")
    scores = {}
    for piece in _pieces(root):
        for midi in sorted(piece.glob("*.mid"))[:1]:
            codes = piece.name.split("_")[2:]
            score = read_score(midi)
            tracks = [track for track in score.tracks if len(track.notes)]
            if len(tracks) != len(codes):
                raise UserError(
                    f"{midi} has {len(tracks)} tracks with notes but the folder names {len(codes)} instruments "
                    f"({' '.join(codes)}); repair or remove the piece"
                )
            for track, code in zip(tracks, codes, strict=True):
                track.program, track.is_drum = _program(code, sax, piece.name), False
            scores[f"{piece.name}.mid"] = bytes(score.dumps_midi())
    place = Path(out)
    place.mkdir(parents=True, exist_ok=True)
    for name, midi_bytes in scores.items():
        with written_whole(place / name) as partial_file:
            partial_file.write_bytes(midi_bytes)
    return [place / name for name in scores]


def _check_sax(sax: int) -> None:
    if sax not in SAXOPHONES:
        raise UserError(
            f"program {sax} for saxophones; give 65 (alto) or 64 (soprano, as the official models)"
        )


def _program(code: str, sax: int, where: str) -> int:
    if code not in PROGRAMS:
        raise UserError(f"{where}: unknown instrument {code!r}; {nearest(code, PROGRAMS)}")
    return sax if code == "sax" else PROGRAMS[code]


def _pieces(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and PIECE.fullmatch(path.name))


def _first(piece: Path, pattern: str, reason: str) -> Path:
    found = sorted(piece.glob(pattern))
    if not found:
        raise RejectedError(reason, f"{piece}: no {pattern}")
    return found[0]


def _annotations(piece: Path) -> tuple[Path, ...]:
    """The files of notes, one for each instrument in the folder's name, in the order of their numbers."""
    named = ((ANNOTATION.fullmatch(path.name), path) for path in sorted(piece.glob("Notes_*.txt")))
    found = {int(match[1]): path for match, path in named if match}
    expected = len(piece.name.split("_")) - 2
    if len(found) != expected:
        raise RejectedError("missing notes", f"{piece}: {len(found)} of {expected} files Notes_*.txt")
    return tuple(found[number] for number in sorted(found))


def _read_midi(path: Path) -> Notes:
    return to_notes(read_score(path))
