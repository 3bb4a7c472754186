"""Folders of training pairs: scores varied at random, and their renders.

Item k of a folder is a function of the settings, the seed and k alone, whoever makes it. Items are written to
the manifest in order, each after its files are complete, so that a stopped run goes on where it was: rows of
the manifest are whole items, and what lies beside them unlisted is made again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np

from ondes.audio import Audio
from ondes.controls import Steps
from ondes.datasets.named import MANIFEST, ScoreEntry, read_manifest
from ondes.datasets.render import NotFiniteError, Renderer, open_renderer
from ondes.datasets.training_scores import PROBE_SHARE, training_score
from ondes.errors import UserError
from ondes.files import written_whole
from ondes.score import Notes, notes_to_score, read_score, to_notes

log = logging.getLogger(__name__)

SETTINGS = "settings.json"
REJECTED = "rejected.jsonl"
LIGHT_REVERB_SHARE = 0.25
SILENT_PEAK = 10 ** (-60 / 20)
LOUDEST_PEAK = 0.98
"""16-bit files end at 1; louder scores are turned down, in their CC7 too."""
MOST_REJECTED_IN_A_ROW = 50

Progress = Callable[[float, float], None]
"""Takes the seconds of audio made, and how many there will be."""


class RejectionError(Exception):
    """A pair that is no training material; the message is one word: silent, clipped, nan or broken."""


@dataclass(frozen=True)
class PairSettings:
    """What the pairs of a folder are functions of.

    Args:
        soundfont: SoundFont to play with.
        backend: See `open_renderer`.
        seed: Chooses among equally good folders.
        seconds: Length of each score.
        tail_s: What the render goes on for after it.
        probe_share: Chance of a probe instead of music.
        reverb_share: Chance of light reverb; a network that is not told of it learns the average.
    """

    soundfont: Path
    backend: str = "auto"
    seed: int = 0
    seconds: float = 25.0
    tail_s: float = 2.0
    probe_share: float = PROBE_SHARE
    reverb_share: float = LIGHT_REVERB_SHARE

    def renderer(self) -> Renderer:
        """The player that these settings name."""
        return open_renderer(self.soundfont, self.backend, tail_s=self.tail_s)


@dataclass(frozen=True, eq=False)
class Pair:
    """Notes, their render, the MIDI file both were made from, and the manifest's row."""

    notes: Notes
    audio: Audio
    midi: bytes
    row: dict[str, Any]


@dataclass
class Report:
    """What a run made: pairs and seconds in the folder now, and how many were rejected, by reason."""

    pairs: int = 0
    seconds: float = 0.0
    rejected: Counter[str] = field(default_factory=Counter)


def make_pair(entries: Sequence[ScoreEntry], renderer: Renderer, settings: PairSettings, index: int) -> Pair:
    """Pair number `index`: a training score and its render, dry or in one of four with light reverb.

    Training that renders as it goes calls this too.

    Raises:
        RejectionError: If the audio is silent, cannot be brought below full scale or is not finite, or no
            score could be read.
    """
    generator = np.random.default_rng([settings.seed, index])
    try:
        score, source = training_score(entries, generator, settings.seconds, probe_share=settings.probe_share)
        midi = bytes(score.dumps_midi())
        notes = to_notes(read_score(midi))
    except UserError as error:
        log.warning("pair %d: %s", index, error)
        raise RejectionError("broken") from error
    reverb = "light" if generator.random() < settings.reverb_share else "dry"
    audio = _render(renderer, notes, reverb)
    peak = _peak(audio)
    if peak > LOUDEST_PEAK:
        midi = bytes(notes_to_score(_softer(notes, LOUDEST_PEAK * 0.9 / peak)).dumps_midi())
        notes = to_notes(read_score(midi))
        audio = _render(renderer, notes, reverb)
        peak = _peak(audio)
    if peak < SILENT_PEAK:
        raise RejectionError("silent")
    if peak > 1:
        raise RejectionError("clipped")
    name = f"{index:07d}"
    row = {
        "id": name,
        "audio": f"{name[:4]}/{name}.flac",
        "midi": f"{name[:4]}/{name}.mid",
        "split": _split(entries, source.get("source_id")),
        "seconds": round(audio.duration_s, 6),
        "notes": len(notes),
        "source": source.get("source_id"),
        "licence": source.get("licence"),
        **{key: value for key, value in source.items() if key not in ("source_id", "licence")},
        "reverb": reverb,
        "peak": round(peak, 4),
        "index": index,
        "seed": settings.seed,
        "midi_sha256": hashlib.sha256(midi).hexdigest(),
        "soundfont_sha256": renderer.soundfont_hash,
        "renderer": type(renderer).__name__.removesuffix("Renderer").lower(),
    }
    return Pair(notes, audio, midi, row)


def render_pairs(
    entries: Sequence[ScoreEntry],
    out: Path,
    settings: PairSettings,
    *,
    hours: float,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Fill a folder with pairs until it holds so many hours; what is there already counts.

    The folder gets numbered folders of `.flac` (16 bit, 44.1 kHz, stereo) and `.mid` (exactly what was
    played), `manifest.jsonl`, `rejected.jsonl` and `settings.json`.

    Args:
        entries: Scores to vary.
        out: Folder, made if missing. Its earlier contents must come from the same settings and scores.
        settings: What the pairs are functions of.
        hours: How much audio the folder shall hold.
        workers: Processes; with 1 the work is done in this one.
        progress: Told after every pair.

    Raises:
        UserError: If the folder cannot be written or was made otherwise, the SoundFont cannot be used, a
            process dies, or nearly everything is rejected.
    """
    if hours <= 0 or workers < 1 or settings.seconds <= 0:
        raise UserError(
            f"{hours:g} hours of {settings.seconds:g} s by {workers} workers; give positive numbers of each"
        )
    renderer = settings.renderer()
    _claim(out, _identity(entries, settings, renderer))
    report, first = _resume(out)
    wanted_s = hours * 3600
    rejected_in_a_row = 0
    maker = _Maker(list(entries), out, settings, renderer)
    results = _results(maker, first, workers) if report.seconds < wanted_s else iter(())
    with (out / MANIFEST).open("a", encoding="utf-8") as manifest, (out / REJECTED).open("a") as refused:
        for row in results:
            reason = row.get("rejected")
            _append(refused if reason else manifest, row)
            rejected_in_a_row = rejected_in_a_row + 1 if reason else 0
            _count(report, row)
            if progress:
                progress(min(report.seconds, wanted_s), wanted_s)
            if report.seconds >= wanted_s:
                break
            if rejected_in_a_row >= MOST_REJECTED_IN_A_ROW:
                raise UserError(
                    f"{rejected_in_a_row} pairs in a row were rejected ({dict(report.rejected)}); "
                    "give other scores or another SoundFont"
                )
    return report


@dataclass
class _Maker:
    """Makes and writes single items; one lives in each process."""

    entries: list[ScoreEntry]
    out: Path
    settings: PairSettings
    renderer: Renderer | None = None

    def __call__(self, index: int) -> dict[str, Any]:
        """Row of the manifest, or index and reason of a rejection."""
        import soundfile  # noqa: PLC0415

        self.renderer = self.renderer or self.settings.renderer()
        try:
            pair = make_pair(self.entries, self.renderer, self.settings, index)
        except RejectionError as reason:
            return {"index": index, "rejected": str(reason)}
        audio, midi = self.out / pair.row["audio"], self.out / pair.row["midi"]
        audio.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(midi) as partial:
            partial.write_bytes(pair.midi)
        with written_whole(audio) as partial:
            soundfile.write(partial, pair.audio.samples.T, pair.audio.sample_rate_hz, subtype="PCM_16")
        return pair.row


_maker: _Maker | None = None
"""The maker of a worker process."""


def _start_worker(maker: _Maker) -> None:
    """In a new process: leave Ctrl-C to the parent, and never outlive it."""
    global _maker  # noqa: PLW0603
    _maker = maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def _work(index: int) -> dict[str, Any]:
    if _maker is None:
        raise RuntimeError("a worker runs before it was started")
    return _maker(index)


def _results(maker: _Maker, first: int, workers: int) -> Iterator[dict[str, Any]]:
    """Rows of the items from `first` on, in order, for ever."""
    if workers == 1:
        yield from map(maker, count(first))
        return
    context = multiprocessing.get_context("spawn")
    packed = (replace(maker, renderer=None),)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=packed)
    waiting: deque[Future[dict[str, Any]]] = deque()
    try:
        for index in count(first):
            waiting.append(pool.submit(_work, index))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process died, perhaps for want of memory; repeat the command with fewer --workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _append(file: Any, row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
    file.flush()


def _count(report: Report, row: dict[str, Any]) -> None:
    if "rejected" in row:
        report.rejected[row["rejected"]] += 1
    else:
        report.pairs += 1
        report.seconds += row["seconds"]


def _resume(out: Path) -> tuple[Report, int]:
    """What the folder holds, and the number of the next item. A last line that was cut off is removed."""
    report, following = Report(), 0
    for name in (MANIFEST, REJECTED):
        path = out / name
        if not path.is_file():
            continue
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole != text:
            with written_whole(path) as partial:
                partial.write_bytes(whole)
        for row in read_manifest(path):
            _count(report, row)
            following = max(following, row["index"] + 1)
    return report, following


def _identity(entries: Sequence[ScoreEntry], settings: PairSettings, renderer: Renderer) -> dict[str, Any]:
    """Everything that pairs depend on, in a form that does not depend on the machine."""
    ids = "\n".join(f"{entry.collection}/{entry.id}/{entry.split}" for entry in entries)
    known = {key: value for key, value in asdict(settings).items() if key not in ("soundfont", "backend")}
    return {
        **known,
        "renderer": type(renderer).__name__.removesuffix("Renderer").lower(),
        "soundfont_sha256": renderer.soundfont_hash,
        "scores_sha256": hashlib.sha256(ids.encode()).hexdigest(),
    }


def _claim(out: Path, identity: dict[str, Any]) -> None:
    """Make the folder ours, or find that it was made with the same settings."""
    path = out / SETTINGS
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a folder for the pairs")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if any(out.iterdir()):
                raise UserError(f"{out} holds other files; give a new or empty folder for the pairs")
            with written_whole(path) as partial:
                partial.write_text(json.dumps(identity, indent=2) + "\n")
    except OSError as error:
        raise UserError(
            f"the folder {out} cannot be written ({error.strerror}); choose another one"
        ) from None
    try:
        before = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path} is damaged; remove it to start over, or choose another folder") from None
    changed = [key for key in identity if before.get(key) != identity[key]]
    if changed:
        was = ", ".join(f"{key} {before.get(key)} instead of {identity[key]}" for key in changed)
        raise UserError(f"{out} was made with {was}; repeat those settings or choose another folder")


def _render(renderer: Renderer, notes: Notes, reverb: str) -> Audio:
    try:
        return renderer.render(notes, reverb=reverb)
    except NotFiniteError as error:
        raise RejectionError("nan") from error


def _peak(audio: Audio) -> float:
    return float(np.abs(audio.samples).max(initial=0.0))


def _softer(notes: Notes, gain: float) -> Notes:
    """All parts turned down by a factor of amplitude, through CC7."""
    factor = gain**0.5

    def down(steps: Steps) -> Steps:
        return Steps(
            np.append(0.0, steps.times_s), np.floor(np.append(steps(0.0), steps.values) * factor), 100.0
        )

    parts = tuple(
        replace(part, controls=replace(part.controls, volume=down(part.controls.volume)))
        for part in notes.parts
    )
    return replace(notes, parts=parts)


def _split(entries: Sequence[ScoreEntry], source_id: str | None) -> str:
    """The split of the entry that a score came from; probes belong to the first entry's."""
    return next((entry.split for entry in entries if entry.id == source_id), entries[0].split)
