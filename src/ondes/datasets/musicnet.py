"""MusicNet (Thickstun et al. 2017, arXiv 1611.09827): 330 recordings of classical music, about 34 hours.

Read from the layout of the Zenodo release: `{train,test}_data/<id>.wav` and `{train,test}_labels/<id>.csv` with the
columns start_time, end_time (samples at 44.1 kHz), instrument (General MIDI from 1), note, start_beat, end_beat,
note_value. The labels say nothing about velocity. mirdata has no loader for it.
"""

from __future__ import annotations

import csv
import os
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
from ondes.errors import UserError, nearest
from ondes.notes import Notes

LABEL_RATE_HZ = 44100
VALIDATION = (2336, 2466, 2160, 1818, 1733, 1765, 2198, 2300, 2308, 2477, 2611, 2289, 1790, 2315, 2504)
TEST = (2118, 2501, 1813, 1729, 1893, 2296, 1776, 2487, 2537, 2186, 2431, 2432, 2497, 2621, 2507)
"""The splits that published spectrogram diffusion was trained with; the data set's own has ten test recordings."""

SPLIT_RULES = ("port", "official")


def read_musicnet(
    folder: str | os.PathLike[str], split: str, *, splits: str = "port"
) -> tuple[list[Recording], Rejections]:
    """The recordings of a split.

    Args:
        folder: Where `train_data` and its siblings are, or the folder above.
        split: See `SPLIT_NAMES`.
        splits: `port`: both folders are pooled, 15 recordings are for validation and 15 for testing; `official`: the
            folders are the splits, and there is no validation.

    Raises:
        UserError: If the folder is no MusicNet, or split or rule are unknown.
    """
    split = checked_split(split)
    if splits not in SPLIT_RULES:
        raise UserError(f"unknown rule {splits!r} of splits; {nearest(splits, SPLIT_RULES)}")
    root = find_root(folder, "MusicNet", ["train_data/*.wav", "test_data/*.wav"], inner="musicnet")
    rejections = Rejections()
    recordings = []
    for half in ("train", "test"):
        audio = {path.stem: path for path in (root / f"{half}_data").glob("*.wav")}
        labels = {path.stem: path for path in (root / f"{half}_labels").glob("*.csv")}
        for name in sorted(audio | labels):
            if split != (half if splits == "official" else _port_split(name)):
                continue
            if name not in audio or name not in labels:
                reason = "missing notes" if name in audio else "missing audio"
                rejections.add("musicnet", name, reason, str(audio.get(name) or labels.get(name)))
                continue
            path = labels[name]
            recordings.append(
                Recording(name, "musicnet", split, (audio[name],), (path,), partial(read_labels, path))
            )
    return recordings, rejections


def read_labels(path: Path) -> Notes:
    """The notes of a file of labels; one part an instrument.

    Raises:
        UserError: If a column is missing or holds no number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = [
                (int(row["start_time"]), int(row["end_time"]), int(row["note"]), int(row["instrument"]) - 1)
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is no MusicNet label file ({error})") from None
    programs = sorted({program for *_, program in found})
    part = {program: index for index, program in enumerate(programs)}
    return notes_of_rows(
        (
            (start / LABEL_RATE_HZ, end / LABEL_RATE_HZ, pitch, PLAIN_VELOCITY, part[program])
            for start, end, pitch, program in found
        ),
        [(f"program {program}", program, False) for program in programs],
    )


def _port_split(name: str) -> str:
    number = int(name) if name.isdecimal() else 0
    return "validation" if number in VALIDATION else "test" if number in TEST else "train"
