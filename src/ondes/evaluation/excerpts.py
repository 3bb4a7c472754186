"""Excerpts of a test split, of four kinds in fixed proportions.

The kinds are told by the parts of a score, not by the collection it comes from, so any data set will do: one
part alone (a piano on two staves counts as one), a voice with piano, a bowed quartet, a band with drums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.controls import Controls, Steps
from ondes.errors import UserError
from ondes.score import Notes, notes_to_score, read_score, to_notes

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from ondes.datasets.named import ScoreEntry

GROUPS = {"solo": 16, "voice+piano": 12, "quartet": 6, "band": 6}
"""How many excerpts of each kind 40 have."""

SOLO_CYCLE = (
    *("piano", "plucked", "bowed", "piano", "wind", "plucked", "piano", "voice"),
    *("piano", "plucked", "organ", "piano", "wind", "plucked", "bowed", "piano"),
)
"""Turns among parts alone: 6 piano, 4 plucked (harpsichord, guitar, harp), 2 bowed, 2 wind, voice, organ."""

FAMILIES: dict[str, frozenset[int]] = {
    "piano": frozenset((0, 1, 2, 3)),
    "plucked": frozenset((6, 7, 15, 24, 25, 26, 27, 46, 104, 105, 106, 107)),
    "organ": frozenset(range(16, 24)),
    "bowed": frozenset((40, 41, 42, 43)),
    "wind": frozenset(range(56, 80)),
    "voice": frozenset((52, 53, 54)),
}
SEVERAL_STAVES = ("piano", "plucked", "organ")
"""Families whose parts are staves of one instrument where they share a program."""

FEWEST_ONSETS = 20
FEWEST_OF_EACH = 4
"""Notes that the voice and the piano, or the drums and the rest, must each have."""

LEAD_IN_S = 0.1
"""Silence before the first onset of an excerpt: a transcriber does not see an onset in its first frame."""

STARTS_TRIED = 12


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A stretch of a score.

    Attributes:
        group: Key of `GROUPS`.
        family: Key of `FAMILIES` for parts alone, else the group.
        source: Id of the data set's entry; excerpts with one source are not independent.
        start_s: Where it begins in the source.
        notes: With times from the excerpt's beginning; none sounds beyond its end.
        score: The same notes for whatever plays them.
    """

    group: str
    family: str
    source: str
    start_s: float
    notes: Notes
    score: ScoreTick

    @property
    def name(self) -> str:
        """Unique within a set."""
        return f"{self.source}@{self.start_s:.1f}:{self.family}"


@dataclass(frozen=True)
class Candidate:
    """An entry that can give excerpts of a kind, and which of its parts play in them."""

    entry: ScoreEntry
    group: str
    family: str
    programs: frozenset[int] | None
    """Programs that play; all parts where None."""


def choose_excerpts(
    entries: Sequence[ScoreEntry], *, count: int = 40, duration_s: float = 20.0, seed: int = 0
) -> list[Excerpt]:
    """Excerpts in the proportions of `GROUPS`, the same for the same entries and seed.

    For each kind every source is used once before any is used again, and those no other kind has used come
    first; excerpts of one kind from one source do not overlap.

    Args:
        entries: A split of a data set.
        count: How many in all.
        duration_s: Length of each.
        seed: Of the draws.

    Returns:
        Grouped, in the order of `GROUPS`; fewer than asked where the entries have no more.

    Raises:
        UserError: If none can be found.
    """
    if count < 1 or duration_s <= LEAD_IN_S:
        raise UserError(f"{count} excerpts of {duration_s} s; give at least one, longer than {LEAD_IN_S} s")
    random = np.random.default_rng([seed, 0xE7C])
    order = [entries[k] for k in random.permutation(len(entries))]
    programs = {entry.id: _programs(entry) for entry in entries}
    chosen: list[Excerpt] = []
    for group, wanted in shares(count).items():
        families = SOLO_CYCLE[:wanted] if group == "solo" else (group,) * wanted
        for family, number in Counter(families).items():
            used = Counter(excerpt.source for excerpt in chosen)
            by_use = sorted(order, key=lambda entry: used[entry.id])
            offers = (candidate(entry, programs[entry.id], group, family) for entry in by_use)
            pool = [offer for offer in offers if offer is not None]
            chosen += _take(pool, number, duration_s, random)
    if not chosen:
        raise UserError(
            f"no excerpts of {duration_s} s with {FEWEST_ONSETS} notes among {len(entries)} scores; "
            "give a data set with piano, songs, quartets or bands"
        )
    return chosen


def shares(count: int) -> dict[str, int]:
    """How many excerpts of each group a total has: the largest remainders of the proportions in `GROUPS`."""
    exact = {group: count * share / sum(GROUPS.values()) for group, share in GROUPS.items()}
    whole = {group: int(value) for group, value in exact.items()}
    by_remainder = sorted(GROUPS, key=lambda group: whole[group] - exact[group])
    for group in by_remainder[: count - sum(whole.values())]:
        whole[group] += 1
    return whole


def candidate(
    entry: ScoreEntry, programs: tuple[int, list[int]], group: str, family: str
) -> Candidate | None:
    """The entry as a source of excerpts of a kind, if it can be one.

    Args:
        entry: A score.
        programs: Number of its drum parts, and the programs of the others.
        group: Key of `GROUPS`.
        family: Key of `FAMILIES` for parts alone.
    """
    drums, pitched = programs
    if group == "solo":
        own = [program for program in pitched if program in FAMILIES[family]]
        alone = len(set(pitched)) == 1 and not drums
        if not own or (family == "piano" and not alone):
            return None
        return Candidate(entry, group, family, frozenset(own[:1]))
    suits = {
        "voice+piano": not drums and len(pitched) > 1 and _is_song(pitched),
        "quartet": not drums and len(pitched) == 4 and set(pitched) <= FAMILIES["bowed"],
        "band": drums > 0 and len(pitched) >= 3,
    }
    return Candidate(entry, group, group, None) if suits[group] else None


def cut(notes: Notes, start_s: float, duration_s: float) -> Notes:
    """The notes that begin in a window; what would sound beyond its end is let go there."""
    inside = notes.window(start_s, start_s + duration_s)
    inside = inside.select(inside.onset_s >= 0)
    return replace(
        inside,
        release_s=np.minimum(inside.release_s, duration_s),
        key_release_s=np.minimum(inside.key_release_s, duration_s),
        parts=tuple(replace(part, controls=_until(part.controls, duration_s)) for part in inside.parts),
    )


def _until(controls: Controls, end_s: float) -> Controls:
    """The controls without what changes after a time."""

    def early(steps: Steps) -> Steps:
        kept = steps.times_s <= end_s
        return Steps(steps.times_s[kept], steps.values[kept], steps.initial)

    return Controls(**{name: early(steps) for name, steps in vars(controls).items()})


def _take(
    pool: list[Candidate], wanted: int, duration_s: float, random: np.random.Generator
) -> list[Excerpt]:
    """Excerpts of a pool in turns, until there are enough or nothing is left."""
    streams = [_excerpts_of(source, duration_s, random) for source in pool]
    taken: list[Excerpt] = []
    while streams and len(taken) < wanted:
        remaining = []
        for stream in streams:
            if len(taken) == wanted:
                break
            found = next(stream, None)
            if found is not None:
                taken.append(found)
                remaining.append(stream)
        streams = remaining
    return taken


def _excerpts_of(source: Candidate, duration_s: float, random: np.random.Generator) -> Iterator[Excerpt]:
    """Stretches of one source that do not overlap, begin with a note and have enough of them."""
    notes = to_notes(read_score(source.entry.path))
    if source.programs is not None:
        notes = _one_instrument(notes, source)
    if not len(notes):
        return
    used: list[float] = []
    latest_s = max(notes.duration_s - duration_s / 2, LEAD_IN_S)
    starts = notes.onset_s[notes.onset_s < latest_s]
    for start in random.permutation(len(starts))[:STARTS_TRIED]:
        start_s = float(starts[start]) - LEAD_IN_S
        if any(abs(start_s - other) < duration_s for other in used):
            continue
        part = cut(notes, start_s, duration_s)
        if _is_enough(part, source.group):
            used.append(start_s)
            score = notes_to_score(part)
            yield Excerpt(
                source.group, source.family, source.entry.id, round(start_s, 3), to_notes(score), score
            )


def _one_instrument(notes: Notes, source: Candidate) -> Notes:
    """The notes of one instrument alone: all staves of a keyboard, or else the busiest part of the family."""
    programs = source.programs or frozenset()
    own = [index for index, part in enumerate(notes.parts) if not part.is_drum and part.program in programs]
    if source.family not in SEVERAL_STAVES and own:
        own = [max(own, key=lambda index: int((notes.part == index).sum()))]
    return notes.select(np.isin(notes.part, own))


def _is_enough(notes: Notes, group: str) -> bool:
    """Whether an excerpt has enough notes, also of its rarer half."""
    pitched = int((~notes.is_drum).sum())
    if pitched < FEWEST_ONSETS:
        return False
    if group == "voice+piano":
        sung = int(np.isin(notes.program, list(FAMILIES["voice"])).sum())
        return min(sung, pitched - sung) >= FEWEST_OF_EACH
    if group == "band":
        return int(notes.is_drum.sum()) >= FEWEST_OF_EACH
    return True


def _is_song(pitched: Sequence[int]) -> bool:
    """One voice, the rest piano."""
    sung = sum(program in FAMILIES["voice"] for program in pitched)
    return sung == 1 and all(program in FAMILIES["piano"] | FAMILIES["voice"] for program in pitched)


def _programs(entry: ScoreEntry) -> tuple[int, list[int]]:
    """Number of drum parts, and the programs of the others; read from the score where no manifest says."""
    rows: Sequence[Mapping[str, Any]] = entry.parts
    if not rows:
        rows = [vars(part) for part in to_notes(read_score(entry.path)).parts]
    drums = sum(bool(row["is_drum"]) for row in rows)
    return drums, [int(row["program"]) for row in rows if not row["is_drum"]]
