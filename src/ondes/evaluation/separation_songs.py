"""The music on which separators are measured: songs of known ensembles, with the part of each note."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from ondes.datasets.music21_corpus import music21_entries, read_music21
from ondes.datasets.named import ScoreEntry
from ondes.datasets.recordings import RejectedError
from ondes.datasets.score_folders import read_entry
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.evaluation.separation_baselines import Part
from ondes.representations.ensembles import PartSpec, parse_ensemble
from ondes.representations.instrument_names import instrument_name
from ondes.representations.note_sequence import DRUMS, NoteSequence, to_note_sequence
from ondes.training.mixture_windows import labels_of, part_names

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

QUARTET, SONG, CHORALE, ORCHESTRA = "string quartet", "voice and piano", "chorale", "orchestra"
GROUPS = (QUARTET, SONG, CHORALE, ORCHESTRA)

_QUARTET = ((40, 0), (40, 1), (41, 0), (42, 0))
_CHOIR = tuple((part.instrument, part.part_number) for part in parse_ensemble("choir"))
_CHORALE_NAMES = ("soprano", "alto", "tenor", "bass")
_VOICES = (52, 53, 54)
_BAND = frozenset((*range(24, 40), DRUMS))
FEWEST_OF_ORCHESTRA = 8
FEWEST_NOTES = 64

_FAMILIES = (
    (range(8), "keyboards"),
    (range(8, 16), "percussion"),
    (range(16, 24), "keyboards"),
    (range(24, 40), "plucked"),
    (range(40, 46), "strings"),
    (range(46, 47), "plucked"),
    (range(47, 48), "percussion"),
    (range(48, 52), "strings"),
    (range(52, 56), "voices"),
    (range(56, 64), "brass"),
    (range(64, 80), "woodwind"),
    (range(104, 109), "plucked"),
    (range(112, 120), "percussion"),
    (range(DRUMS, DRUMS + 1), "percussion"),
)


def family(instrument: int) -> str:
    """Section of an orchestra that an instrument sits in."""
    return next((name for programs, name in _FAMILIES if instrument in programs), "others")


@dataclass(frozen=True, eq=False)
class Song:
    """A song, or a stretch of one, whose parts are known.

    Attributes:
        source: Which song.
        group: One of `GROUPS`.
        piece: Its notes by onset and pitch, so that their order says nothing about their parts; drums last.
        parts: Instrument and number of each part.
        roles: What its figures are pooled under, of each part: the part, or in orchestras the family.
    """

    source: str
    group: str
    piece: NoteSequence
    parts: list[Part]
    roles: list[str]

    @property
    def true(self) -> Int64[np.ndarray, " notes"]:
        """Part of each note."""
        return labels_of(self.piece, self.parts)

    @property
    def specs(self) -> tuple[PartSpec, ...]:
        """The parts as a separator is asked for them."""
        return tuple(
            PartSpec(f"{instrument_name(instrument)} {number + 1}", instrument, number)
            for instrument, number in self.parts
        )

    @property
    def mixture(self) -> NoteSequence:
        """The notes as one piano, drums apart."""
        nothing = np.zeros_like(self.piece.part_number)
        instrument = np.where(self.piece.instrument == DRUMS, DRUMS, 0)
        return replace(self.piece, instrument=instrument, part_number=nothing)


def group_of(parts: Sequence[Part]) -> str | None:
    """Which ensemble plays, if it is one that is measured; chorales are those of the music21 corpus."""
    instruments = {instrument for instrument, _ in parts}
    if tuple(parts) == _QUARTET:
        return QUARTET
    if len(parts) == 3 and {(0, 0), (0, 1)} < set(parts) and any(voice in instruments for voice in _VOICES):
        return SONG
    winds = [part for part in parts if family(part[0]) in ("brass", "woodwind")]
    strings = any(family(instrument) == "strings" for instrument in instruments)
    if len(parts) >= FEWEST_OF_ORCHESTRA and strings and len(winds) > 1 and not instruments & _BAND:
        return ORCHESTRA
    return None


def to_song(source: str, sequence: NoteSequence, group: str | None = None) -> Song | None:
    """A piece as a song to measure with; None if it is of no group or has next to no notes."""
    parts = part_names(sequence)
    group = group or group_of(parts)
    if group is None or len(sequence) < FEWEST_NOTES:
        return None
    order = np.lexsort((sequence.pitch, sequence.onset_quarters, sequence.instrument == DRUMS))
    return Song(source, group, sequence.select(order), parts, _roles(group, parts))


def _roles(group: str, parts: Sequence[Part]) -> list[str]:
    """What each part is measured as; of other groups than the evaluation's its instrument."""
    if group == ORCHESTRA:
        return [family(instrument) for instrument, _ in parts]
    if group == QUARTET:
        return ["violin 1", "violin 2", "viola", "cello"]
    if group == CHORALE:
        return list(_CHORALE_NAMES)
    if group == SONG:
        hands = ("right", "left")
        return [f"piano, {hands[number]} hand" if not kind else "voice" for kind, number in parts]
    return [instrument_name(instrument) for instrument, _ in parts]


def cut(song: Song, notes: int, *, seed: int = 0) -> Song:
    """A stretch of so many notes from anywhere in a song; the parts asked for stay those of the whole song."""
    start = int(
        np.random.default_rng(position_seed(seed, "stretch", song.source)).integers(
            0, max(len(song.piece) - notes, 0) + 1
        )
    )
    return replace(song, piece=song.piece.select(np.arange(start, min(start + notes, len(song.piece)))))


def read_songs(
    entries: Sequence[ScoreEntry],
    *,
    most: int,
    groups: Sequence[str] = GROUPS,
    stage: str = "reading",
    progress: Progress = lambda *_: None,
) -> list[Song]:
    """The songs of a data set that are of some groups.

    Collections are read in turns, so that each group is met early.

    Args:
        entries: The data set.
        most: Songs of each group.
        groups: Which.
        stage: What the progress is called.
        progress: Told of each score.
    """
    songs: list[Song] = []
    counts = dict.fromkeys(groups, 0)
    for number, entry in enumerate(_in_turns(entries)):
        progress(stage, number, len(entries))
        if all(count >= most for count in counts.values()):
            break
        try:
            song = to_song(entry.id, to_note_sequence(read_entry(entry)))
        except (UserError, RejectedError) as error:
            log.info("%s is left out: %s", entry.id, error)
            continue
        if song is not None and counts.get(song.group, most) < most:
            counts[song.group] += 1
            songs.append(song)
    progress(stage, len(entries), len(entries))
    return songs


def read_chorales(split: str, *, most: int) -> list[Song]:
    """Bach's chorales for four voices from the corpus of music21.

    Args:
        split: "train" or "test", by work.
        most: How many.

    Raises:
        UserError: If music21 is not installed.
    """
    entries = [entry for entry in music21_entries() if entry.composer == "bach" and entry.split == split]
    songs: list[Song] = []
    for entry in entries:
        if len(songs) == most:
            break
        try:
            score = read_music21(entry.path)
        except (UserError, RejectedError) as error:
            log.info("%s is left out: %s", entry.id, error)
            continue
        names = tuple(track.name.lower() for track in score.tracks)
        sequence = to_note_sequence(score)
        if names != _CHORALE_NAMES or len(part_names(sequence)) < len(names):
            continue
        choir = np.array(_CHOIR)[sequence.track]
        sung = replace(sequence, instrument=choir[:, 0], part_number=choir[:, 1])
        if (song := to_song(entry.id, sung, CHORALE)) is not None:
            songs.append(song)
    return songs


def _in_turns(entries: Iterable[ScoreEntry]) -> Iterator[ScoreEntry]:
    """One of each collection, then the next of each."""
    queues: dict[str, list[ScoreEntry]] = {}
    for entry in entries:
        queues.setdefault(entry.collection, []).append(entry)
    for turn in range(max(map(len, queues.values()), default=0)):
        yield from (queue[turn] for queue in queues.values() if turn < len(queue))
