"""Training windows: rendered pairs of notes and log-mel, cut at random places that depend on the step alone."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from ondes.audio import Audio
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.representations.mel import MEL, to_log_mel
from ondes.representations.note_frames import NoteFrames, collate, to_note_frames
from ondes.score import Notes, read_score, to_notes

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pair:
    """A rendered score: its notes and the log-mel of its audio as float16 (2, bands, frames)."""

    name: str
    notes: Notes
    log_mel: np.ndarray

    @property
    def frames(self) -> int:
        """Length of the log-mel."""
        return self.log_mel.shape[-1]


def read_rows(folders: list[Path], split: str) -> list[tuple[Path, dict[str, Any]]]:
    """Rows of the manifests that belong to a split, each with its folder.

    Raises:
        UserError: If a folder holds no rendered pairs, or none of them any of the split.
    """
    rows = []
    for folder in folders:
        manifest = Path(folder) / "manifest.jsonl"
        if not manifest.is_file():
            raise UserError(
                f"{folder} holds no rendered pairs: it has no manifest.jsonl; make them with 'ondes data render'"
            )
        found = (json.loads(line) for line in manifest.read_text().splitlines())
        rows += [(Path(folder), row) for row in found if row["split"] == split]
    if not rows:
        names = ", ".join(map(str, folders))
        raise UserError(f"{names}: no pairs of the split {split!r}; render some with 'ondes data render'")
    return rows


def read_log_mel(folder: Path, row: dict[str, Any]) -> np.ndarray:
    """The log-mel of a manifest's row, float16 (2, bands, frames), left on disk until it is used.

    Where the row names audio alone it is made, and kept beside the audio for the next time.
    """
    if "mel" in row:
        return np.load(folder / row["mel"], mmap_mode="r")
    cache = (folder / row["audio"]).with_suffix(".mel.npy")
    if not cache.is_file():
        audio = Audio.read(folder / row["audio"]).to_stereo()
        log_mel = to_log_mel(torch.tensor(audio.samples)).to(torch.float16).numpy()
        beside = cache.with_suffix(".part.npy")
        np.save(beside, log_mel)
        beside.replace(cache)
    return np.load(cache, mmap_mode="r")


def read_pair(folder: Path, row: dict[str, Any]) -> Pair:
    """One rendered pair; its log-mel is kept beside it for the next time."""
    return Pair(row["id"], to_notes(read_score(folder / row["midi"])), np.array(read_log_mel(folder, row)))


def read_pairs(folders: list[Path], split: str) -> list[Pair]:
    """All rendered pairs of a split in several folders."""
    pairs = [read_pair(folder, row) for folder, row in read_rows(folders, split)]
    seconds = sum(pair.frames for pair in pairs) / MEL.frames_per_second
    log.info("%s: %d pairs, %.1f minutes", split, len(pairs), seconds / 60)
    return pairs


class Batch(NamedTuple):
    """Windows of log-mel (batch, 2, bands, frames) and their notes, collated."""

    log_mel: Tensor
    notes: NoteFrames


def cut(pair: Pair, start: int, frames: int) -> tuple[Tensor, NoteFrames]:
    """A window of a pair; beyond its end there is silence."""
    piece = torch.from_numpy(np.array(pair.log_mel[..., start : start + frames], dtype=np.float32))
    floor = float(np.log(MEL.floor))
    piece = torch.nn.functional.pad(piece, (0, frames - piece.shape[-1]), value=floor)
    return piece, to_note_frames(pair.notes, start_frame=start, frames=frames)


def own_numbers(first: int) -> Iterator[int]:
    """Numbers of the batches this process makes, endlessly: worker w of n has every n-th."""
    worker = torch.utils.data.get_worker_info()
    offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
    return itertools.count(first + offset, stride)


def in_epochs(number: int, *, batch: int, count: int, words: tuple[int | str, ...]) -> np.ndarray:
    """Which of `count` examples are in a batch: of every epoch each once, in an order of its own.

    Args:
        number: Of the batch, from 0; an epoch may end within it.
        batch: Examples in it.
        count: Examples there are.
        words: Seed of the orders, as of `position_seed`.
    """
    places = np.arange(number * batch, (number + 1) * batch)
    chosen = np.empty(batch, np.int64)
    for epoch in np.unique(places // count):
        order = np.random.default_rng(position_seed(*words, int(epoch))).permutation(count)
        within = places // count == epoch
        chosen[within] = order[places[within] % count]
    return chosen


class RandomWindows(IterableDataset[Batch]):
    """Endless batches; batch k is a function of the seed and k, so a resumed run sees what an unbroken one would.

    Args:
        pairs: Where to cut.
        batch: Windows in a batch.
        frames: Frames in a window.
        seed: Of the whole run.
        first: Number of the first batch.
        shorten: From which batch on there are how many times as many windows, as much shorter: what is learned frame
            by frame gains more from variety than from length.
    """

    def __init__(
        self,
        pairs: list[Pair],
        *,
        batch: int,
        frames: int,
        seed: int,
        first: int = 0,
        shorten: dict[int, int] | None = None,
    ) -> None:
        self.pairs, self.batch, self.frames, self.seed, self.first = pairs, batch, frames, seed, first
        # JSON and YAML may have made text of the numbers.
        self.shorten = {0: 1, **{int(begin): count for begin, count in (shorten or {}).items()}}
        lengths = np.array([max(pair.frames, frames) for pair in pairs], dtype=np.float64)
        self.weights = lengths / max(lengths.sum(), 1)

    def __iter__(self) -> Iterator[Batch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> Batch:
        """Batch of a number."""
        rng = np.random.default_rng(position_seed(self.seed, "windows", number))
        shorter = self.shorten[max(begin for begin in self.shorten if begin <= number)]
        frames = self.frames // shorter
        windows = []
        for index in rng.choice(len(self.pairs), size=self.batch * shorter, p=self.weights):
            pair = self.pairs[index]
            start = int(rng.integers(0, max(pair.frames - frames, 0) + 1))
            windows.append(cut(pair, start, frames))
        return Batch(torch.stack([mel for mel, _ in windows]), collate([notes for _, notes in windows]))


def band_statistics(log_mels: Iterable[np.ndarray], *, silence: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band (2, bands) of the mean and half difference of left and right.

    Args:
        log_mels: Of pieces, each (2, bands, frames).
        silence: Whether silent frames count. Their number says more about the editing of a data set than about music,
            but a model that has no notes to tell it where they are must make them itself.
    """
    count, total, square = 0, np.zeros(()), np.zeros(())
    for log_mel in log_mels:
        left, right = np.asarray(log_mel, dtype=np.float64)
        features = np.stack([(left + right) / 2, (left - right) / 2])
        if not silence:
            features = features[..., features[0].max(0) > np.log(MEL.floor) + 3]
        count += features.shape[-1]
        total, square = total + features.sum(-1), square + np.square(features).sum(-1)
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(square / max(count, 1) - np.square(mean), 1e-4))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()
