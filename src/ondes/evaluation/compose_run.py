"""The long part of an evaluation of a composer: read real music, have samples written, bars filled, wishes met."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ondes.datasets.named import ScoreEntry
from ondes.datasets.note_cache import CachedSequences
from ondes.datasets.worker_pool import in_order
from ondes.errors import UserError
from ondes.evaluation.infill_report import InfillOutcome, InfillTask, carry_out, choose_task
from ondes.evaluation.memorisation import Symbols, to_symbols
from ondes.evaluation.symbolic_windows import NOTES, NoteWindows, cut_windows, first_notes, to_note_windows
from ondes.representations.ensembles import parse_ensemble
from ondes.representations.keys import KEYS, Key, detect_key
from ondes.representations.note_sequence import DRUMS, NoteSequence, to_note_sequence
from ondes.score import read_score

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    from ondes.evaluation.infill_report import Infill

    Generate = Callable[..., list[ScoreTick]]
    """`generate(n, notes=, seed=, key=, ensemble=)` writes n pieces; key and ensemble may be missing."""

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

BATCH = 8
"""Samples asked for at once; also the number whose time has a gate."""
SHOWN = 4
"""Samples kept for a picture."""
FEWEST = 2
"""A sample of fewer notes has no figures."""
ENSEMBLES = ("piano", "string quartet", "voice and piano", "wind quintet", "piano trio", "choir")


@dataclass(frozen=True, eq=False)
class RealMusic:
    """Windows of a data set.

    Attributes:
        windows: Of equally many notes; songs are their sources.
        symbols: Of all whole pieces; empty where not asked for.
        keys_agree: For each window, whether its detected key is that of its whole piece.
        left_out: Pieces that cannot be read or are too short for a window.
    """

    windows: NoteWindows
    symbols: Symbols
    keys_agree: list[bool]
    left_out: int


@dataclass(frozen=True)
class Wish:
    """What was asked of a sample, and what it is.

    Attributes:
        key: Asked for.
        heard_key: Detected in the sample; None where it has no pitches.
        instruments: Asked for.
        used: Instruments of its notes.
    """

    key: Key
    heard_key: Key | None
    instruments: frozenset[int]
    used: frozenset[int]


@dataclass(eq=False)
class ComposeFindings:
    """What was written and what it stands beside.

    Attributes:
        samples: Of the model, without wishes.
        held_out: Windows of music the model has not seen.
        train: Windows of what it was trained on.
        train_symbols: Of all pieces it was trained on.
        rival: Windows of another model's pieces, if any.
        shown: The first samples.
        short: Samples of fewer notes than asked for.
        wishes: Samples with wishes.
        infills: Bars made anew.
        batch_s: Seconds that each batch of samples took.
        keys_agree: As of `RealMusic`, held out.
    """

    samples: NoteWindows
    held_out: NoteWindows
    train: NoteWindows
    train_symbols: Symbols
    rival: NoteWindows | None = None
    shown: list[ScoreTick] = field(default_factory=list)
    short: int = 0
    wishes: list[Wish] = field(default_factory=list)
    infills: list[InfillOutcome] = field(default_factory=list)
    batch_s: list[float] = field(default_factory=list)
    keys_agree: list[bool] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Read:
    windows: list[NoteSequence]
    symbols: Symbols | None
    keys_agree: list[bool]


def read_real_music(
    entries: Sequence[ScoreEntry] | CachedSequences,
    *,
    windows: int,
    whole: bool = False,
    notes: int = NOTES,
    seed: int = 0,
    workers: int = 1,
    stage: str = "reading",
    progress: Progress = lambda *_: None,
) -> RealMusic:
    """Windows of the pieces of a data set, as evenly from all of them as their number allows.

    Args:
        entries: The pieces, or a cache of their notes as they are played, not quantised.
        windows: How many windows at most, drawn among all.
        whole: Also read whole pieces as symbols, every one.
        notes: In each window.
        seed: Of the places of the windows.
        workers: Processes.
        stage: What the progress is called.
        progress: Told of each piece.

    Raises:
        UserError: If no piece has a window.
    """
    most = max(1, -(-windows // max(len(entries), 1)))
    random = np.random.default_rng([seed, 0x3E0])
    order = random.permutation(len(entries)).tolist()
    chosen = order if whole else order[: 2 * windows]
    names = [entries.info(k).id if isinstance(entries, CachedSequences) else entries[k].id for k in chosen]
    read = partial(_read, entries=entries, most=most, notes=notes, seed=seed, whole=whole)
    pieces: list[NoteSequence] = []
    sources: list[Hashable] = []
    symbols: list[Symbols] = []
    agree: list[bool] = []
    left_out = 0
    for done, (name, found) in enumerate(zip(names, in_order(read, chosen, workers), strict=True), 1):
        progress(stage, done, len(chosen))
        if found is None or not found.windows:
            left_out += 1
        if found is None:
            continue
        room = max(0, windows - len(pieces))
        pieces += found.windows[:room]
        sources += [name] * len(found.windows[:room])
        agree += found.keys_agree[:room]
        symbols += [found.symbols] if found.symbols is not None else []
        if not whole and not room:
            break
    if not pieces:
        raise UserError(
            f"none of {len(entries)} scores has {notes} notes; give longer scores, or fewer --notes"
        )
    return RealMusic(to_note_windows(pieces, sources), Symbols.joined(symbols), agree, left_out)


def write_samples(
    generate: Generate, *, count: int, notes: int = NOTES, seed: int = 0, progress: Progress = lambda *_: None
) -> tuple[NoteWindows, list[ScoreTick], list[float], int]:
    """Samples without wishes, in batches.

    Returns:
        Their windows, the first scores, the seconds of each whole batch, and how many had fewer notes than asked.

    Raises:
        UserError: If hardly any sample has notes.
    """
    scores: list[ScoreTick] = []
    batch_s: list[float] = []
    while len(scores) < count:
        progress("samples", len(scores), count)
        size = min(BATCH, count - len(scores))
        began_s = time.perf_counter()
        scores += generate(size, notes=notes, seed=seed + len(scores))
        if size == BATCH:
            batch_s.append(time.perf_counter() - began_s)
    progress("samples", count, count)
    windows, lengths = windows_of_scores(scores, notes=notes)
    return windows, scores[:SHOWN], batch_s, sum(length < notes for length in lengths)


def windows_of_scores(scores: Sequence[ScoreTick], *, notes: int = NOTES) -> tuple[NoteWindows, list[int]]:
    """The beginning of each score as a window with a source of its own, and how many notes each score has.

    Raises:
        UserError: If none has notes.
    """
    sequences = [to_note_sequence(score, quantise=False) for score in scores]
    usable = [(k, first_notes(one, notes)) for k, one in enumerate(sequences) if len(one) >= FEWEST]
    if not usable:
        raise UserError(f"none of {len(scores)} pieces has notes; there is nothing to measure")
    windows = to_note_windows([one for _, one in usable], [k for k, _ in usable])
    return windows, [len(one) for one in sequences]


def ask_wishes(
    generate: Generate,
    *,
    count: int,
    notes: int = NOTES,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> list[Wish]:
    """Samples in a key and for an ensemble: all keys in turn, ensembles in turn.

    Keys are judged by `detect_key`, which hears the notes alone; instruments by those of the notes.
    """
    wishes: list[Wish] = []
    # 7 and 24 have no common divisor, so that every key has its turn before any comes again.
    for number in range(count):
        progress("wishes", number, count)
        key = KEYS[(7 * number) % len(KEYS)]
        ensemble = ENSEMBLES[number % len(ENSEMBLES)]
        (score,) = generate(1, notes=notes, seed=seed + number, key=str(key), ensemble=ensemble)
        sequence = to_note_sequence(score)
        asked = frozenset(part.instrument for part in parse_ensemble(ensemble))
        used = frozenset(np.unique(sequence.instrument).tolist())
        wishes.append(Wish(key, heard_key(sequence), asked, used))
    progress("wishes", count, count)
    return wishes


def heard_key(sequence: NoteSequence) -> Key | None:
    """The key of the notes, drums left out."""
    pitched = sequence.select(sequence.instrument != DRUMS)
    return detect_key(pitched.pitch, np.asarray(pitched.duration_quarters, np.float64))


def fill_bars(
    entries: Sequence[ScoreEntry],
    infill: Infill,
    *,
    count: int,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> list[InfillOutcome]:
    """Bars of so many pieces made anew, one task a piece; fewer where there are fewer that will do."""
    outcomes: list[InfillOutcome] = []
    for task in _tasks(entries, seed):
        if len(outcomes) == count:
            break
        progress("infill", len(outcomes), count)
        outcomes.append(carry_out(task, infill, seed=seed + len(outcomes)))
    progress("infill", count, count)
    return outcomes


def _tasks(entries: Sequence[ScoreEntry], seed: int) -> Iterator[InfillTask]:
    for number in np.random.default_rng([seed, 0x3E1]).permutation(len(entries)).tolist():
        try:
            score = read_score(entries[number].path)
        except UserError as error:
            log.warning("left out: %s", error)
            continue
        task = choose_task(score, entries[number].id, seed=seed)
        if task is not None:
            yield task


def _read(
    index: int,
    *,
    entries: Sequence[ScoreEntry] | CachedSequences,
    most: int,
    notes: int,
    seed: int,
    whole: bool,
) -> _Read | None:
    """One piece; None if it cannot be read."""
    try:
        name, piece = _piece(entries, index)
    except UserError as error:
        log.warning("left out: %s", error)
        return None
    random = np.random.default_rng([seed, 0x3E2, *name.encode()])
    windows = cut_windows(piece, random=random, most=most, notes=notes)
    symbols = to_symbols(to_note_windows([piece], [name])) if whole and len(piece) else None
    key = heard_key(piece) if windows else None
    return _Read(windows, symbols, [key is not None and heard_key(window) == key for window in windows])


def _piece(entries: Sequence[ScoreEntry] | CachedSequences, index: int) -> tuple[str, NoteSequence]:
    """Name and notes of a piece."""
    if isinstance(entries, CachedSequences):
        piece, about = entries[index]
        return about.id, piece
    return entries[index].id, to_note_sequence(read_score(entries[index].path), quantise=False)
