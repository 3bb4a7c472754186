"""Training segments of Spectrogram Diffusion: random pieces of songs with their tokens, the same for the same step.

The rule is the official one: the context begins anywhere from 256 frames before a song to its last frame but one, so
that it has 0 to 256 frames and the target 1 to 256. Both are cut from the log-mel of the whole song, whose frames have
their true neighbours, where the official pipeline keeps 16 extra frames for the same end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor
from torch.utils.data import IterableDataset

from ondes.datasets.readers import mixing_weights
from ondes.diffusion.noise import position_seed
from ondes.errors import UserError
from ondes.notes import Notes
from ondes.representations.framed_mel import to_scaled
from ondes.training.windows import own_numbers

log = logging.getLogger(__name__)

SEGMENT_FRAMES = 256
"""Frames of a whole target, and of a whole context: 5.12 s."""

MOST_TOKENS = 2048
"""Rows of the official table of token positions."""

MOST_DRAWS = 100
"""Places tried for a segment whose first frame has more tokens than may be, before a training gives up."""

SILENCE = -1.0
"""Scaled log-mel of silence."""


class OverfullError(UserError):
    """A single frame has more tokens than a segment may have."""


@runtime_checkable
class Song(Protocol):
    """A song as the feature cache gives it."""

    @property
    def log_mel(self) -> np.ndarray:
        """Unscaled log-mel (frames, bands) of the whole song."""
        ...

    @property
    def notes(self) -> Notes:
        """What is played."""
        ...


@runtime_checkable
class Songs(Protocol):
    """The songs of a data set."""

    @property
    def frames(self) -> Int64[np.ndarray, " songs"]:
        """Frames of each."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """The `Song` at a place."""
        ...


@runtime_checkable
class WindowCodec(Protocol):
    """What turns the notes of a window into tokens."""

    @property
    def pad_id(self) -> int:
        """What fills up a batch."""
        ...

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> np.ndarray:
        """Tokens of the frames from `start_frame` on."""
        ...


@dataclass(frozen=True, eq=False)
class Segment:
    """A piece of a song: its tokens, its scaled log-mel, and that of what comes before."""

    tokens: Int64[np.ndarray, " tokens"]
    target: Float32[Tensor, "frames bands"]
    context: Float32[Tensor, "context_frames bands"]


class SegmentBatch(NamedTuple):
    """Segments side by side, each padded at its end; masks are true where something is.

    Attributes:
        tokens: (batch, tokens).
        token_mask: (batch, tokens).
        target: Scaled log-mel (batch, frames, bands), padded with silence.
        target_mask: (batch, frames).
        context: Scaled log-mel (batch, frames, bands) of what comes before.
        context_mask: (batch, frames).
        number: Of the batch, over all processes: noise is a function of it.
    """

    tokens: Tensor
    token_mask: Tensor
    target: Tensor
    target_mask: Tensor
    context: Tensor
    context_mask: Tensor
    number: Tensor


def random_start(frames: int, rng: np.random.Generator) -> int:
    """First frame of a target: uniform over all frames of a song but the last."""
    return int(rng.integers(0, max(frames - 1, 1)))


def tokens_that_fit(
    codec: WindowCodec, notes: Notes, *, start: int, frames: int, limit: int
) -> tuple[Int64[np.ndarray, " tokens"], int]:
    """Tokens of a window, and the frames they stand for: the window is halved until they fit.

    Raises:
        OverfullError: If a single frame has more tokens than the limit.
    """
    while True:
        tokens = codec.encode_window(notes, start_frame=start, frames=frames)
        if len(tokens) <= limit:
            return tokens, frames
        if frames == 1:
            raise OverfullError(
                f"one frame of a training song has {len(tokens)} tokens, more than {limit}; leave the song out"
            )
        frames //= 2


def cut_segment(
    song: Song,
    start: int,
    codec: WindowCodec,
    *,
    with_context: bool,
    limit: int = MOST_TOKENS,
    most_frames: int = SEGMENT_FRAMES,
) -> Segment:
    """The segment of a song whose target begins at a frame.

    Args:
        song: Where it is cut from.
        start: First frame of the target.
        codec: Makes the tokens.
        with_context: Whether what comes before is given.
        limit: Tokens that it may have.
        most_frames: Of the target, and of the context.

    Raises:
        OverfullError: If that frame alone has more tokens than the limit.
    """
    log_mel = song.log_mel
    frames = min(most_frames, len(log_mel) - start)
    tokens, frames = tokens_that_fit(codec, song.notes, start=start, frames=frames, limit=limit)
    before = max(start - most_frames, 0) if with_context else start
    piece = torch.from_numpy(np.array(log_mel[before : start + frames], dtype=np.float32))
    scaled = to_scaled(piece)
    return Segment(tokens, scaled[start - before :], scaled[: start - before])


def collate_segments(
    segments: Sequence[Segment],
    *,
    tokens: int | None,
    pad_id: int,
    number: int = 0,
    most_frames: int = SEGMENT_FRAMES,
) -> SegmentBatch:
    """Segments side by side.

    Args:
        segments: Any number.
        tokens: Width to pad the tokens to; as wide as the widest if missing.
        pad_id: What to pad with.
        number: Of the batch.
        most_frames: What targets and contexts are padded to.
    """
    width = max(len(segment.tokens) for segment in segments) if tokens is None else tokens
    rows = [torch.from_numpy(np.asarray(segment.tokens, dtype=np.int64)) for segment in segments]
    target, target_mask = _padded([segment.target for segment in segments], most_frames, SILENCE)
    context, context_mask = _padded([segment.context for segment in segments], most_frames, SILENCE)
    padded, token_mask = _padded(rows, width, pad_id)
    return SegmentBatch(padded, token_mask, target, target_mask, context, context_mask, torch.tensor(number))


def _padded(rows: list[Tensor], length: int, value: float) -> tuple[Tensor, Tensor]:
    """Rows of any length, padded to one, and where they are."""
    whole = rows[0].new_full((len(rows), length, *rows[0].shape[1:]), value)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
        mask[number, : len(row)] = True
    return whole, mask


def song_chances(
    sizes: Sequence[Int64[np.ndarray, " _"]], temperature: float
) -> Float64[np.ndarray, " songs"]:
    """How often to draw from each song of several data sets, one set after the other; they sum to 1.

    Args:
        sizes: Frames of the songs of each data set. The songs of a set count by them.
        temperature: Exponent of the mixture of the sets, see `mixing_weights`.
    """
    shares = mixing_weights([float(frames.sum()) for frames in sizes], exponent=temperature)
    chances = [share * frames / frames.sum() for share, frames in zip(shares, sizes, strict=True)]
    return np.concatenate(chances)


class RandomSegments(IterableDataset[SegmentBatch]):
    """Endless batches; batch k is a function of the seed and k, so a resumed run sees what an unbroken one would.

    Args:
        sets: Songs of each data set; none of them empty.
        codec: Of the tokens.
        batch: Segments in a batch.
        with_context: Whether what comes before is given.
        tokens: Width to pad the tokens to; as wide as the widest of a batch if missing. A segment with more is made
            shorter.
        most_frames: Of a target, and of a context; 256 are official.
        temperature: Of the mixture of the data sets, see `mixing_weights`.
        seed: Of the whole run.
        first: Number of the first batch of this process.
        rank: Of this process among those that train together.
        processes: How many train together; batches are dealt out among them.
    """

    def __init__(
        self,
        sets: Sequence[Songs],
        codec: WindowCodec,
        *,
        batch: int,
        with_context: bool,
        tokens: int | None = None,
        most_frames: int = SEGMENT_FRAMES,
        temperature: float = 0.3,
        seed: int = 0,
        first: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        sizes = [songs.frames for songs in sets]
        self.chances = song_chances(sizes, temperature)
        self.places = [(songs, index) for songs in sets for index in range(len(songs.frames))]
        self.codec, self.batch, self.with_context, self.tokens = codec, batch, with_context, tokens
        self.most_frames = most_frames
        self.seed, self.first, self.rank, self.processes = seed, first, rank, processes

    def __iter__(self) -> Iterator[SegmentBatch]:
        """Batches of this process from its `first` on; worker w of n makes every n-th."""
        for number in own_numbers(self.first):
            yield self.at(number * self.processes + self.rank)

    def at(self, number: int) -> SegmentBatch:
        """Batch of a number; where a segment begins with an over-full frame, another is drawn.

        Raises:
            UserError: If nothing that is drawn has few enough tokens.
        """
        rng = np.random.default_rng(position_seed(self.seed, "segments", number))
        segments = [
            self._segment(int(place), rng)
            for place in rng.choice(len(self.places), size=self.batch, p=self.chances)
        ]
        shape = {"tokens": self.tokens, "most_frames": self.most_frames}
        return collate_segments(segments, pad_id=self.codec.pad_id, number=number, **shape)

    def _segment(self, place: int, rng: np.random.Generator) -> Segment:
        """A random segment of the song at a place, or of others if it has too many tokens where it begins."""
        limit = MOST_TOKENS if self.tokens is None else self.tokens
        settings = {"with_context": self.with_context, "limit": limit, "most_frames": self.most_frames}
        draws = MOST_DRAWS
        while True:
            songs, index = self.places[place]
            song: Song = songs[index]
            start = random_start(len(song.log_mel), rng)
            try:
                return cut_segment(song, start, self.codec, **settings)
            except OverfullError as error:
                draws -= 1
                if not draws:
                    raise
                log.warning("another segment is drawn: %s", error)
            place = int(rng.choice(len(self.places), p=self.chances))
