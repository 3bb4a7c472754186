"""Any folder of audio as cached stereo log-mels of the package's own front end, for models of audio to learn from.

A cache is a folder (see `cache_folder` for its settings and its list, by which a stopped build goes on) with

* `mels/<data set>/<file>.mel.npy`: log-mels (2, 128, frames) of 44.1 kHz stereo in half precision, exact to 0.004;
* `manifest.jsonl`: what training reads, one row a log-mel: id, source, mel, split, seconds, styles, semitones;
* `rejected.jsonl`: what was left out and why; it is not tried again until its file changes.

Files are read, resampled and transformed block by block, so that memory does not grow with their length.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondes.datasets.audio_files import AudioFile, Sound
from ondes.datasets.cache_folder import REJECTED, ROWS, Name, claim, locked, read_rejected, resume
from ondes.datasets.named import MANIFEST
from ondes.datasets.recordings import RejectedError, Rejections
from ondes.datasets.worker_pool import in_order
from ondes.errors import UserError
from ondes.files import written_whole

VERSION = 1
MOST_SEMITONES = 12.0

_FIRST = ("test", "validation", "train")
"""The order of a build: of files with the same sound the first stays, so that nothing held out is learnt."""


def build_audio_cache(
    files: Sequence[AudioFile],
    folder: str | os.PathLike[str],
    *,
    semitones: Sequence[float] = (),
    least_s: float = 1.0,
    workers: int = 1,
    rejections: Rejections | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Make what is missing of a cache, and list it in its manifest; what else it holds stays.

    The cache is the same whatever the number of workers. Files of the same sound, sample for sample, are kept once,
    whatever they are called and however they were coded without loss.

    Args:
        files: What shall be in the cache.
        folder: The cache, made if missing.
        semitones: Of the training files, copies as if a tape ran faster: pitch and speed rise together.
        least_s: Shorter files are left out.
        workers: Processes; with 1 the work is done in this one.
        rejections: Where to count what is left out.
        progress: Told of files done and in total.

    Returns:
        The rows of these files in the manifest.

    Raises:
        UserError: If the folder cannot be written or is another cache, or none of the files can be used.
    """
    rejections, place = Rejections() if rejections is None else rejections, Path(folder)
    copies = _checked_semitones(semitones)
    claim(place, _settings(copies, least_s))
    with locked(place):
        (place / REJECTED).touch()
        build = _Build(place)
        ordered = sorted(files, key=lambda file: _FIRST.index(file.split))
        waiting = [file for file in ordered if build.is_new(file)]
        results = in_order(_Work(place, copies, least_s), waiting, workers)
        done = len(files) - len(waiting)
        with build:
            for file, result in zip(waiting, results, strict=True):
                build.add(file, result)
                done += 1
                if progress:
                    progress(done, len(files))
        build.write_manifest()
    names = [_name(file) for file in files]
    for name in names:
        if name in build.rejected:
            row = build.rejected[name]
            rejections.add(row["dataset"], row["id"], row["reason"], row["detail"])
    rows = [row for name in names if name in build.rows for row in _manifest_rows(build.rows[name])]
    if not rows:
        raise UserError(
            f"none of the {len(files)} files can be used: {'; '.join(rejections.lines()[:3])}; give others"
        )
    return rows


@dataclass(frozen=True)
class _Mel:
    """What became of one file, as told between processes: log-mels by semitones, and the sound's fingerprint."""

    fingerprint: str
    seconds: float
    mels: tuple[tuple[float, str, float], ...]
    """Semitones, path in the cache, seconds."""


@dataclass(frozen=True)
class _Work:
    """Features of one file and its copies, or why there are none; done in any process."""

    place: Path
    semitones: tuple[float, ...]
    least_s: float

    def __call__(self, file: AudioFile) -> _Mel | RejectedError:
        """Read, resample, transform, write."""
        try:
            sound = Sound(file.path)
            if sound.seconds < self.least_s:
                raise RejectedError(f"shorter than {self.least_s:g} s", f"{sound.seconds:.2f} s")
            shifts = (0.0, *(self.semitones if file.split == "train" else ()))
            mels = []
            for shift in shifts:
                target = mel_path(file, shift)
                frames = sound.write_log_mel(self.place / target, shift)
                mels.append((shift, target, frames))
        except RejectedError as error:
            return error
        return _Mel(sound.fingerprint, sound.seconds, tuple(mels))


def mel_path(file: AudioFile, semitones: float = 0.0) -> str:
    """Where a file's log-mel lies in the cache."""
    return f"mels/{file.dataset}/{file.name}{_shift(semitones)}.mel.npy"


class _Build:
    """The lists of a cache while files are added."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.rows = resume(place, lambda _: ())
        self.rejected = read_rejected(place / REJECTED)
        self.known = {row["fingerprint"]: name for name, row in self.rows.items()}

    def is_new(self, file: AudioFile) -> bool:
        """Whether a file was never tried, or has changed, or its features are gone."""
        name = _name(file)
        row = self.rows.get(name)
        if row is None:
            return self.rejected.get(name, {}).get("key") != file.key
        return row["key"] != file.key or not all((self.place / mel).is_file() for _, mel, _ in row["mels"])

    def __enter__(self) -> _Build:
        self.lists = {name: (self.place / name).open("a", encoding="utf-8") for name in (ROWS, REJECTED)}
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.lists.values():
            file.close()

    def add(self, file: AudioFile, result: _Mel | RejectedError) -> None:
        """List a file, or note why it is left out."""
        name = _name(file)
        about = {"key": file.key, "dataset": file.dataset, "split": file.split, "id": file.name}
        self.rejected.pop(name, None)
        self._forget(name)
        if isinstance(result, _Mel) and (twin := self.known.get(result.fingerprint)) is not None:
            if (twin[0], twin[2]) == (name[0], name[2]):
                self._forget(twin)  # the same file, which was in another split
            else:
                for _, mel, _ in result.mels:
                    (self.place / mel).unlink(missing_ok=True)
                result = RejectedError("the same sound as another file", twin[2])
        if isinstance(result, RejectedError):
            self.rejected[name] = {**about, "reason": result.reason, "detail": result.detail}
            self._append(REJECTED, self.rejected[name])
            return
        row = {**about, "styles": list(file.styles), **asdict(result)}
        self._append(ROWS, row)
        self.rows[name], self.known[result.fingerprint] = row, name

    def write_manifest(self) -> None:
        """One line for each log-mel there is."""
        rows = [line for row in self.rows.values() for line in _manifest_rows(row)]
        with written_whole(self.place / MANIFEST) as partial:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            partial.write_text(text, encoding="utf-8")

    def _forget(self, name: Name) -> None:
        """Say that a file is no longer there."""
        old = self.rows.pop(name, None)
        if old is not None:
            self.known.pop(old["fingerprint"], None)
            self._append(ROWS, {**{key: old[key] for key in ("dataset", "split", "id")}, "removed": True})

    def _append(self, name: str, row: dict[str, Any]) -> None:
        self.lists[name].write(json.dumps(row, ensure_ascii=False) + "\n")
        self.lists[name].flush()


def _name(file: AudioFile) -> Name:
    """What the lists call a file."""
    return file.dataset, file.split, file.name


def _shift(semitones: float) -> str:
    """What the copies of a file have behind its name."""
    return f"@{semitones:+g}" if semitones else ""


def _manifest_rows(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What training reads about a file: its log-mel, and those of its copies."""
    return [
        {
            "id": f"{row['dataset']}/{row['id']}{_shift(semitones)}",
            "source": row["id"],
            "mel": mel,
            "split": row["split"],
            "seconds": seconds,
            "styles": row["styles"],
            "semitones": semitones,
        }
        for semitones, mel, seconds in row["mels"]
    ]


def _checked_semitones(semitones: Sequence[float]) -> tuple[float, ...]:
    """In order and each once.

    Raises:
        UserError: If one is 0 or too much.
    """
    for shift in semitones:
        if not math.isfinite(shift) or not 0 < abs(shift) <= MOST_SEMITONES:
            raise UserError(
                f"copies raised by {shift:g} semitones; give numbers from -{MOST_SEMITONES:g} to "
                f"{MOST_SEMITONES:g} other than 0"
            )
    return tuple(sorted(set(semitones)))


def _settings(semitones: tuple[float, ...], least_s: float) -> dict[str, Any]:
    """What must agree for a build to go on."""
    from ondes.representations.mel import MEL  # noqa: PLC0415

    told = {"version": VERSION, "kind": "audio", "least_s": least_s, "semitones": list(semitones)}
    return told | {"features": asdict(MEL)}
