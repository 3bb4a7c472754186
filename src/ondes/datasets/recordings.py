"""Recordings: audio files and where their notes are written down, and what could not be used and why.

The readers of public data sets (`musicnet`, `maestro`, `guitarset`, `urmp`, `slakh`, `audio_folder`, `rendered`) give
lists of recordings. They look at file names and indexes only; audio and notes are read when they are asked for,
`feature_cache` does so once and in parallel, and everything that turns out to be unusable is counted by reason.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from ondes.audio import Audio
from ondes.controls import Controls
from ondes.datasets.named import SPLITS
from ondes.errors import UserError, nearest
from ondes.files import written_whole
from ondes.notes import LEAST_NOTE_S, Notes, Part

PLAIN_VELOCITY = 100
"""Of notes in data sets that say nothing about loudness."""

COMPARED_S = 20.0
"""Of a mix and its stems."""
LARGEST_RESIDUE = 0.05
"""Share of a mix's energy that its stems may leave unexplained."""
SAME_GAIN = 0.01

SPLIT_NAMES = {**{split: split for split in SPLITS}, "val": "validation", "valid": "validation"}
"""What people call the splits."""


class RejectedError(Exception):
    """A recording that cannot be used.

    Args:
        reason: A few words that are the same for all recordings with this trouble; they are counted.
        detail: What is wrong with this one.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass
class Rejections:
    """What was left out: how many by reason, and each with its data set, name and details."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, dataset: str, name: str, reason: str, detail: str = "") -> None:
        """Count a recording, or a stem of one."""
        self.counts[reason] += 1
        self.rows.append({"dataset": dataset, "id": name, "reason": reason, "detail": detail})

    def update(self, others: Rejections) -> None:
        """Count the rejections of another reader too."""
        self.counts.update(others.counts)
        self.rows += others.rows

    def lines(self) -> list[str]:
        """One line a reason, the commonest first, each with its first example."""
        examples = {row["reason"]: row for row in reversed(self.rows)}
        return [
            f"{count} x {reason}, the first {examples[reason]['dataset']} {examples[reason]['id']}"
            for reason, count in self.counts.most_common()
        ]

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        report = {"counts": dict(self.counts.most_common()), "rejected": self.rows}
        with written_whole(path) as partial:
            partial.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class StemLevel:
    """A finished mix and all stems it was made from: they say what a sum of stems must be multiplied with.

    Args:
        stems: Every stem that was mixed.
        mix: The mix.
    """

    stems: tuple[Path, ...]
    mix: Path

    def gain(self) -> float:
        """The factor between the summed stems and the mix, 1 where they agree to 1 %.

        Raises:
            RejectedError: If the stems do not add up to the mix at any level.
        """
        return _level_gain(self.stems, self.mix)


@dataclass(frozen=True, eq=False)
class Recording:
    """Audio on disk with its notes.

    Args:
        id: Name within the data set.
        dataset: Short name of the data set.
        split: `train`, `validation` or `test`.
        audio: Files that are added up; the channels of each are averaged.
        labels: Files the notes come from; the cache looks at them for changes.
        load_notes: Reads the notes; it can be pickled.
        options: Settings of the reader that change the notes, in words; part of the cache's key.
        gain: Factor of the summed audio.
        level: Where the factor has to be measured; `gain` comes on top.
        duration_s: Length in seconds, where an index says so.
    """

    id: str
    dataset: str
    split: str
    audio: tuple[Path, ...]
    labels: tuple[Path, ...]
    load_notes: Callable[[], Notes]
    options: str = ""
    gain: float = 1.0
    level: StemLevel | None = None
    duration_s: float | None = None

    def read_audio(self, sample_rate_hz: int) -> Float32[np.ndarray, " time"]:
        """The whole sound in mono, resampled once after everything is added up.

        Raises:
            RejectedError: If a file is missing or no whole audio file, or stems and mix disagree.
        """
        gain = self.gain * (self.level.gain() if self.level else 1.0)
        total, rate_hz = np.zeros(0, np.float32), 0
        for path in self.audio:
            audio = read_whole(path)
            if rate_hz not in (0, audio.sample_rate_hz):
                raise RejectedError("stems of different sample rates", str(path))
            rate_hz, mono = audio.sample_rate_hz, audio.samples.mean(axis=0)
            if len(mono) > len(total):
                total = np.pad(total, (0, len(mono) - len(total)))
            total[: len(mono)] += mono
        return Audio(gain * total[None], rate_hz).resample(sample_rate_hz).samples[0]

    def read_notes(self) -> Notes:
        """The notes, at least one.

        Raises:
            RejectedError: If there are none, or their files are missing or damaged.
        """
        missing = next((path for path in self.labels if not path.is_file()), None)
        if missing is not None:
            raise RejectedError("missing notes", str(missing))
        try:
            notes = self.load_notes()
        except (UserError, OSError, UnicodeDecodeError) as error:
            raise RejectedError("corrupt notes", str(error)) from error
        if not len(notes):
            raise RejectedError("no notes", ", ".join(map(str, self.labels)))
        return notes


def read_whole(path: Path) -> Audio:
    """An audio file of which nothing is missing.

    Raises:
        RejectedError: If it is missing, damaged, cut off or empty.
    """
    import soundfile  # noqa: PLC0415

    if not path.is_file():
        raise RejectedError("missing audio", str(path))
    try:
        audio, told = Audio.read(path), soundfile.info(path).frames
    except (UserError, soundfile.LibsndfileError) as error:
        raise RejectedError("corrupt audio", str(error)) from error
    if audio.samples.shape[1] != told or not told:
        raise RejectedError("corrupt audio", f"{path}: {audio.samples.shape[1]} of {told} samples are there")
    return audio


@lru_cache(maxsize=256)
def _level_gain(stems: tuple[Path, ...], mix: Path) -> float:
    """Least squares over a stretch in the middle of the mix; once a song, for all its sub-mixes."""
    heard, start = _stretch(mix, None)
    total = np.zeros_like(heard)
    for stem in stems:
        piece, _ = _stretch(stem, start)
        total[: len(piece)] += piece[: len(total)]
    energy, mix_energy = float(total @ total), float(heard @ heard)
    if energy == 0 and mix_energy == 0:
        return 1.0
    gain = float(heard @ total) / max(energy, 1e-12)
    residue = heard - gain * total
    if gain <= 0 or float(residue @ residue) > LARGEST_RESIDUE * mix_energy:
        raise RejectedError("stems are not those of the mix", str(mix))
    return 1.0 if abs(gain - 1) < SAME_GAIN else gain


def _stretch(path: Path, start: int | None) -> tuple[Float64[np.ndarray, " time"], int]:
    """`COMPARED_S` of a file in mono from a sample on, or from its middle; and where it starts."""
    import soundfile  # noqa: PLC0415

    if not path.is_file():
        raise RejectedError("missing audio", str(path))
    try:
        with soundfile.SoundFile(path) as file:
            frames = min(round(COMPARED_S * file.samplerate), file.frames)
            first = (file.frames - frames) // 2 if start is None else min(start, file.frames)
            file.seek(first)
            return file.read(frames, dtype="float64", always_2d=True).mean(axis=1), first
    except (soundfile.LibsndfileError, OSError) as error:
        raise RejectedError("corrupt audio", f"{path}: {error}") from error


def checked_split(split: str) -> str:
    """The split by the name that is used here.

    Raises:
        UserError: If there is no such split.
    """
    if split not in SPLIT_NAMES:
        raise UserError(f"unknown split {split!r}; {nearest(split, SPLIT_NAMES)}")
    return SPLIT_NAMES[split]


def find_root(folder: str | os.PathLike[str], what: str, patterns: Sequence[str], *, inner: str = "") -> Path:
    """The folder where a data set's files lie: the one given, or one below it that archives unpack to.

    Args:
        folder: What the user gave.
        what: Name of the data set.
        patterns: Of which at least one must be there, such as `annotation/*.jams`.
        inner: Pattern of folders to look into as well.

    Raises:
        UserError: If there is no such folder, or none of the patterns; it names them.
    """
    given = Path(folder)
    if not given.is_dir():
        lack = "is a file" if given.exists() else "does not exist"
        name = what if what.startswith("folder") else f"{what} folder"
        raise UserError(f"the {name} {given} {lack}; give the folder that holds {patterns[0]}")
    for root in [given, *(sorted(given.glob(inner)) if inner else [])]:
        if any(next(root.glob(pattern), None) for pattern in patterns):
            return root
    raise UserError(f"{given} is no {what}: it has no {' and no '.join(patterns)}; give the folder that has")


def notes_of_rows(
    rows: Iterable[tuple[float, float, int, int, int]], parts: Sequence[tuple[str, int, bool]]
) -> Notes:
    """Notes from plain rows, sorted, at least 1 ms long.

    Args:
        rows: Onset and release in seconds, pitch, velocity, index into the parts.
        parts: Name, General MIDI program from 0, and whether it is drums.

    Raises:
        UserError: If a number is no note's.
    """
    table = np.array(list(rows), np.float64).reshape(-1, 5)
    if not np.isfinite(table).all() or (table[:, 0] < 0).any():
        raise UserError("notes at negative times or at none; repair the annotation")
    if ((table[:, 2] < 0) | (table[:, 2] > 127)).any():
        raise UserError("notes beyond pitch 0 to 127; repair the annotation")
    if any(not 0 <= program <= 127 for _, program, _ in parts):
        raise UserError("instruments beyond program 0 to 127; repair the annotation")
    table = table[np.lexsort((table[:, 2], table[:, 4], table[:, 0]))]
    part = table[:, 4].astype(np.int64)
    release_s = np.maximum(table[:, 1], table[:, 0] + LEAST_NOTE_S)
    return Notes(
        onset_s=table[:, 0],
        release_s=release_s,
        key_release_s=release_s,
        pitch=table[:, 2].astype(np.int64),
        velocity=table[:, 3].astype(np.int64),
        program=np.array([program for _, program, _ in parts], np.int64)[part],
        is_drum=np.array([is_drum for *_, is_drum in parts], np.bool_)[part],
        part=part,
        parts=tuple(Part(name, program, is_drum, Controls()) for name, program, is_drum in parts),
        duration_s=float(release_s.max(initial=0.0)),
    )


def joined(pieces: Sequence[Notes]) -> Notes:
    """Notes that sound together, as one; the parts of each follow those of the one before."""
    firsts = np.cumsum([0, *(len(piece.parts) for piece in pieces)])
    shifted = [replace(piece, part=piece.part + first) for piece, first in zip(pieces, firsts, strict=False)]
    columns = [name for name, value in vars(shifted[0]).items() if isinstance(value, np.ndarray)]
    both = Notes(
        **{name: np.concatenate([getattr(piece, name) for piece in shifted]) for name in columns},
        parts=tuple(part for piece in pieces for part in piece.parts),
        duration_s=max(piece.duration_s for piece in pieces),
    )
    return both.select(np.lexsort((both.pitch, both.part, both.onset_s)))


def without_overlaps(notes: Notes) -> Notes:
    """Each note ends where the same pitch of the same program begins again; of those that begin together one stays.

    So the official pipeline treats Slakh, where several stems may play one program.
    """
    order = np.lexsort((notes.release_s, notes.onset_s, notes.pitch, notes.program, notes.is_drum))
    key = (notes.is_drum * 128 + notes.program)[order] * 128 + notes.pitch[order]
    same = np.append(key[1:] == key[:-1], False)
    following_s = np.where(same, np.append(notes.onset_s[order][1:], 0.0)[: len(order)], np.inf)
    release_s, key_release_s = notes.release_s.copy(), notes.key_release_s.copy()
    release_s[order] = np.minimum(release_s[order], following_s)
    key_release_s[order] = np.minimum(key_release_s[order], following_s)
    cut = replace(notes, release_s=release_s, key_release_s=key_release_s)
    return cut.select(release_s > notes.onset_s)
