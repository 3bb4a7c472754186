from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ondes.errors import UserError
from ondes.notes import Notes
from ondes.representations.framed_mel import from_scaled
from ondes.training.spectrogram_segments import (
    RandomSegments,
    Segment,
    SegmentBatch,
    collate_segments,
    cut_segment,
    random_start,
    song_chances,
)
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]

BANDS = 4


@dataclass
class CountingSong:
    """Frame i of the log-mel is -11 + i / 100 in every band."""

    frames: int

    @property
    def log_mel(self) -> np.ndarray:
        return np.repeat(-11 + np.arange(self.frames, dtype=np.float32)[:, None] / 100, BANDS, axis=1)

    @property
    def notes(self) -> Notes:
        return plain_notes([(0.1, 0.5, 60, 90, 0)])


class CountingSongs:
    def __init__(self, *lengths: int) -> None:
        self.frames = np.array(lengths)

    def __getitem__(self, index: int, /) -> CountingSong:
        return CountingSong(int(self.frames[index]))


class WindowCodec:
    """Says which window it was asked for, and one token a frame after that."""

    pad_id = 0

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> np.ndarray:
        assert len(notes) == 1
        return np.array([start_frame, frames, *[1] * frames])


def frame_numbers(scaled: torch.Tensor) -> list[int]:
    """Which frames of a `CountingSong` these are."""
    return ((from_scaled(scaled)[:, 0] + 11) * 100).round().int().tolist()


def same(one: SegmentBatch, other: SegmentBatch) -> bool:
    return all(map(torch.equal, one, other))


def segments(*sets: CountingSongs, **settings: int) -> RandomSegments:
    return RandomSegments(sets, WindowCodec(), batch=3, with_context=True, **settings)


def test_a_target_begins_anywhere_but_at_the_last_frame() -> None:
    rng = np.random.default_rng(0)
    starts = [random_start(5, rng) for _ in range(4000)]
    counts = np.bincount(starts)
    assert len(counts) == 4
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)
    assert {random_start(1, rng), random_start(2, rng)} == {0}


@pytest.mark.parametrize(
    ("start", "target", "context"),
    [
        (0, range(256), range(0)),
        (100, range(100, 356), range(100)),
        (256, range(256, 512), range(256)),
        (598, range(598, 600), range(342, 598)),
    ],
)
def test_target_and_context_are_the_frames_from_and_before_the_start(
    start: int, target: range, context: range
) -> None:
    segment = cut_segment(CountingSong(600), start, WindowCodec(), with_context=True)
    assert frame_numbers(segment.target) == list(target)
    assert frame_numbers(segment.context) == list(context)
    assert segment.tokens[:2].tolist() == [start, len(target)]
    without = cut_segment(CountingSong(600), start, WindowCodec(), with_context=False)
    assert frame_numbers(without.target) == list(target)
    assert without.context.shape == (0, BANDS)


def test_shorter_segments_have_shorter_contexts() -> None:
    segment = cut_segment(CountingSong(600), 100, WindowCodec(), with_context=True, most_frames=64)
    assert frame_numbers(segment.target) == list(range(100, 164))
    assert frame_numbers(segment.context) == list(range(36, 100))
    batch = segments(CountingSongs(600), most_frames=64).at(0)
    assert batch.target.shape == batch.context.shape == (3, 64, BANDS)
    assert batch.tokens[:, 1].max() <= 64


def test_a_window_with_too_many_tokens_is_halved_until_they_fit() -> None:
    segment = cut_segment(CountingSong(600), 10, WindowCodec(), with_context=True, limit=100)
    assert segment.tokens[:2].tolist() == [10, 64]
    assert frame_numbers(segment.target) == list(range(10, 74))
    with pytest.raises(UserError, match="one frame of a training song has 3 tokens, more than 2"):
        cut_segment(CountingSong(600), 10, WindowCodec(), with_context=True, limit=2)


class DenseCodec(WindowCodec):
    """Says which window it was asked for; windows that begin before frame 500 have too many tokens for anything."""

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> np.ndarray:
        assert len(notes) == 1
        return np.array([start_frame, frames, *[1] * (5000 if start_frame < 500 else 0)])


@pytest.mark.slow
def test_one_over_full_frame_does_not_stop_a_training(caplog: pytest.LogCaptureFixture) -> None:
    batches = RandomSegments([CountingSongs(600)], DenseCodec(), batch=16, with_context=False, seed=3)
    starts = batches.at(0).tokens[:, 0]
    assert starts.min() >= 500
    assert len(starts.unique()) > 4
    assert "another segment is drawn: one frame of a training song has 5002 tokens" in caplog.text
    assert same(batches.at(0), batches.at(0))
    # What fits at once is drawn as ever.
    plain = [
        RandomSegments([CountingSongs(9000)], codec, batch=1, with_context=False, seed=seed).at(0)
        for seed in range(4)
        for codec in (WindowCodec(), DenseCodec())
    ]
    firsts = [int(batch.tokens[0, 0]) for batch in plain]
    assert sum(one == other >= 500 for one, other in zip(firsts[::2], firsts[1::2], strict=True)) >= 3


def test_songs_whose_every_frame_is_over_full_stop_a_training_in_one_line() -> None:
    batches = RandomSegments([CountingSongs(400)], DenseCodec(), batch=1, with_context=False)
    with pytest.raises(UserError, match="5002 tokens, more than 2048; leave the song out"):
        batches.at(0)


def test_padding_is_silent_and_masked() -> None:
    pieces = [
        Segment(np.array([5, 6, 7]), torch.zeros(256, BANDS), torch.zeros(9, BANDS)),
        Segment(np.array([5]), torch.zeros(2, BANDS), torch.zeros(0, BANDS)),
    ]
    batch = collate_segments(pieces, tokens=None, pad_id=0, number=7)
    assert batch.tokens.tolist() == [[5, 6, 7], [5, 0, 0]]
    assert torch.equal(batch.token_mask, batch.tokens > 0)
    assert batch.target_mask.sum(1).tolist() == [256, 2]
    assert batch.context_mask.sum(1).tolist() == [9, 0]
    for padded, mask in ((batch.target, batch.target_mask), (batch.context, batch.context_mask)):
        assert torch.equal(padded, torch.where(mask, 0.0, -1.0)[..., None].expand(-1, -1, BANDS))
    assert int(batch.number) == 7
    assert collate_segments(pieces, tokens=8, pad_id=0).tokens.shape == (2, 8)


def test_data_sets_mix_by_a_power_of_their_size_and_songs_by_their_frames() -> None:
    chances = song_chances([np.array([100]), np.array([1000, 3000])], 0.3)
    second = 4000**0.3 / (100**0.3 + 4000**0.3)
    assert chances == pytest.approx([1 - second, second / 4, second * 3 / 4])
    assert song_chances([np.array([100]), np.array([300])], 1.0) == pytest.approx([0.25, 0.75])


def test_songs_are_drawn_as_often_as_their_chances_say() -> None:
    cut = segments(CountingSongs(300), CountingSongs(400, 1200))
    drawn = np.concatenate([cut.at(number).target_mask.sum(1).numpy() for number in range(60)])
    assert len(drawn) == 180
    # Targets begin at any frame, so those with all 256 frames tell how long the songs are.
    starts = np.array([44, 144, 944]) / np.array([299, 399, 1199])
    expected = float(cut.chances @ starts)
    assert np.mean(drawn == 256) == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 180))


def test_batch_k_is_a_function_of_seed_and_k() -> None:
    unbroken = list(itertools.islice(segments(CountingSongs(600), seed=1), 6))
    resumed = itertools.islice(segments(CountingSongs(600), seed=1, first=4), 2)
    assert all(map(same, unbroken[4:], resumed))
    assert not same(unbroken[0], unbroken[1]._replace(number=unbroken[0].number))
    assert not same(unbroken[0], segments(CountingSongs(600), seed=2).at(0))


def test_batches_are_the_same_with_any_number_of_workers() -> None:
    batches = [
        list(
            itertools.islice(
                DataLoader(segments(CountingSongs(600)), batch_size=None, num_workers=workers), 4
            )
        )
        for workers in (0, 2)
    ]
    assert all(map(same, *batches))


def test_processes_share_the_batches_of_one() -> None:
    alone = list(itertools.islice(segments(CountingSongs(600)), 6))
    for rank in range(2):
        shared = itertools.islice(segments(CountingSongs(600), rank=rank, processes=2), 3)
        assert all(map(same, shared, alone[rank::2]))
