"""One reader for every kind of score, and what it had to repair."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ondes.errors import UserError
from ondes.midi_file import MOST_TICKS, parse_midi
from ondes.midi_tracks import MOST_NOTES, score_of
from ondes.musicxml import MOST_XML_BYTES, is_musicxml, to_midi
from ondes.tempo import TempoMap

if TYPE_CHECKING:
    import symusic.core

log = logging.getLogger(__name__)

ScoreSource: TypeAlias = Any
"""A path, the bytes of a file (MIDI, MusicXML), an open binary file, a `symusic.Score`, a `pretty_midi.PrettyMIDI`."""

MOST_SECONDS = 36_000
SCORE_FILES = "a MIDI file (.mid) or MusicXML (.musicxml, .mxl)"


@dataclass(frozen=True, eq=False)
class RepairReport:
    """What a reader changed or passed over, in words, and how often."""

    counts: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        return "; ".join(f"{words}: {count}" for words, count in sorted(self.counts.items())) or "no repairs"


def read_score(source: ScoreSource) -> symusic.core.ScoreTick:
    """A score in ticks from whatever holds one; see `read_score_with_report`."""
    return read_score_with_report(source)[0]


def read_score_with_report(source: ScoreSource) -> tuple[symusic.core.ScoreTick, RepairReport]:
    """A score in ticks from whatever holds one, and what had to be repaired.

    Standard MIDI Files of format 0, 1 and 2, in musical or SMPTE time, also in RIFF: each track of a
    file becomes one track of the score for every channel and program its notes use; channel 10 is drums.
    Controllers of a channel that lie in another track are copied to the tracks that lack them. The patterns
    of format 2 follow one another. Lyrics are not kept.

    MusicXML, bare or zipped, is known by its first bytes and converted by verovio; what this leaves out is reported.

    Args:
        source: A path, bytes, an open binary file, a `symusic.Score` in any unit, or a `PrettyMIDI`.

    Raises:
        UserError: If it cannot be read, is neither MIDI nor MusicXML, is truncated or corrupt, lasts more than 10
            hours, or holds more than a million notes; if it is MusicXML and verovio is missing.
    """
    repairs: Counter[str] = Counter()
    if type(source).__module__.startswith("symusic"):
        score, name = _checked_score(source), "the score"
    else:
        data, name = _bytes_of(source)
        if is_musicxml(data):
            data, repairs = to_midi(data, name)
        file = parse_midi(data, name)
        score = score_of(file, name)
        repairs += file.repairs
    _check_length(score, name)
    report = RepairReport(dict(+repairs))
    if report:
        log.info("%s: %s", name, report)
    return score, report


def _bytes_of(source: ScoreSource) -> tuple[bytes, str]:
    """The bytes of a MIDI or MusicXML file, and what to call it."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "the MIDI data"
    if isinstance(source, str | os.PathLike):
        return _bytes_of_path(Path(source))
    if hasattr(source, "read"):
        data = source.read(MOST_XML_BYTES + 1)
        name = str(getattr(source, "name", "the MIDI file"))
        if not isinstance(data, bytes):
            raise UserError(f"{name} is open as text; open it in binary mode ('rb')")
        return data, name
    if hasattr(source, "instruments") and hasattr(source, "write"):
        return _bytes_of_pretty_midi(source), "the PrettyMIDI score"
    raise UserError(
        f"a score cannot be read from {type(source).__name__}; give a path, bytes, a binary file, a "
        "symusic.Score or a PrettyMIDI"
    )


def _bytes_of_path(path: Path) -> tuple[bytes, str]:
    if path.is_dir():
        raise UserError(f"{path} is a folder; give {SCORE_FILES}")
    try:
        with path.open("rb") as file:
            return file.read(MOST_XML_BYTES + 1), str(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give {SCORE_FILES}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}); give {SCORE_FILES}") from None


def _bytes_of_pretty_midi(midi: Any) -> bytes:
    buffer = BytesIO()
    try:
        midi.write(buffer)
    except (ValueError, OverflowError, TypeError) as error:
        raise UserError(f"the PrettyMIDI score is no MIDI ({error}); repair its notes") from None
    return buffer.getvalue()


def _checked_score(score: Any) -> symusic.core.ScoreTick:
    """A score made elsewhere in ticks, refused where its numbers make no sense."""
    from symusic.core import ScoreTick  # noqa: PLC0415

    if not hasattr(score, "tracks") or not hasattr(score, "ttype"):
        raise UserError(f"a score cannot be read from {type(score).__name__}; give a symusic.Score")
    if score.ticks_per_quarter <= 0:
        raise UserError(f"the score has {score.ticks_per_quarter} ticks a quarter note; give 1 or more")
    tempos = score.tempos.numpy()
    if tempos["mspq"].min(initial=1) < 1 or not (tempos["time"] >= 0).all():
        raise UserError("the score has tempos of no length or before its beginning; repair them")
    for index, track in enumerate(score.tracks):
        _check_notes(track.notes.numpy(), f"track {index + 1} ({track.name!r}) of the score")
    if isinstance(score, ScoreTick):
        return score
    if score.end() * max(1, score.ticks_per_quarter) > MOST_TICKS:
        raise UserError(
            f"the score ends at {score.end():g} {score.ttype}; the limit is 10 hours, so split it"
        )
    return score.to("tick")


def _check_notes(notes: dict[str, NDArray[Any]], where: str) -> None:
    """Refuse numbers that are no note."""
    times, durations = notes["time"].astype(np.float64), notes["duration"].astype(np.float64)
    if not (np.isfinite(times).all() and np.isfinite(durations).all()):
        raise UserError(f"{where} has notes at NaN or infinity; give finite times")
    if (times + durations).max(initial=0) > MOST_TICKS:
        raise UserError(f"{where} has notes after {MOST_TICKS}; the limit is 10 hours, so split it")
    if times.min(initial=0) < 0 or durations.min(initial=0) < 0:
        raise UserError(f"{where} has notes with negative time or length; give 0 or more")
    if notes["pitch"].min(initial=0) < 0 or notes["velocity"].min(initial=1) < 1:
        raise UserError(f"{where} has notes beyond pitch 0 to 127 or velocity 1 to 127; repair them")


def _check_length(score: symusic.core.ScoreTick, name: str) -> None:
    """Refuse what is too long."""
    seconds = float(TempoMap.of(score).to_seconds(np.array(score.end())))
    if seconds > MOST_SECONDS:
        raise UserError(f"{name} lasts {seconds / 3600:.1f} hours; the limit is 10 hours, so split it")
    if score.note_num() > MOST_NOTES:
        raise UserError(f"{name} holds {score.note_num()} notes; the limit is {MOST_NOTES}, so split it")
