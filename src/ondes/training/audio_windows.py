"""Training windows of the audio model: log-mels of whole pieces, cut at places that depend on the step alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from ondes.diffusion.noise import position_seed
from ondes.notes import Notes
from ondes.representations.instrument_names import FAMILIES, family_name
from ondes.representations.mel import MEL
from ondes.representations.note_sequence import DRUMS
from ondes.score import read_score, to_notes
from ondes.training.windows import own_numbers, read_log_mel, read_rows

log = logging.getLogger(__name__)

EDGE_SHARE = 0.15
"""How often a window is the beginning of its piece, and how often the end, beside those that chance makes so."""

LEAST_FAMILY_SHARE = 0.1
"""A family of instruments counts as a style of a piece where it plays this share of the time that notes last."""

GAIN_DB = 3.0
"""Pieces are made louder or softer by up to this much."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Log-mel of a piece as float16 (2, bands, frames), which may lie on disk, and what is said of its style."""

    name: str
    log_mel: np.ndarray
    styles: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Length of the log-mel."""
        return self.log_mel.shape[-1]


class AudioBatch(NamedTuple):
    """Windows of log-mel (batch, 2, bands, frames) and what the network is told of them; see `AudioConditions`."""

    log_mel: Tensor
    style: Tensor
    since_start_s: Tensor
    until_end_s: Tensor


def read_pieces(folders: Sequence[Path], split: str) -> list[Piece]:
    """Pieces of a split in folders that `ondes data render` or `ondes data audio` wrote.

    Raises:
        UserError: If a folder holds no manifest, or none of them a piece of the split.
    """
    return [
        Piece(row["id"], read_log_mel(folder, row), piece_styles(folder, row))
        for folder, row in read_rows(list(folders), split)
    ]


def piece_styles(folder: Path, row: dict[str, Any]) -> tuple[str, ...]:
    """What a manifest's row says of the style, or else its collection and the families of instruments of its notes."""
    if "styles" in row:
        return tuple(row["styles"])
    collection = (row["collection"],) if row.get("collection") else ()
    if "midi" not in row:
        return collection
    return (*collection, *playing_families(to_notes(read_score(folder / row["midi"]))))


def playing_families(notes: Notes) -> tuple[str, ...]:
    """Families of instruments that play a share of a score worth naming."""
    instrument = np.where(notes.is_drum, DRUMS, notes.program)
    family = np.array([family_name(number) for number in instrument.tolist()], dtype=object)
    length_s = notes.release_s - notes.onset_s
    total_s = max(float(length_s.sum()), 1e-9)
    return tuple(name for name in FAMILIES if length_s[family == name].sum() / total_s >= LEAST_FAMILY_SHARE)


class PieceWindows(IterableDataset[AudioBatch]):
    """Endless batches; batch k is a function of the seed and k, so a resumed run sees what an unbroken one would.

    Args:
        pieces: Where to cut.
        styles: Names the network knows, in its order; others are left out.
        batch: Windows in a batch.
        frames: Frames in a window.
        seed: Of the whole run.
        first: Number of the first batch.
        vary: Whether channels change sides and pieces their loudness.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        *,
        styles: Sequence[str],
        batch: int,
        frames: int,
        seed: int,
        first: int = 0,
        vary: bool = True,
    ) -> None:
        self.pieces, self.styles, self.batch, self.frames = list(pieces), tuple(styles), batch, frames
        self.seed, self.first, self.vary = seed, first, vary
        lengths = np.array([max(piece.frames, frames) for piece in pieces], dtype=np.float64)
        self.weights = lengths / max(lengths.sum(), 1)

    def __iter__(self) -> Iterator[AudioBatch]:
        """Batches from number `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number)

    def at(self, number: int) -> AudioBatch:
        """Batch of a number."""
        rng = np.random.default_rng(position_seed(self.seed, "pieces", number))
        chosen = rng.choice(len(self.pieces), size=self.batch, p=self.weights)
        windows = [self._cut(self.pieces[index], rng) for index in chosen]
        return AudioBatch(*(torch.stack(part) for part in zip(*windows, strict=True)))

    def _cut(self, piece: Piece, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        latest = max(piece.frames - self.frames, 0)
        place = rng.random()
        start = (
            0
            if place < EDGE_SHARE
            else latest
            if place > 1 - EDGE_SHARE
            else int(rng.integers(0, latest + 1))
        )
        window = torch.from_numpy(np.array(piece.log_mel[..., start : start + self.frames], dtype=np.float32))
        if self.vary:
            window = vary_sound(window, rng)
        floor = float(np.log(MEL.floor))
        window = torch.nn.functional.pad(window, (0, self.frames - window.shape[-1]), value=floor)
        style = torch.tensor([float(name in piece.styles) for name in self.styles or ("",)])
        since, until = start / MEL.frames_per_second, (piece.frames - start) / MEL.frames_per_second
        return window, style, torch.tensor(since), torch.tensor(until)


def vary_sound(log_mel: Tensor, rng: np.random.Generator) -> Tensor:
    """The same music with its sides changed, half of the time, and louder or softer, but never below the floor."""
    if rng.random() < 0.5:
        log_mel = log_mel.flip(0)
    gain_nepers = rng.uniform(-GAIN_DB, GAIN_DB) * np.log(10) / 20
    return (log_mel + gain_nepers).clamp(min=float(np.log(MEL.floor)))
