from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from midi_bytes import in_order, midi, note, tempo, track
from ondes.datasets.note_cache import BAR, NOTE, build_note_cache, fingerprint, open_note_cache
from ondes.datasets.recordings import Rejections
from ondes.errors import UserError
from ondes.representations.note_sequence import NoteSequence, to_note_sequence
from ondes.score import read_score

COLUMNS = ("bar", "position", "offset", "pitch", "duration_steps", "velocity", "instrument", "part_number")
BARS = ("start_quarters", "length_quarters", "numerator", "denominator", "bpm")


def write_song(path: Path, seed: int, *, notes: int = 20, late: int = 0, octave: int = 0) -> Path:
    """A melody off the grid with random pitches, 480 ticks a quarter note."""
    rng = np.random.default_rng(seed)
    onsets = np.cumsum(rng.integers(100, 400, notes))
    events = [
        note(int(onset) + late, int(onset) + late + 90, int(pitch) + 12 * octave, velocity=int(velocity))
        for onset, pitch, velocity in zip(
            onsets, rng.integers(50, 70, notes), rng.integers(40, 90, notes), strict=True
        )
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(midi(track([(0, tempo(500_000))]), track(in_order(*events))))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(6):
        write_song(tmp_path / "songs" / f"song{seed}.mid", seed, notes=20 + seed)
    return tmp_path / "songs"


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir() if path.name != "lock"}


def assert_same(one: NoteSequence, two: NoteSequence) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
        assert getattr(one, name).dtype == getattr(two, name).dtype
    for name in BARS:
        np.testing.assert_array_equal(getattr(one.bars, name), getattr(two.bars, name), err_msg=name)


@pytest.mark.parametrize("quantise", [True, False])
def test_what_is_cached_is_what_is_read(folder: Path, tmp_path: Path, quantise: bool) -> None:
    build_note_cache(folder, tmp_path / "cache")
    cache = open_note_cache(tmp_path / "cache", quantise=quantise)
    assert len(cache) == 6
    for sequence, about in pickle.loads(pickle.dumps(cache)):
        score = read_score(folder / f"{about.id}.mid")
        assert_same(sequence, to_note_sequence(score, quantise=quantise))
        assert sequence.index.tolist() == [-1] * about.notes
        assert (about.notes, about.bars) == (len(sequence), len(sequence.bars))
        assert not about.flat_velocity
    assert cache.note_counts.sum() == sum(range(20, 26))


def test_one_corrupt_file_among_many_is_skipped_and_counted(folder: Path, tmp_path: Path) -> None:
    (folder / "song2.mid").write_bytes((folder / "song2.mid").read_bytes()[:-20])
    write_song(folder / "short.mid", 9, notes=15)
    rejections = Rejections()
    cache = build_note_cache(folder, tmp_path / "cache", rejections=rejections)
    assert [about.id for _, about in cache] == ["song0", "song1", "song3", "song4", "song5"]
    assert rejections.counts == {"corrupt file": 1, "fewer than 16 notes": 1}
    assert "truncated" in next(row["detail"] for row in rejections.rows if row["id"] == "song2")


def test_the_same_notes_are_kept_once_whatever_the_file_says_besides(folder: Path, tmp_path: Path) -> None:
    # song0 again, an eighth later and therefore in other bars; and in another octave, which is other music.
    write_song(folder / "zlater.mid", 0, late=240)
    write_song(folder / "zoctave.mid", 0, octave=1)
    rejections = Rejections()
    cache = build_note_cache(folder, tmp_path / "cache", rejections=rejections)
    assert {about.id for _, about in cache} == {*(f"song{seed}" for seed in range(6)), "zoctave"}
    (row,) = rejections.rows
    assert (row["id"], row["reason"], row["detail"]) == ("zlater", "the same notes as another score", "song0")


def test_of_twins_in_two_splits_the_one_for_testing_is_kept(tmp_path: Path) -> None:
    lakh = tmp_path / "lakh"
    write_song(lakh / f"{'0' * 32}.mid", 0)
    write_song(lakh / f"{'f' * 32}.mid", 0)
    write_song(lakh / f"{'1' * 32}.mid", 1)
    cache = build_note_cache(lakh, tmp_path / "cache")
    assert [(about.id[0], about.split) for _, about in cache] == [("1", "train"), ("f", "test")]
    assert [about.id[0] for _, about in cache.where(split="test")] == ["f"]
    test = build_note_cache(f"{lakh}:test", tmp_path / "test")
    rejections = Rejections()
    train = build_note_cache(f"{lakh}:train", tmp_path / "train", without=[test], rejections=rejections)
    assert [about.id[0] for _, about in train] == ["1"]
    assert rejections.counts == {"the same notes as in another cache": 1}


def test_fingerprints_tell_pitch_and_rhythm_and_nothing_else(folder: Path) -> None:
    sequence = to_note_sequence(read_score(folder / "song0.mid"))
    same = [
        NoteSequence(**{**vars(sequence), "velocity": sequence.velocity[::-1].copy()}),
        NoteSequence(**{**vars(sequence), "duration_steps": sequence.duration_steps + 3}),
        NoteSequence(**{**vars(sequence), "instrument": np.full(len(sequence), 40)}),
        sequence.select(np.arange(len(sequence))[::-1].copy()),
    ]
    assert {fingerprint(one) for one in same} == {fingerprint(sequence)}
    others = [sequence.transposed(1), sequence.select(np.arange(len(sequence) - 1))]
    drums = NoteSequence(**{**vars(sequence), "instrument": np.full(len(sequence), 128)})
    assert len({fingerprint(one) for one in [sequence, *others, drums]}) == 4


@pytest.mark.slow
def test_several_workers_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / "song2.mid").write_bytes(b"MThd")
    build_note_cache(folder, tmp_path / "one", workers=1)
    build_note_cache(folder, tmp_path / "two", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_stopped_build_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    build_note_cache(folder, whole)

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        build_note_cache(folder, part, progress=stop)
    # Killed while writing: half a note, half a row.
    with (part / "notes.bin").open("ab") as file:
        file.write(b"x" * (NOTE.itemsize + 3))
    with (part / "songs.jsonl").open("a") as file:
        file.write('{"id": "so')
    done: list[int] = []
    build_note_cache(folder, part, progress=lambda now, _: done.append(now))
    assert done == [4, 5, 6]
    assert contents(part) == contents(whole)


def test_only_what_changed_is_read_again(folder: Path, tmp_path: Path) -> None:
    (folder / "song2.mid").write_bytes(b"MThd")
    build_note_cache(folder, tmp_path / "cache")
    done: list[int] = []
    rejections = Rejections()
    build_note_cache(
        folder, tmp_path / "cache", rejections=rejections, progress=lambda now, _: done.append(now)
    )
    assert not done
    assert rejections.counts == {"corrupt file": 1}  # remembered, not tried again
    write_song(folder / "song2.mid", 2)
    write_song(folder / "song3.mid", 33, notes=40)
    rejections = Rejections()
    cache = build_note_cache(
        folder, tmp_path / "cache", rejections=rejections, progress=lambda now, _: done.append(now)
    )
    assert done == [5, 6]
    assert not rejections.counts
    assert [about.notes for _, about in cache] == [20, 21, 20, 40, 24, 25]
    assert {about.id: about.notes for _, about in open_note_cache(tmp_path / "cache")}["song3"] == 40


def test_flat_velocities_are_said_to_be_flat(tmp_path: Path) -> None:
    song = write_song(tmp_path / "songs" / "flat.mid", 0)
    score = read_score(song)
    for one in score.tracks:
        for written in one.notes:
            written.velocity = 77
    score.dump_midi(song)
    sequence, about = build_note_cache(tmp_path / "songs", tmp_path / "cache")[0]
    assert about.flat_velocity
    assert not sequence.velocity.any()


def test_where_chooses_collections_and_knows_the_splits(folder: Path, tmp_path: Path) -> None:
    cache = build_note_cache(folder, tmp_path / "cache")
    assert len(cache.where(collection="songs")) == 6
    assert len(cache.where(collection=["others"])) == 0
    assert sum(len(cache.where(split=split)) for split in ("train", "validation", "test")) == 6
    with pytest.raises(UserError, match="unknown split"):
        cache.where(split="tests")


def test_folders_that_are_no_cache_or_hold_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no cache of notes"):
        open_note_cache(tmp_path)
    with pytest.raises(UserError, match="holds other files"):
        build_note_cache(folder, folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="nor MIDI files"):
        build_note_cache(tmp_path / "empty", tmp_path / "cache")
    (tmp_path / "empty" / "a.mid").write_bytes(b"no music")
    with pytest.raises(UserError, match="none of the 1 scores can be used: 1 x corrupt file"):
        build_note_cache(tmp_path / "empty", tmp_path / "cache")
    build_note_cache(folder, tmp_path / "cache16")
    with pytest.raises(UserError, match="least_notes 16 instead of 20"):
        build_note_cache(folder, tmp_path / "cache16", least_notes=20)


def test_the_files_are_as_large_as_the_lists_say(folder: Path, tmp_path: Path) -> None:
    build_note_cache(folder, tmp_path / "cache")
    rows = [json.loads(line) for line in (tmp_path / "cache" / "songs.jsonl").read_text().splitlines()]
    assert (tmp_path / "cache" / "notes.bin").stat().st_size == NOTE.itemsize * sum(r["notes"] for r in rows)
    assert (tmp_path / "cache" / "bars.bin").stat().st_size == BAR.itemsize * sum(r["bars"] for r in rows)
    with (tmp_path / "cache" / "notes.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match="is cut off"):
        build_note_cache(folder, tmp_path / "cache")
