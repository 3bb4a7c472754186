"""Which parts a separation has: those asked for, those that are known, those that the network proposes."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from ondes.errors import UserError
from ondes.pipelines.separation_notes import MixtureNotes
from ondes.representations.ensembles import TWO_STAVES, PartSpec, parse_ensemble, with_two_hands
from ondes.representations.instrument_names import instrument_name
from ondes.representations.note_sequence import DRUMS, PARTS

if TYPE_CHECKING:
    import symusic.core

MATCH_PER_QUARTER = 96
"""Onsets of known notes are compared in so many parts of a quarter note."""
MIDDLE_C = 60
MOST_PROPOSED = 24
"""Instruments: a proposal names no more, the surest."""


@dataclass(frozen=True)
class Labels:
    """What the network is asked for.

    Attributes:
        parts: What its labels mean; drums are not among them.
        owner: Index of the part that was asked for, of each: the hands of a keyboard share one.
        told: Instrument and number of each, where the network is told others than theirs.
    """

    parts: tuple[PartSpec, ...]
    owner: Int64[np.ndarray, " labels"]
    told: tuple[tuple[int, int], ...] | None = None

    @classmethod
    def of(cls, parts: Sequence[PartSpec], *, hands: bool = False) -> Labels:
        """The labels for some parts.

        A keyboard or harp by itself has a label for each hand, as engraved music has a staff for each; among drums it
        has one, unless `hands` are wanted everywhere.
        """
        pitched = [index for index, part in enumerate(parts) if part.instrument != DRUMS]
        counts = Counter(parts[index].instrument for index in pitched)
        drums = len(pitched) < len(parts) and not hands
        labels, owner = [], []
        for index in pitched:
            alone = counts[parts[index].instrument] == 1 and not drums
            own = with_two_hands((replace(parts[index], part_number=0),)) if alone else (parts[index],)
            labels += own if len(own) > 1 else [parts[index]]
            owner += [index] * len(own)
        return cls(tuple(labels), np.array(owner, np.int64))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Instrument and number of each, as `collate_parts` takes them."""
        if self.told is not None:
            return list(self.told)
        return [(part.instrument, part.part_number) for part in self.parts]


def proposed(counts: Float64[np.ndarray, "instruments counts"]) -> tuple[PartSpec, ...]:
    """The likeliest ensemble, at least one part.

    Args:
        counts: Probability of each number of parts, of each instrument; the last instrument is drums, which are never
            proposed: they can be heard from the channel.
    """
    best = counts[:DRUMS].argmax(1)
    if not best.any():
        best[int(counts[:DRUMS, 0].argmin())] = 1
    best[np.argsort(counts[:DRUMS, 0], kind="stable")[MOST_PROPOSED:]] = 0
    parts = []
    for program in np.flatnonzero(best).tolist():
        number = int(min(best[program], PARTS))
        if program in TWO_STAVES and number == 2:
            number = 1
        name = instrument_name(program)
        parts += [
            PartSpec(name if number == 1 else f"{name} {index + 1}", program, index)
            for index in range(number)
        ]
    return tuple(sorted(parts, key=lambda part: (-(part.low + part.high), part.part_number)))


def asked(into: str | Sequence[PartSpec] | None) -> tuple[PartSpec, ...] | None:
    """The parts that were asked for, read from words; None where the network shall propose.

    Raises:
        UserError: If there is no such instrument, or nobody plays.
    """
    if into is None:
        return None
    parts = parse_ensemble(into) if isinstance(into, str) else tuple(into)
    if not parts:
        raise UserError("nobody plays: no parts were given; name some ('violin, cello'), or leave them out")
    return parts


def with_drums(parts: tuple[PartSpec, ...], notes: MixtureNotes) -> tuple[PartSpec, ...]:
    """The parts, with drums if the score has some.

    Raises:
        UserError: If there is nobody to play the notes that are no drums.
    """
    wanted = any(part.instrument == DRUMS for part in parts)
    drums = int(notes.is_drum.sum())
    if wanted and not drums:
        warnings.warn(
            "drums were asked for and no note of the score is on the drum channel (10): they stay silent; put drums "
            "on that channel, or leave them out",
            stacklevel=1,
        )
    if len(notes) > drums and all(part.instrument == DRUMS for part in parts):
        raise UserError(
            f"nobody plays the {len(notes) - drums} notes that are not on the drum channel (10); name more parts "
            "than drums"
        )
    if drums and not wanted:
        warnings.warn(
            f"{drums} notes are on the drum channel (10) and no drums were asked for: they keep a part of their own",
            stacklevel=1,
        )
        return (*parts, PartSpec("drums", DRUMS))
    return parts


def parts_of_tracks(
    score: symusic.core.ScoreTick, parts: tuple[PartSpec, ...]
) -> tuple[tuple[PartSpec, ...], dict[int, int]]:
    """Which part each track with notes plays: the one of its name, or the next of its instrument; else a new one.

    Returns:
        The parts, with new ones at the end, and the index of the part by that of the track.
    """
    listed = list(parts)
    taken: set[int] = set()
    found: dict[int, int] = {}
    for index, track in enumerate(score.tracks):
        if not len(track.notes):
            continue
        instrument = DRUMS if track.is_drum else int(track.program)
        same = [place for place, part in enumerate(listed) if part.instrument == instrument]
        named = [place for place in same if listed[place].name.lower() == track.name.strip().lower()]
        free = [place for place in same if place not in taken]
        shared = same if len(same) == 1 and (instrument == DRUMS or instrument in TWO_STAVES) else []
        choice = next(iter((*named, *free, *shared)), None)
        if choice is None:
            number = len(same)
            if number >= PARTS:
                raise UserError(
                    f"there are more than {PARTS} known parts of {instrument_name(instrument)}; join some of them"
                )
            listed.append(PartSpec(track.name.strip() or instrument_name(instrument), instrument, number))
            choice = len(listed) - 1
        taken.add(choice)
        found[index] = choice
    return tuple(listed), found


def known_parts(
    score: symusic.core.ScoreTick,
    notes: MixtureNotes,
    given: symusic.core.ScoreTick,
    part_of_track: dict[int, int],
) -> Int64[np.ndarray, " notes"]:
    """Index of the part of each note that another score has too, by onset and pitch; -1 for the others.

    Of several notes of one onset and pitch the one whose length is nearest is taken, each once.
    """
    known = np.full(len(notes), -1, np.int64)
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    onset = np.round(notes.time / score.ticks_per_quarter * MATCH_PER_QUARTER).astype(np.int64)
    for row, key in enumerate(zip(onset.tolist(), notes.pitch.tolist(), strict=True)):
        places[key].append(row)
    theirs = MixtureNotes.of(given)
    scale = score.ticks_per_quarter / given.ticks_per_quarter
    onset = np.round(theirs.time / given.ticks_per_quarter * MATCH_PER_QUARTER).astype(np.int64)
    missing = 0
    for row, key in enumerate(zip(onset.tolist(), theirs.pitch.tolist(), strict=True)):
        free = [mine for mine in places.get(key, ()) if known[mine] < 0]
        if not free:
            missing += 1
            continue
        length = theirs.duration[row] * scale
        nearest = min(free, key=lambda mine: abs(notes.duration[mine] - length))
        known[nearest] = part_of_track[int(theirs.track[row])]
    if missing:
        warnings.warn(
            f"{missing} of {len(theirs)} known notes are not in the score at that place and pitch; they are left out",
            stacklevel=1,
        )
    return known


def kept_parts(notes: MixtureNotes, part_of_track: dict[int, int]) -> Int64[np.ndarray, " notes"]:
    """Index of the part of each note, from that of its track; -1 where that has none."""
    return np.array([part_of_track.get(int(track), -1) for track in notes.track], np.int64)


def labels_for(
    labels: Labels, known: Int64[np.ndarray, " notes"], pitch: Int64[np.ndarray, " notes"]
) -> Int64[np.ndarray, " notes"]:
    """Labels of notes whose parts are known: of two hands the right one from middle C on. -1 elsewhere."""
    table: dict[int, list[int]] = defaultdict(list)
    for label, part in enumerate(labels.owner.tolist()):
        table[part].append(label)
    found = np.full(len(known), -1, np.int64)
    for part, own in table.items():
        mine = known == part
        found[mine] = np.where(pitch[mine] >= MIDDLE_C, own[0], own[-1])
    return found


def already_separate(score: symusic.core.ScoreTick) -> list[str]:
    """Names of the tracks of a score of several instruments or voices, empty where it is a mixture.

    Tracks of one instrument are voices if they have names, and hands if it is a keyboard.
    """
    tracks = [track for track in score.tracks if len(track.notes) and not track.is_drum]
    voices = {
        (track.program, "" if track.program in TWO_STAVES else track.name.strip().lower()) for track in tracks
    }
    if len(voices) < 2:
        return []
    return [track.name.strip() or instrument_name(int(track.program)) for track in tracks]


def warn_if_separate(score: symusic.core.ScoreTick) -> None:
    """Say that the parts of a score which has some are merged."""
    if separate := already_separate(score):
        warnings.warn(
            f"the score has separate parts already ({', '.join(separate)}): they are merged and separated anew; "
            "keep (--keep) leaves them as they are",
            stacklevel=1,
        )
