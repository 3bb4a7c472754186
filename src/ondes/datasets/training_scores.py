"""Endless, varied scores for training: excerpts of a collection, performed; bands; probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.controls import Controls, Steps
from ondes.datasets.arrange import make_band
from ondes.datasets.augment import change_tempo, perform, sort
from ondes.datasets.named import ScoreEntry
from ondes.datasets.probes import random_probe
from ondes.errors import UserError
from ondes.score import Notes, Part, notes_to_score, read_score, to_notes

if TYPE_CHECKING:
    from symusic.core import ScoreTick

COLLECTION_WEIGHTS = {"lieder": 0.24, "quartets": 0.16, "orchestra": 0.16, "freedoom": 0.18, "mutopia": 0.26}
"""How often each collection of the corpus is drawn; any other collection has the weight `OTHER_WEIGHT`."""
OTHER_WEIGHT = 0.25

PROBE_SHARE = 0.12
BAND_SHARE = 0.25
"""Of excerpts without drums."""
NATURAL_SHARE = 0.7
TEMPO_RANGE = (0.8, 1.25)

FEWEST_NOTES_A_SECOND = 0.6
RESTART_LEAST_S = 0.25
"""A note that sounds at the cut starts anew if so much of it is left, and is left out otherwise."""
ATTEMPTS = 12


def training_score(
    entries: Sequence[ScoreEntry],
    generator: np.random.Generator,
    seconds: float = 25.0,
    *,
    probe_share: float = PROBE_SHARE,
) -> tuple[ScoreTick, dict[str, Any]]:
    """A new score made from a random place of a random entry.

    Args:
        entries: Where to take excerpts from; collections are weighted by `COLLECTION_WEIGHTS`.
        generator: Decides everything.
        seconds: Length of the score.
        probe_share: Chance of single notes over random programs (`probes`) instead of music.

    Returns:
        The score, and what it came from: id, source (collection), licence, composer, title, start_s, tempo,
        natural (programs), band.

    Raises:
        UserError: If no entry has notes enough.
    """
    if generator.random() < probe_share:
        return notes_to_score(random_probe(generator, seconds=seconds)), {
            "source_id": "probe",
            "collection": "probes",
            "licence": "generated",
        }
    tempo = float(np.exp(generator.uniform(*np.log(TEMPO_RANGE))))
    for _ in range(ATTEMPTS):
        entry = draw_entry(entries, generator)
        try:
            notes = _read(entry.path)
        except UserError:
            continue
        start_s = float(generator.uniform(0.0, max(0.0, notes.duration_s - seconds * tempo)))
        piece = excerpt(notes, start_s, seconds * tempo)
        if len(piece) >= FEWEST_NOTES_A_SECOND * seconds:
            break
    else:
        raise UserError(
            f"{ATTEMPTS} random excerpts of {seconds:g} s were almost empty; give scores with more notes"
        )

    piece = change_tempo(piece, tempo)
    natural = bool(generator.random() < NATURAL_SHARE)
    band = bool(generator.random() < BAND_SHARE and not piece.is_drum.any())
    if band:
        piece = make_band(piece, generator)
    piece = excerpt(perform(piece, generator, natural=natural), 0.0, seconds)
    return notes_to_score(piece), {
        "source_id": entry.id,
        "collection": entry.collection,
        "licence": entry.licence,
        "composer": entry.composer,
        "title": entry.title,
        "start_s": round(start_s, 3),
        "tempo": round(tempo, 4),
        "natural": natural,
        "band": band,
    }


def draw_entry(entries: Sequence[ScoreEntry], generator: np.random.Generator) -> ScoreEntry:
    """A collection by its weight, then any of its entries.

    Raises:
        UserError: If there are no entries.
    """
    if not entries:
        raise UserError(
            "no scores to draw from; give a folder of MIDI files or a data set such as corpus:train"
        )
    by_collection: dict[str, list[ScoreEntry]] = {}
    for entry in entries:
        by_collection.setdefault(entry.collection, []).append(entry)
    names = sorted(by_collection)
    weights = np.array([COLLECTION_WEIGHTS.get(name, OTHER_WEIGHT) for name in names])
    own = by_collection[names[int(generator.choice(len(names), p=weights / weights.sum()))]]
    return own[int(generator.integers(len(own)))]


def excerpt(notes: Notes, start_s: float, seconds: float) -> Notes:
    """A stretch of a score as a score of its own.

    Notes that sound at the cut start anew where a quarter of a second or more is left of them; what sounds
    beyond the end is let go there. Parts without notes are left out.
    """
    piece = notes.window(start_s, start_s + seconds)
    late = piece.onset_s < 0
    piece = piece.select(~late | (piece.key_release_s >= RESTART_LEAST_S) & ~piece.is_drum)
    key_release_s = np.minimum(piece.key_release_s, seconds)
    onset_s = np.maximum(piece.onset_s, 0.0)
    piece = replace(
        piece,
        onset_s=onset_s,
        key_release_s=np.maximum(key_release_s, onset_s + 1e-3),
        release_s=np.maximum(np.minimum(piece.release_s, seconds), onset_s + 1e-3),
    )
    return without_empty_parts(replace(piece, parts=tuple(_clipped(part, seconds) for part in piece.parts)))


def without_empty_parts(notes: Notes) -> Notes:
    """Only the parts that have notes, numbered anew; the notes are put in order again."""
    used = np.unique(notes.part)
    numbers = np.zeros(len(notes.parts), np.int64)
    numbers[used] = np.arange(len(used))
    parts = tuple(notes.parts[index] for index in used)
    return sort(replace(notes, part=numbers[notes.part], parts=parts))


def _clipped(part: Part, seconds: float) -> Part:
    """What the controllers say between 0 and the end, their state at 0 included."""

    def clip(steps: Steps) -> Steps:
        within = (steps.times_s > 0) & (steps.times_s < seconds)
        times_s, values = steps.times_s[within], steps.values[within]
        if (steps.times_s <= 0).any():
            times_s, values = np.append(0.0, times_s), np.append(steps(0.0), values)
        return replace(steps, times_s=times_s, values=values)

    controls = Controls(**{name: clip(steps) for name, steps in vars(part.controls).items()})
    return replace(part, controls=controls)


@lru_cache(maxsize=64)
def _read(path: Path) -> Notes:
    return to_notes(read_score(path))
