"""What a file looks and sounds like: notes and peaks as JSON, pictures, and audio in another container.

Each function reads a file and writes another; they run in children of the reading process alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ondes.audio import Audio, AudioWriter
from ondes.colours import part_colour
from ondes.errors import UserError
from ondes.files import written_whole

PEAK_COLUMNS = 2000
BLOCK_FRAMES = 65536
PICTURE_RATE_HZ = 44_100
LEAST_PICTURE_SAMPLES = 2048


@dataclass(frozen=True)
class View:
    """One way to look at files of a kind.

    Attributes:
        kind: Of the files.
        reading: The function that makes it, of `reading_process.READINGS`.
        file_name: What it is called on disk.
        media_type: As in HTTP.
        draws: Whether it takes what pictures take.
    """

    kind: str
    reading: str
    file_name: str
    media_type: str
    draws: bool = False


VIEWS = {
    "notes": View("score", "notes", "notes.json", "application/json"),
    "roll.png": View("score", "roll", "roll.png", "image/png", draws=True),
    "peaks": View("audio", "peaks", "peaks.json", "application/json"),
    "mel.png": View("audio", "mel", "mel.png", "image/png", draws=True),
    "flac": View("audio", "sound", "audio.flac", "audio/flac"),
    "wav": View("audio", "sound", "audio.wav", "audio/wav"),
}
"""All views, by the names that requests use."""


def write_notes(path: str, out: str) -> None:
    """The notes of a score in seconds, for a piano roll.

    An object with `parts` (name, program, is_drum, colour), `notes` (rows of onset_s, release_s, pitch, velocity and
    index of the part, by onset), `bars` (seconds at which one begins, and the end of the last), `metres` (of each bar:
    numerator, denominator and its length in quarter notes) and `duration_s`.
    """
    from ondes.score import read_score, to_notes  # noqa: PLC0415

    score = read_score(path)
    notes = to_notes(score)
    columns = (
        *(notes.onset_s.round(4).tolist(), notes.release_s.round(4).tolist()),
        *(notes.pitch.tolist(), notes.velocity.tolist(), notes.part.tolist()),
    )
    parts = [
        {
            "name": part.name,
            "program": part.program,
            "is_drum": part.is_drum,
            "colour": part_colour(index, is_drum=part.is_drum),
        }
        for index, part in enumerate(notes.parts)
    ]
    rows = [list(row) for row in zip(*columns, strict=True)]
    _write_json(out, {"parts": parts, "notes": rows, "duration_s": notes.duration_s} | _bars(score))


def _bars(score: object) -> dict[str, list[Any]]:
    """When bars begin and the last one ends, and their metres; nothing where there are too many."""
    from ondes.representations.bar_table import BarTable  # noqa: PLC0415

    try:
        bars = BarTable.of(score)  # pyright: ignore[reportArgumentType]
    except UserError:
        return {"bars": [], "metres": []}
    borders_s = np.concatenate([[0.0], np.cumsum(60 * bars.length_quarters / bars.bpm)]).round(4)
    metres = zip(
        bars.numerator.tolist(), bars.denominator.tolist(), bars.length_quarters.tolist(), strict=True
    )
    return {"bars": borders_s.tolist(), "metres": [list(metre) for metre in metres]}


def write_peaks(path: str, out: str) -> None:
    """The least and the greatest sample, of all channels, in each of at most `PEAK_COLUMNS` spans of equal length.

    An object with `duration_s`, `sample_rate_hz`, `channels`, `column_s`, `minima` and `maxima`; full scale is 1.
    """
    import soundfile  # noqa: PLC0415

    minima, maxima, frames = [], [], 0
    with soundfile.SoundFile(path) as sound:
        width = max(1, -(-sound.frames // PEAK_COLUMNS))
        while len(block := sound.read(width, dtype="float32")):
            frames += len(block)
            minima.append(round(float(block.min()), 4))
            maxima.append(round(float(block.max()), 4))
        rate_hz, channels = sound.samplerate, sound.channels
    found = {"duration_s": frames / rate_hz, "sample_rate_hz": rate_hz, "channels": channels}
    _write_json(out, found | {"column_s": width / rate_hz, "minima": minima, "maxima": maxima})


def write_sound(path: str, out: str) -> None:
    """The same audio in the container that the new name asks for, block by block; 24 bits where it holds them."""
    import soundfile  # noqa: PLC0415

    with (
        soundfile.SoundFile(path) as sound,
        AudioWriter(out, sample_rate_hz=sound.samplerate, channels=sound.channels) as writer,
    ):
        while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
            writer.write(block.T)


def write_mel(path: str, out: str) -> None:
    """A mel spectrogram of the mean of all channels, with its axes."""
    from ondes.picture import draw_mel, picture_mel  # noqa: PLC0415

    sound = Audio.read(path)
    mono = Audio(sound.samples.mean(axis=0, keepdims=True), sound.sample_rate_hz).resample(PICTURE_RATE_HZ)
    missing = max(0, LEAST_PICTURE_SAMPLES - mono.samples.shape[1])
    draw_mel(Path(out), picture_mel(Audio(np.pad(mono.samples, [(0, 0), (0, missing)]), PICTURE_RATE_HZ)))


def write_roll(path: str, out: str) -> None:
    """A piano roll, coloured by part."""
    from ondes.picture import draw_scores  # noqa: PLC0415
    from ondes.score import read_score, to_notes  # noqa: PLC0415

    draw_scores(Path(out), {"": to_notes(read_score(path))})


def _write_json(out: str, value: object) -> None:
    with written_whole(Path(out)) as neighbour:
        neighbour.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
