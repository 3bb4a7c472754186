"""Folders of MIDI files become segments of triples: in parallel, kept for the next time, refusals counted by reason."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from ondes.datasets.named import ScoreEntry, dataset
from ondes.datasets.quick_scores import quick_score
from ondes.datasets.recordings import Rejections
from ondes.datasets.worker_pool import in_order
from ondes.errors import UserError
from ondes.files import written_whole
from ondes.representations.triples import TripleLimits, choose_track, to_segments, to_triples

log = logging.getLogger(__name__)

VERSION = 1
"""Of what is kept; another makes everything anew."""

Read = tuple[Float64[np.ndarray, "segments notes 3"] | None, str]
"""The segments of a file, or None and why there are none."""


@dataclass(frozen=True, eq=False)
class TripleSegments:
    """Segments of many files, and what was left out.

    Args:
        triples: MIDI pitch, duration and delta in quarter notes.
        file: Which file of the data set each segment is of, from 0.
        rejections: Files that gave nothing, by reason.
    """

    triples: Float32[np.ndarray, "segments notes 3"]
    file: Int64[np.ndarray, " segments"]
    rejections: Rejections


def read_segments(
    data: str,
    limits: TripleLimits | None = None,
    *,
    workers: int = 1,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TripleSegments:
    """The segments of a data set, in the order of its files.

    Args:
        data: A data set by name and split, or a folder.
        limits: What a track must be; the published limits where None.
        workers: Processes that read.
        cache: Folder where the segments are kept, under a name that says which files they were made of and how; the
            next call with the same files reads them there.
        progress: Told of files done and in total.

    Raises:
        UserError: If there is no such data set, or not one file of it can be used.
    """
    entries, limits = dataset(data), limits or TripleLimits()
    kept = None if cache is None else cache / f"triples-{_key(entries, limits)}.npz"
    if kept is not None and kept.is_file():
        segments = _load(kept)
    else:
        segments = _make(entries, limits, workers, progress)
        if kept is not None:
            _save(kept, segments)
    for line in segments.rejections.lines():
        log.info("%s: %s", data, line)
    if not len(segments.triples):
        reasons = "; ".join(segments.rejections.lines()[:3])
        raise UserError(
            f"none of the {len(entries)} files of {data} can be used: {reasons}; widen the limits"
        )
    log.info("%s: %d segments of %d files", data, len(segments.triples), len(entries))
    return segments


def _make(
    entries: list[ScoreEntry],
    limits: TripleLimits,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> TripleSegments:
    rejections, found = Rejections(), [np.zeros((0, limits.notes, 3), np.float32)]
    counts: list[int] = []
    read = in_order(partial(file_segments, limits=limits), [entry.path for entry in entries], workers)
    for done, (entry, (triples, reason)) in enumerate(zip(entries, read, strict=True), 1):
        if triples is None:
            rejections.add(entry.collection, entry.id, reason)
        else:
            found.append(triples.astype(np.float32))
        counts.append(0 if triples is None else len(triples))
        if progress is not None:
            progress(done, len(entries))
    file = np.repeat(np.arange(len(entries)), counts)
    return TripleSegments(np.concatenate(found), file, rejections)


def file_segments(path: Path, *, limits: TripleLimits) -> Read:
    """The segments of a MIDI file, or why there are none."""
    try:
        score = quick_score(path)
    except UserError as error:
        log.info("%s", error)
        return None, "not a MIDI file that can be read"
    track = choose_track(score)
    if track is None:
        return None, "no piano track"
    triples = to_triples(score, track)
    refusal = limits.refusal(triples)
    return (None, refusal) if refusal else (to_segments(triples, notes=limits.notes), "")


def _key(entries: list[ScoreEntry], limits: TripleLimits) -> str:
    """Name of segments: a hash of the files with their sizes and dates, and of the limits."""
    digest = hashlib.sha256(repr((VERSION, astuple(limits))).encode())
    for entry in entries:
        try:
            status = entry.path.stat()
            digest.update(repr((str(entry.path), status.st_size, status.st_mtime_ns)).encode())
        except OSError:
            digest.update(repr((str(entry.path), "missing")).encode())
    return digest.hexdigest()[:16]


def _save(path: Path, segments: TripleSegments) -> None:
    rows = [[row["dataset"], row["id"], row["reason"]] for row in segments.rejections.rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as beside:
        rejected = np.array(rows, np.str_).reshape(-1, 3)
        np.savez(beside, triples=segments.triples, files=segments.file, rejected=rejected)


def _load(path: Path) -> TripleSegments:
    rejections = Rejections()
    try:
        with np.load(path, allow_pickle=False) as stored:
            for dataset_name, name, reason in stored["rejected"]:
                rejections.add(str(dataset_name), str(name), str(reason))
            return TripleSegments(stored["triples"], stored["files"], rejections)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it, and it will be made again") from None
