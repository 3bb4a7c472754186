"""The scores that come with music21: chorales, madrigals, quartets, folk tunes. Needs the extra `music21`.

Durations are as written, with ties joined and repeats not played out. Grace notes are left out, and dynamics are not
read: velocities are flat.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.datasets.named import ScoreEntry, split_of
from ondes.datasets.recordings import RejectedError
from ondes.errors import UserError

if TYPE_CHECKING:
    import symusic.core

NAME = "music21"
"""What the data set is called."""

FORMATS = (".mxl", ".xml", ".musicxml", ".krn", ".abc")
"""Of the corpus; the others hold analyses."""

TICKS_PER_QUARTER = 10080
"""Divides by all that tuplets of up to ten need."""
FLAT_VELOCITY = 80


def music21_entries() -> list[ScoreEntry]:
    """The scores of the corpus, in order of path; movements of a work are in one split.

    Raises:
        UserError: If music21 is not installed.
    """
    corpus = Path(_module("music21.common").getCorpusFilePath())
    paths = sorted(path for path in corpus.rglob("*") if path.suffix in FORMATS and path.is_file())
    return [_entry(path, path.relative_to(corpus)) for path in paths]


def _entry(path: Path, place: Path) -> ScoreEntry:
    """A file of the corpus: `composer/work.xml` or `composer/work/movement.xml`."""
    composer, *_ = place.as_posix().split("/")
    work = place.parent.as_posix() if len(place.parts) > 2 else f"{composer}/{place.name.split('.')[0]}"
    return ScoreEntry(
        id=place.with_suffix("").as_posix(),
        path=path,
        collection=NAME,
        composer=composer,
        title=place.stem,
        split=split_of(work),
    )


def read_music21(path: Path) -> symusic.core.ScoreTick:
    """A score by music21, one track a part.

    Raises:
        UserError: If music21 is not installed, or cannot read the file.
        RejectedError: If the file holds several songs.
    """
    converter, stream = _module("music21.converter"), _module("music21.stream")
    try:
        read = converter.parse(path, forceSource=True, storePickle=False)
        if isinstance(read, stream.Opus):
            raise RejectedError("several songs in one file", str(path))
        return _to_score(read)
    except (UserError, RejectedError):
        raise
    except Exception as error:  # its readers for a dozen formats raise whatever goes wrong in them
        raise UserError(f"{path} cannot be read by music21 ({error!r}); give another file") from error


def _to_score(read: Any) -> symusic.core.ScoreTick:
    """Parts, metres and tempos of a music21 stream."""
    from symusic.core import NoteTickList, ScoreTick, TempoTick, TimeSignatureTick, TrackTick  # noqa: PLC0415

    score = ScoreTick(TICKS_PER_QUARTER)
    parts = list(read.getElementsByClass("Part")) or [read]
    for time, numerator, denominator in _metres(parts[0]):
        score.time_signatures.append(TimeSignatureTick(time, numerator, denominator))
    for mark in parts[0].flatten().getElementsByClass("MetronomeMark"):
        if (bpm := mark.getQuarterBPM()) and bpm > 0:
            score.tempos.append(TempoTick(_ticks(mark.offset), mspq=round(60e6 / bpm)))
    for part in parts:
        program, is_drum = _instrument(part)
        track = TrackTick(str(part.partName or ""), program, is_drum)
        rows = np.array(sorted(_notes(part)), np.int64).reshape(-1, 3)
        velocity = np.full(len(rows), FLAT_VELOCITY, np.int8)
        time, duration, pitch = rows.T
        track.notes = NoteTickList.from_numpy(
            time.astype(np.int32), duration.astype(np.int32), pitch.astype(np.int8), velocity
        )
        score.tracks.append(track)
    return score


def _instrument(part: Any) -> tuple[int, bool]:
    """General MIDI program of a part, by the name of the part where the file says none, and whether it is drums."""
    module = _module("music21.instrument")
    instrument = part.getInstrument(returnDefault=True)
    if instrument.midiChannel == 9:
        return 0, True
    if not instrument.midiProgram and part.partName:
        try:
            instrument = module.fromString(part.partName)
        except module.InstrumentException:
            return 0, False
    return instrument.midiProgram or 0, False


def _notes(part: Any) -> Iterator[tuple[int, int, int]]:
    """Onset, duration and pitch of the notes of a part in ticks; chords give several."""
    for sound in part.stripTies().flatten().notes:
        pitches = [pitch.midi for pitch in getattr(sound, "pitches", ())]
        if type(sound).__name__ == "ChordSymbol" or sound.quarterLength == 0:
            continue
        for pitch in pitches:
            if 0 <= pitch <= 127:
                yield _ticks(sound.offset), _ticks(sound.quarterLength), pitch


def _metres(part: Any) -> Iterator[tuple[int, int, int]]:
    """Time in ticks, numerator and denominator wherever bars do not go on as before, as after an upbeat."""
    before: tuple[int, int, int] | None = None
    measures = list(part.getElementsByClass("Measure"))
    for measure in measures or [part]:
        written = measure.timeSignature or measure.getContextByClass("TimeSignature")
        numerator, denominator = (written.numerator, written.denominator) if written else (4, 4)
        time = _ticks(measure.offset if measures else 0)
        if (time, numerator, denominator) != before:
            yield time, numerator, denominator
        length = 4 * TICKS_PER_QUARTER * Fraction(numerator, denominator)
        before = time + round(length), numerator, denominator


def _ticks(quarters: float | Fraction) -> int:
    return round(quarters * TICKS_PER_QUARTER)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise UserError(
            "the package music21 is missing; its corpus needs it: pip install 'ondes[music21]'"
        ) from None
