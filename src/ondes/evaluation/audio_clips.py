"""Clips of recordings to compare a model of audio with: of any folder of audio, or of scores that are played."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ondes.audio import Audio
from ondes.datasets.audio_files import SUFFIXES, find_audio
from ondes.datasets.named import MANIFEST, dataset, parse_spec, read_manifest
from ondes.datasets.recordings import SPLIT_NAMES
from ondes.errors import UserError
from ondes.evaluation.excerpts import choose_excerpts
from ondes.evaluation.listening import fit
from ondes.evaluation.spectra import log_mel

if TYPE_CHECKING:
    from ondes.datasets.render import Renderer

SAMPLE_RATE_HZ = 44_100
TRIED = 8
"""Places at which a clip of a file is looked for, until one is not silent."""
LEAST_PEAK = 1e-3


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a recording, 44.1 kHz stereo.

    Attributes:
        source: What it was taken from; clips of one source are not independent.
        start_s: Where it begins there.
        audio: Its sound.
    """

    source: str
    start_s: float
    audio: Audio


def read_clips(
    data: str, *, count: int, duration_s: float, renderer: Renderer | None, seed: int = 0
) -> list[Clip]:
    """Clips of a data set, as many as asked or as there are.

    Args:
        data: A folder of audio or of rendered pairs, `folder:split`, or scores as of `dataset`, which are played.
        count: How many.
        duration_s: Length of each.
        renderer: Plays scores.
        seed: Of the choice.

    Raises:
        UserError: If there are none, or scores come without a renderer.
    """
    files = _audio_files(data)
    if files:
        return list(itertools.islice(_clips_of_files(files, duration_s, seed), count))
    if renderer is None:
        raise UserError(f"{data} holds scores, which need a SoundFont to be played; pass --soundfont")
    excerpts = choose_excerpts(dataset(data), count=count, duration_s=duration_s, seed=seed)
    clips = []
    for excerpt in excerpts:
        audio = renderer.render(excerpt.score).to_stereo().resample(SAMPLE_RATE_HZ)
        clips.append(Clip(excerpt.source, excerpt.start_s, fit(audio, duration_s)))
    return clips


def holds_audio(data: str) -> bool:
    """Whether clips of the data are read, rather than played."""
    stem, _ = parse_spec(data)
    rows = read_manifest(Path(stem) / MANIFEST) if (Path(stem) / MANIFEST).is_file() else []
    return any("mel" in row for row in rows) or bool(_audio_files(data))


def deal(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Two halves of about the same size without a common source."""
    halves: tuple[list[Clip], list[Clip]] = ([], [])
    by_source: dict[str, list[Clip]] = {}
    for clip in clips:
        by_source.setdefault(clip.source, []).append(clip)
    for own in by_source.values():
        min(halves, key=len).extend(own)
    return halves


def training_mels(
    data: str, *, count: int, duration_s: float, renderer: Renderer | None, seed: int = 0
) -> Iterator[np.ndarray]:
    """Log-mels (2, 128, frames) of what a model may have learnt.

    Everything of a folder that `ondes data render` or `ondes data audio` made; of other folders and of scores, clips.

    Args:
        data: As of `read_clips`; of a folder with a manifest the training split.
        count: How many clips.
        duration_s: Length of each.
        renderer: Plays scores.
        seed: Of the choice.
    """
    folder = Path(parse_spec(data)[0])
    rows = read_manifest(folder / MANIFEST) if (folder / MANIFEST).is_file() else []
    if rows and "split" in rows[0] and {"mel", "audio"} & rows[0].keys():
        from ondes.training.windows import read_log_mel, read_rows  # noqa: PLC0415

        yield from (read_log_mel(own, row) for own, row in read_rows([folder], "train"))
        return
    for clip in read_clips(data, count=count, duration_s=duration_s, renderer=renderer, seed=seed):
        yield log_mel(clip.audio)


def _audio_files(data: str) -> list[tuple[str, Path]]:
    """Names and paths of the audio files of a folder and split; none where it holds none."""
    stem, split = parse_spec(data)
    folder = Path(stem)
    if not folder.is_dir():
        return []
    if (folder / MANIFEST).is_file():
        rows = [row for row in read_manifest(folder / MANIFEST) if "audio" in row]
        return [
            (str(row.get("source") or row["id"]), folder / row["audio"])
            for row in rows
            if not split or SPLIT_NAMES.get(row.get("split", "")) == split
        ]
    if not any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*")):
        return []
    return [(file.name, file.path) for file in find_audio(folder) if not split or file.split == split]


def _clips_of_files(files: Sequence[tuple[str, Path]], duration_s: float, seed: int) -> Iterator[Clip]:
    """One clip of each file in turn, then another of each, without overlap."""
    random = np.random.default_rng([seed, 0xC11])
    order = random.permutation(len(files))
    chosen = [files[int(index)] for index in order]
    streams = [_clips_of_file(name, path, duration_s, random) for name, path in chosen]
    while streams:
        alive = []
        for stream in streams:
            clip = next(stream, None)
            if clip is not None:
                yield clip
                alive.append(stream)
        streams = alive


def _clips_of_file(name: str, path: Path, duration_s: float, random: np.random.Generator) -> Iterator[Clip]:
    """Clips of a file that do not overlap and are not silent, in random order; none where it is too short."""
    import soundfile  # noqa: PLC0415

    try:
        about = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError):
        return
    length = round(duration_s * about.samplerate)
    if about.channels > 2 or about.frames < length:
        return
    slack = int(random.integers(about.frames % length + 1))
    for place in random.permutation(about.frames // length)[:TRIED]:
        start = int(place) * length + slack
        samples, rate_hz = soundfile.read(path, length, start, dtype="float32", always_2d=True)
        if len(samples) == length and np.isfinite(samples).all() and np.abs(samples).max() > LEAST_PEAK:
            audio = Audio(np.ascontiguousarray(samples.T), rate_hz).to_stereo().resample(SAMPLE_RATE_HZ)
            yield Clip(name, start / rate_hz, fit(audio, duration_s))
