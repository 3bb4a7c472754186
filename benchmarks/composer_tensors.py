"""How fast a folder of MIDI files becomes training tensors, against the steps of Diffusion-Music-Composer with mido.

Both sides read the same files one after the other in one process: choose the piano track, make triples, filter, split
into segments of 128 notes, scale by the range of all, and give out float32 (segments, 128, 3). File by file in turns,
each first every other time. The other side follows the published steps, written anew here: mido's reader with `clip`,
messages counted, only note messages kept, times of 960 ticks a quarter note in every file. Without `--as-published` its
faults in time and in drums are repaired as ondes repairs them, which changes nothing of its speed but lets the
triples be compared file by file.

    python benchmarks/composer_tensors.py corpus   # 200 files spread over the folder
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NOTES = 128
KEYBOARDS = {*range(8), *range(16, 24)}
LONGEST_TICKS, ASSUMED_TICKS = 2048, 960
DRUM_CHANNEL = 9


def main() -> None:
    options = _options()
    files = spread(sorted(Path(options.folder).rglob("*.mid")), options.files)
    if not files:
        raise SystemExit(f"{options.folder} holds no .mid files")
    sides: dict[str, Callable[[Path], np.ndarray | None]] = {
        "ondes": ours,
        "mido": lambda path: theirs(path, repaired=not options.as_published),
    }
    clock = {"wall": time.perf_counter, "processor": time.process_time}[options.clock]
    scaled([side(path) for side in sides.values() for path in files[:3]])  # imports are not timed
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.repetitions):
        spent = dict.fromkeys(sides, 0.0)
        made: dict[str, list[np.ndarray | None]] = {name: [] for name in sides}
        for number, path in enumerate(files):
            for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
                began_s = clock()
                made[name].append(sides[name](path))
                spent[name] += clock() - began_s
        for name, segments in made.items():
            began_s = clock()
            tensor = scaled(segments)
            spent[name] += clock() - began_s
            print(f"{name}: {tensor.shape} in {spent[name]:.2f} s")
            seconds[name].append(spent[name])
    _report(files, seconds, agreement(made["ondes"], made["mido"]), options)


def spread(files: list[Path], count: int) -> list[Path]:
    """That many files, evenly spread over the list."""
    return [files[index * len(files) // count] for index in range(min(count, len(files)))]


def ours(path: Path) -> np.ndarray | None:
    """Segments of a file by ondes."""
    from ondes.datasets.triple_segments import file_segments  # noqa: PLC0415
    from ondes.representations.triples import TripleLimits  # noqa: PLC0415

    return file_segments(path, limits=TripleLimits())[0]


def scaled(found: list[np.ndarray | None]) -> Any:
    """The training tensor: frequencies and times, each scaled to 0 and 1 by its range over all segments."""
    import torch  # noqa: PLC0415

    from ondes.representations.triples import TripleStatistics, to_scaled  # noqa: PLC0415

    triples = np.concatenate([np.zeros((0, NOTES, 3)), *(one for one in found if one is not None)])
    if not len(triples):
        return torch.zeros(0, NOTES, 3)
    statistics = TripleStatistics.fit(triples, pitch_encoding="hz", scaling="minmax")
    return torch.from_numpy(to_scaled(triples, statistics).astype(np.float32))


def theirs(path: Path, *, repaired: bool) -> np.ndarray | None:
    """Segments of a file by the published steps."""
    import mido  # noqa: PLC0415

    try:
        file = mido.MidiFile(path, clip=True)
    except Exception:  # as published: whatever fails is passed over
        return None
    ticks_per_quarter = file.ticks_per_beat if repaired else ASSUMED_TICKS
    candidates = [track for track in file.tracks if plays_keyboard(track, repaired=repaired)]
    if not candidates:
        return None
    notes = note_rows(max(candidates, key=len), repaired=repaired)
    if notes is None or len(notes) < NOTES:
        return None
    longest = LONGEST_TICKS * ticks_per_quarter / ASSUMED_TICKS
    if any(duration > longest or delta > longest for _, duration, delta in notes):
        return None
    count = len(notes) // NOTES
    segments = np.array(notes[: count * NOTES], np.float64).reshape(count, NOTES, 3)
    return segments / [1, ticks_per_quarter, ticks_per_quarter]


def plays_keyboard(track: Any, *, repaired: bool) -> bool:
    """Whether a track has program changes, all of them to pianos and organs."""
    programs = [message.program for message in track if message.type == "program_change"]
    drums = any(message.type == "note_on" and message.channel == DRUM_CHANNEL for message in track)
    return bool(programs) and KEYBOARDS.issuperset(programs) and not (repaired and drums)


def note_rows(track: Any, *, repaired: bool) -> list[list[float]] | None:
    """Pitch, duration and delta in ticks; None where a note has no end."""
    messages = (
        [message for message in track if message.type in ("note_on", "note_off")] if not repaired else track
    )
    rows: list[list[float]] = []
    sounding: dict[int, tuple[int, int]] = {}
    now = last = 0
    for message in messages:
        now += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        if message.type == "note_on" and message.velocity > 0:
            if message.note not in sounding:
                sounding[message.note] = (len(rows), now)
                rows.append([message.note, np.nan, now - last])
                last = now
        elif message.note in sounding:
            row, began = sounding.pop(message.note)
            rows[row][1] = now - began
    return None if sounding else rows


def agreement(ours_found: list[np.ndarray | None], theirs_found: list[np.ndarray | None]) -> Counter[str]:
    """How many files give the same segments on both sides, notes of a chord in any order."""
    found: Counter[str] = Counter()
    for one, other in zip(ours_found, theirs_found, strict=True):
        if one is None or other is None:
            found["neither" if one is None and other is None else "one side only"] += 1
        elif one.shape == other.shape and np.allclose(sorted_chords(one), sorted_chords(other)):
            found["equal"] += 1
        else:
            found["different"] += 1
    return found


def sorted_chords(segments: np.ndarray) -> np.ndarray:
    """All notes as (onset, pitch, duration), in order."""
    rows = segments.reshape(-1, 3)
    onset = np.round(np.cumsum(rows[:, 2]), 6)
    order = np.lexsort((rows[:, 1], rows[:, 0], onset))
    return np.stack([onset, rows[:, 0], rows[:, 1]], 1)[order]


def _report(files: list[Path], seconds: dict[str, list[float]], same: Counter[str], options: Any) -> None:
    medians = {name: float(np.median(found)) for name, found in seconds.items()}
    print(f"\n{len(files)} files, {options.clock} time, medians of {options.repetitions} rounds\n")
    print("| what | s | files a second | times faster |\n| --- | --- | --- | --- |")
    for name, median_s in medians.items():
        faster = medians["mido"] / median_s
        print(f"| {name} | {median_s:.2f} | {len(files) / median_s:.1f} | {faster:.1f} |")
    words = ", ".join(f"{name}: {count}" for name, count in same.most_common())
    print(f"\nsegments: {words}; {platform.machine()}, Python {platform.python_version()}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="folder of MIDI files")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--as-published", action="store_true", help="with the faults of the published reading"
    )
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor on busy machines"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
