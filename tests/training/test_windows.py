from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.errors import UserError
from ondes.representations.mel import MEL
from ondes.representations.note_frames import to_note_frames
from ondes.training.windows import Batch, Pair, RandomWindows, band_statistics, cut, read_pairs
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]


def made_pair(frames: int, seed: int) -> Pair:
    values = np.random.default_rng(seed).normal(size=(2, 128, frames)).astype(np.float16)
    return Pair(str(seed), plain_notes([(0.1, 0.5, 60, 90, 0)]), values)


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.log_mel, other.log_mel) and torch.equal(one.notes.features, other.notes.features)


@pytest.fixture
def two() -> list[Pair]:
    return [made_pair(50, 0), made_pair(150, 1)]


def test_batch_k_is_a_function_of_seed_and_k(two: list[Pair]) -> None:
    windows = RandomWindows(two, batch=3, frames=16, seed=1)
    unbroken = list(itertools.islice(windows, 6))
    resumed = itertools.islice(RandomWindows(two, batch=3, frames=16, seed=1, first=4), 2)
    assert all(same(*pair) for pair in zip(unbroken[4:], resumed, strict=True))
    assert not same(unbroken[0], unbroken[1])
    assert not same(unbroken[0], RandomWindows(two, batch=3, frames=16, seed=2).at(0))


def test_workers_share_the_batches_in_order(two: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    windows = RandomWindows(two, batch=1, frames=16, seed=1, first=10)
    expected = list(itertools.islice(windows, 6))
    for worker in range(2):
        info = type("Info", (), {"id": worker, "num_workers": 2})
        monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda info=info: info)
        made = itertools.islice(windows, 3)
        assert all(same(*pair) for pair in zip(expected[worker::2], made, strict=True))


def test_a_window_holds_its_own_notes_and_mels(two: list[Pair]) -> None:
    mel, notes = cut(two[1], 20, 16)
    assert torch.equal(mel, torch.from_numpy(two[1].log_mel[..., 20:36].astype(np.float32)))
    expected = to_note_frames(two[1].notes, start_frame=20, frames=16)
    assert torch.equal(notes.features, expected.features)


def test_beyond_its_end_a_pair_is_silent(two: list[Pair]) -> None:
    mel, _ = cut(two[0], 40, 16)
    assert torch.equal(mel[..., 10:], torch.full((2, 128, 6), math.log(MEL.floor)))


def test_long_pairs_are_cut_as_often_as_they_are_long(two: list[Pair]) -> None:
    windows = RandomWindows(two, batch=1, frames=16, seed=0)
    assert windows.weights.tolist() == [0.25, 0.75]


def test_windows_are_shortened_as_told(two: list[Pair]) -> None:
    windows = RandomWindows(two, batch=2, frames=16, seed=0, shorten={0: 4, 3: 2, 5: 1})
    shapes = [(batch.log_mel.shape[0], batch.log_mel.shape[-1]) for batch in itertools.islice(windows, 6)]
    assert shapes == [(8, 4)] * 3 + [(4, 8)] * 2 + [(2, 16)]


def test_statistics_are_those_of_the_frames_that_sound() -> None:
    loud = made_pair(400, 5)
    silent = Pair("s", loud.notes, np.full((2, 128, 300), math.log(MEL.floor), np.float16))
    mean, deviation = band_statistics([loud.log_mel, silent.log_mel])
    left, right = loud.log_mel.astype(np.float64)
    features = np.stack([(left + right) / 2, (left - right) / 2])
    assert np.allclose(mean, features.mean(-1), atol=1e-5)
    assert np.allclose(deviation, features.std(-1), atol=1e-5)


def test_pairs_are_read_and_kept_for_the_next_time(pairs: Path) -> None:
    first, again = read_pairs([pairs], "train"), read_pairs([pairs], "train")
    assert [pair.name for pair in first] == ["0", "1", "2"]
    assert first[0].frames == 44_100 // 512
    assert np.array_equal(first[0].log_mel, again[0].log_mel)
    # The loudest band of the first half is that of the first key, an octave above the second's.
    early, late = (int(first[0].log_mel[0, :, frame].argmax()) for frame in (20, 70))
    assert early > late
    assert [pair.name for pair in read_pairs([pairs], "validation")] == ["3"]


def test_a_folder_without_the_split_is_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pairs of the split 'test'"):
        read_pairs([pairs], "test")
    with pytest.raises(UserError, match=r"no manifest\.jsonl; make them with 'ondes data render'"):
        read_pairs([tmp_path], "train")
