"""The long part of an evaluation of separators: every song through every one of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from ondes.evaluation.separation_baselines import BASELINES, PartPitches
from ondes.evaluation.separation_songs import Progress, Song
from ondes.representations.ensembles import PartSpec
from ondes.representations.note_sequence import from_note_sequence

if TYPE_CHECKING:
    from symusic.core import ScoreTick


@dataclass(frozen=True, eq=False)
class Separated:
    """What a separator made of a mixture.

    Attributes:
        labels: Index of the part of each note, -1 for none (alternatives, notes); the best guess first.
        confidences: Stated probability that each is right (alternatives, notes); None if nothing is stated.
        scores: The alternatives as scores, if it makes any: their notes are compared with the mixture's.
    """

    labels: Int64[np.ndarray, "alternatives notes"]
    confidences: Float64[np.ndarray, "alternatives notes"] | None = None
    scores: Sequence[ScoreTick] = ()


Separator = Callable[["ScoreTick", tuple[PartSpec, ...], int, int], Separated]
"""Mixture, parts, number of alternatives and seed to labels in the order of the mixture's notes, track by track."""


def not_separated(score: ScoreTick, alternatives: int) -> Separated:
    """Nothing, where a separator has no such parts: tables leave it out."""
    return Separated(np.full((alternatives, score.note_num()), -1, np.int64))


@dataclass(frozen=True, eq=False)
class Outcome:
    """A song as separated once.

    Attributes:
        song: Which.
        labels: As of `Separated`.
        confidences: As of `Separated`.
        changed: Notes of the scores that the mixture does not have, and notes of it that they lack.
        seconds: How long it took, all alternatives together.
    """

    song: Song
    labels: Int64[np.ndarray, "alternatives notes"]
    confidences: Float64[np.ndarray, "alternatives notes"] | None = None
    changed: int = 0
    seconds: float = float("nan")


@dataclass(eq=False)
class SeparationFindings:
    """What every separator made of every song.

    Attributes:
        songs: In order of group.
        outcomes: Separator to the outcomes of all songs, in their order; ours first.
        remarks: What was left out, and why.
    """

    songs: list[Song]
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def separate_songs(
    songs: Sequence[Song],
    separators: Mapping[str, Separator],
    pitches: Mapping[str, PartPitches],
    *,
    alternatives: int,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> SeparationFindings:
    """Everything that has to be separated.

    Args:
        songs: With known parts.
        separators: Name to separator, ours first; the baselines follow.
        pitches: Group to what its training pieces say about parts.
        alternatives: Of each separator.
        seed: Of the first alternative.
        progress: Told of each song.
    """
    findings = SeparationFindings(list(songs))
    for name, separator in separators.items():
        found = findings.outcomes[name] = []
        for number, song in enumerate(songs):
            progress(name, number, len(songs))
            found.append(separate_song(song, separator, alternatives, seed))
        progress(name, len(songs), len(songs))
    for name, rule in BASELINES.items():
        findings.outcomes[name] = [
            Outcome(song, rule(song.piece, song.true, song.parts, pitches[song.group])[None])
            for song in songs
        ]
    return findings


def separate_song(song: Song, separator: Separator, alternatives: int, seed: int) -> Outcome:
    """One song by one separator.

    Raises:
        ValueError: If the separator does not label every note.
    """
    mixture = from_note_sequence(song.mixture)
    began = time.perf_counter()
    made = separator(mixture, song.specs, alternatives, seed)
    seconds = time.perf_counter() - began
    if made.labels.shape[1] != len(song.piece):
        raise ValueError(f"{song.source}: {made.labels.shape[1]} labels for {len(song.piece)} notes")
    changed = sum(changed_notes(mixture, score) for score in made.scores)
    return Outcome(song, made.labels, made.confidences, changed, seconds)


def changed_notes(before: ScoreTick, after: ScoreTick) -> int:
    """Notes that only one of two scores has, whatever their tracks: 0 means nothing invented, nothing lost."""
    counts = [_notes(score) for score in (before, after)]
    return sum(((counts[0] - counts[1]) + (counts[1] - counts[0])).values())


def _notes(score: ScoreTick) -> Counter[tuple[int, ...]]:
    counter: Counter[tuple[int, ...]] = Counter()
    for track in score.tracks:
        columns = track.notes.numpy()
        rows = np.stack([columns[name] for name in ("time", "duration", "pitch", "velocity")], 1)
        counter.update(map(tuple, rows.tolist()))
    return counter
