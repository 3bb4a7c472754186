"""Note F1 that asks for the right instrument too, as the transcription metric of the Spectrogram Diffusion paper does.

Gardner et al. (2022), arXiv 2111.03017: notes are matched inside each track, a program or the drums, at three
granularities; what is found is added up over tracks. A pitched note counts if its pitch, its onset (50 ms) and its
release (20 % of its length or 50 ms, whichever is more) are right; a drum if its pitch and onset are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ondes.controls import Controls
from ondes.evaluation.extras import require
from ondes.evaluation.transcription import (
    ONSET_TOLERANCE_S,
    NoteScore,
    Transcript,
    pitch_hz,
    transcribe,
)
from ondes.score import Notes, Part

if TYPE_CHECKING:
    from ondes.audio import Audio

Granularity = Literal["flat", "midi_class", "full"]
"""All pitched notes together; General MIDI's families of eight programs; every program."""

OFFSET_RATIO = 0.2
OFFSET_LEAST_TOLERANCE_S = 0.05


@dataclass(frozen=True)
class Listener:
    """Something that writes down what it hears.

    Attributes:
        name: How reports call it.
        hear: Audio to notes.
        granularities: Those at which its notes can be judged: one that knows no instruments is only judged flat.
        hears_drums: Whether it writes down drums; if not, they are not asked for.
    """

    name: str
    hear: Callable[[Audio], Notes]
    granularities: tuple[Granularity, ...] = ("flat", "midi_class", "full")
    hears_drums: bool = True


def basic_pitch() -> Listener:
    """The transcriber that comes with ondes: it knows neither instruments nor drums."""
    return Listener("Basic Pitch", lambda audio: to_notes(transcribe(audio)), ("flat",), hears_drums=False)


def to_notes(heard: Transcript) -> Notes:
    """A transcript as notes of one piano, velocity from amplitude."""
    order = np.lexsort((heard.pitch, heard.onset_s))
    onset_s = np.asarray(heard.onset_s, np.float64)[order]
    release_s = np.maximum(np.asarray(heard.release_s, np.float64)[order], onset_s + 1e-3)
    count = len(order)
    return Notes(
        onset_s=onset_s,
        release_s=release_s,
        key_release_s=release_s,
        pitch=np.asarray(heard.pitch, np.int64)[order],
        velocity=np.clip(np.rint(127 * np.asarray(heard.amplitude)[order]), 1, 127).astype(np.int64),
        program=np.zeros(count, np.int64),
        is_drum=np.zeros(count, bool),
        part=np.zeros(count, np.int64),
        parts=(Part("heard", 0, False, Controls()),),
        duration_s=float(release_s.max(initial=0.0)),
    )


def score_programs(
    heard: Notes,
    written: Notes,
    granularity: Granularity = "full",
    *,
    drums: bool = True,
    releases: bool = True,
) -> NoteScore:
    """Precision, recall and F1 over all tracks, each note with the same weight.

    Args:
        heard: What a transcriber wrote down.
        written: What should be heard.
        granularity: How exactly the instrument must be right.
        drums: Whether drums are judged, by pitch and onset, as one track.
        releases: Whether releases of pitched notes are judged.

    Returns:
        Figures in 0..1; 0 where there is nothing on a side.
    """
    tracks = [_tracks(notes, granularity, drums=drums) for notes in (heard, written)]
    found_of_heard = found_of_written = 0.0
    for track in sorted(tracks[0].keys() | tracks[1].keys()):
        ours, theirs = (side.get(track) for side in tracks)
        if ours is None or theirs is None:
            continue
        precision, recall = _match(ours, theirs, releases=releases and track[1] == 0)
        found_of_heard += precision * len(ours)
        found_of_written += recall * len(theirs)
    counts = [sum(map(len, side.values())) for side in tracks]
    precision, recall = (
        found / count if count else 0.0
        for found, count in zip((found_of_heard, found_of_written), counts, strict=True)
    )
    total = precision + recall
    return NoteScore(precision, recall, 2 * precision * recall / total if total else 0.0)


def _tracks(notes: Notes, granularity: Granularity, *, drums: bool) -> dict[tuple[int, int], Notes]:
    """Notes by (program, drum) as the granularity tells programs apart; drums have one track of their own."""
    divisor = {"flat": 128, "midi_class": 8, "full": 1}[granularity]
    program = np.where(notes.is_drum, 0, notes.program // divisor * divisor)
    keys = sorted({(int(p), int(d)) for p, d in zip(program, notes.is_drum, strict=True) if drums or not d})
    return {(p, d): notes.select((program == p) & (notes.is_drum == bool(d))) for p, d in keys}


def _match(heard: Notes, written: Notes, *, releases: bool) -> tuple[float, float]:
    """Precision and recall of one track by `mir_eval.transcription`."""
    precision, recall, _, _ = require("mir_eval.transcription").precision_recall_f1_overlap(
        np.stack([written.onset_s, written.release_s], axis=1),
        pitch_hz(written.pitch),
        np.stack([heard.onset_s, heard.release_s], axis=1),
        pitch_hz(heard.pitch),
        onset_tolerance=ONSET_TOLERANCE_S,
        offset_ratio=OFFSET_RATIO if releases else None,
        offset_min_tolerance=OFFSET_LEAST_TOLERANCE_S,
    )
    return float(precision), float(recall)
