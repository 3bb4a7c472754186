"""The cache of features: what it holds, that it goes on, that it notices changes, that it counts what it skips."""

from __future__ import annotations

import json
import os
import pickle
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ondes.datasets import feature_cache
from ondes.datasets.audio_folder import read_folder
from ondes.datasets.feature_cache import build_cache, official_log_mel, open_cache
from ondes.datasets.musicnet import read_musicnet
from ondes.datasets.recordings import Rejections
from ondes.datasets.slakh import read_slakh
from ondes.errors import UserError
from ondes.representations.framed_mel import OFFICIAL, to_framed_log_mel
from public_layouts import plain_features, write_midi, write_musicnet, write_slakh, write_tone


@pytest.fixture
def musicnet(tmp_path):
    write_musicnet(tmp_path / "musicnet", [1727, 1728, 2336])
    return tmp_path / "musicnet"


def recordings_of(folder):
    return read_musicnet(folder, "train")[0] + read_musicnet(folder, "validation")[0]


def build(folder, out, **settings):
    return build_cache(recordings_of(folder), out, least_s=0.1, **settings)


def contents(out: Path):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "lock"}


def test_songs_are_whole_files_resampled_once_in_the_official_layout(musicnet, tmp_path):
    songs = build(musicnet, tmp_path / "cache", dtype="float32")
    assert [song.id for song in songs] == ["1727", "1728", "2336"]
    recording = recordings_of(musicnet)[1]
    samples = torch.tensor(recording.read_audio(16000))
    assert songs[1].log_mel.shape == (25, 128)
    np.testing.assert_allclose(songs[1].log_mel, to_framed_log_mel(samples).numpy(), atol=2e-5)
    half = build(musicnet, tmp_path / "half")
    assert half[1].log_mel.dtype == np.float16
    np.testing.assert_allclose(half[1].log_mel, songs[1].log_mel, atol=0.004)


def test_notes_come_back(musicnet, tmp_path):
    song = build(musicnet, tmp_path / "cache")[0]
    notes = recordings_of(musicnet)[0].read_notes()
    for name in feature_cache.NOTE_COLUMNS:
        np.testing.assert_array_equal(getattr(song.notes, name), getattr(notes, name))
        assert getattr(song.notes, name).dtype == getattr(notes, name).dtype
    assert [(part.name, part.program) for part in song.notes.parts] == [("program 0", 0), ("program 40", 40)]
    assert song.notes.duration_s == notes.duration_s


def test_long_files_are_made_in_blocks_without_a_seam(monkeypatch):
    samples = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    whole = official_log_mel(samples)
    monkeypatch.setattr(feature_cache, "BLOCK_FRAMES", 7)
    np.testing.assert_allclose(official_log_mel(samples), whole, atol=2e-5)
    np.testing.assert_allclose(whole, to_framed_log_mel(torch.from_numpy(samples)).numpy(), atol=2e-5)
    assert official_log_mel(samples[:300]).shape == (0, 128)


def test_several_workers_write_the_same_bytes(musicnet, tmp_path):
    """With features that need no torch, which takes seconds to import in each process."""
    build(musicnet, tmp_path / "one", workers=1, to_log_mel=plain_features)
    build(musicnet, tmp_path / "two", workers=2, to_log_mel=plain_features)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_build_that_was_stopped_goes_on_to_the_same_bytes(musicnet, tmp_path):
    unbroken, out = tmp_path / "unbroken", tmp_path / "stopped"
    build(musicnet, unbroken, shard_frames=30)
    assert (unbroken / "mel-00001.bin").is_file()
    build_cache(recordings_of(musicnet)[:1], out, least_s=0.1, shard_frames=30)
    with (out / "mel-00000.bin").open("ab") as mel, (out / "songs.jsonl").open("a") as rows:
        mel.write(b"half a song")
        rows.write('{"key": "cut o')
    (out / "notes-00001.bin").write_bytes(b"of a shard that no row names")
    told: list[tuple[int, int]] = []
    songs = build(musicnet, out, shard_frames=30, progress=lambda *counts: told.append(counts))
    assert told == [(2, 3), (3, 3)]
    assert contents(out) == contents(unbroken)
    assert [song.frames for song in songs] == [25, 25, 25]


def test_nothing_is_made_twice_and_a_changed_file_is_made_again(musicnet, tmp_path):
    out = tmp_path / "cache"
    build(musicnet, out)
    before = contents(out)
    build(musicnet, out)
    assert contents(out) == before
    write_tone(musicnet / "train_data" / "1727.wav", 3000)
    labels = musicnet / "train_labels" / "1728.csv"
    labels.write_text(labels.read_text().replace(",67,", ",70,"))
    songs = build(musicnet, out)
    assert len((out / "songs.jsonl").read_text().splitlines()) == 5
    assert songs[0].log_mel.mean(0).argmax() > 70
    assert songs[1].notes.pitch.tolist() == [48, 70]
    assert {song.id: song.row["key"] for song in open_cache(out)} == {
        song.id: song.row["key"] for song in songs
    }


def test_other_options_of_the_reader_make_another_song(musicnet, tmp_path):
    recording = recordings_of(musicnet)[0]
    keys = [
        build_cache([one], tmp_path / "cache", least_s=0.1)[0].row["key"]
        for one in (recording, replace(recording, options="program 24"), replace(recording, gain=0.5))
    ]
    assert len(set(keys)) == 3


def test_a_stem_that_is_not_heard_but_measured_makes_another_song(tmp_path):
    write_slakh(tmp_path, "Track00001", [(0, False), (25, False), (33, False), (0, True), (48, False)])
    piano = next(
        recording for recording in read_slakh(tmp_path, "train")[0] if recording.id.endswith("/piano")
    )
    before = feature_cache._key(piano)
    strings = tmp_path / "train" / "Track00001" / "stems" / "S04.flac"
    assert strings not in piano.audio
    assert feature_cache._key(piano) == before
    write_tone(strings, 700.0, gain=0.1)
    assert feature_cache._key(piano) != before
    strings.unlink()
    assert feature_cache._key(piano) == ""


def test_every_recording_that_is_skipped_is_counted_by_reason(tmp_path):
    for name in ("good", "corrupt", "cut", "mute", "bad", "late", "short"):
        write_tone(tmp_path / "train" / f"{name}.wav", seconds=0.05 if name == "short" else 0.5)
        write_midi(tmp_path / "train" / f"{name}.mid", [(0, 240, 60)])
    folder = tmp_path / "train"
    (folder / "corrupt.wav").write_bytes(b"RIFF no audio")
    write_tone(folder / "cut.flac", 500)
    (folder / "cut.wav").unlink()
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:3000])
    write_midi(folder / "mute.mid", [])
    (folder / "bad.mid").write_bytes(b"MThd")
    write_midi(folder / "late.mid", [(96000, 96240, 60)])
    write_tone(folder / "alone.wav")
    recordings, rejections = read_folder(tmp_path, "train")
    songs = build_cache(recordings, tmp_path / "cache", rejections=rejections, least_s=0.1)
    assert [song.id for song in songs] == ["train/good"]
    assert rejections.counts == {
        "missing notes": 1,
        "corrupt audio": 2,
        "no notes": 2,
        "corrupt notes": 1,
        "too short": 1,
    }
    assert rejections.lines()[0] in (
        "2 x corrupt audio, the first folder train/corrupt",
        "2 x no notes, the first folder train/late",
    )
    rejections.write(tmp_path / "rejected.json")
    report = json.loads((tmp_path / "rejected.json").read_text())
    assert sum(report["counts"].values()) == len(report["rejected"]) == 7


def test_a_song_that_can_no_longer_be_used_leaves_the_cache(musicnet, tmp_path):
    recordings = recordings_of(musicnet)
    build_cache(recordings, tmp_path / "cache", least_s=0.1)
    (musicnet / "train_data" / "1728.wav").write_bytes(b"")
    rejections = Rejections()
    songs = build_cache(recordings, tmp_path / "cache", least_s=0.1, rejections=rejections)
    assert [song.id for song in songs] == ["1727", "2336"]
    assert [song.id for song in open_cache(tmp_path / "cache")] == ["1727", "2336"]
    assert rejections.counts == {"corrupt audio": 1}
    recordings[1].labels[0].unlink()
    build_cache(recordings, tmp_path / "cache", least_s=0.1, rejections=rejections)
    assert rejections.counts == {"corrupt audio": 1, "missing notes": 1}


def test_songs_are_chosen_by_data_set_and_split(musicnet, tmp_path):
    build(musicnet, tmp_path / "cache")
    write_tone(tmp_path / "own" / "val" / "x.wav")
    write_midi(tmp_path / "own" / "val" / "x.mid", [(0, 240, 60)])
    build_cache(read_folder(tmp_path / "own", "val")[0], tmp_path / "cache", least_s=0.1)
    songs = open_cache(tmp_path / "cache")
    assert songs.datasets == ["folder", "musicnet"]
    assert [song.id for song in songs.where(split="val")] == ["2336", "val/x"]
    assert [song.id for song in songs.where(dataset="musicnet", split="train")] == ["1727", "1728"]
    assert songs.duration_s == 4 * 25 / 50
    assert songs.frames.tolist() == [25] * 4


def test_songs_are_mapped_and_pickled_small(musicnet, tmp_path):
    songs = build(musicnet, tmp_path / "cache")
    first = songs[0].log_mel
    assert isinstance(first, np.memmap)
    copy = pickle.loads(pickle.dumps(songs))
    assert len(pickle.dumps(songs)) < 4000
    np.testing.assert_array_equal(copy[0].log_mel, first)


def test_what_cannot_be_a_cache_is_refused(musicnet, tmp_path):
    out = tmp_path / "cache"
    with pytest.raises(
        UserError, match=r"no settings\.json or no songs\.jsonl; make one with 'ondes data cache'"
    ):
        open_cache(out)
    build(musicnet, out)
    with pytest.raises(UserError, match="was made with dtype float16 instead of float32; choose another"):
        build(musicnet, out, dtype="float32")
    with pytest.raises(UserError, match="was made with features"):
        build(musicnet, out, spec=replace(OFFICIAL, linear_in="hz"))
    with pytest.raises(UserError, match="unknown number format 'float8'"):
        build(musicnet, out, dtype="float8")
    with pytest.raises(UserError, match="holds other files"):
        build(musicnet, musicnet)
    with pytest.raises(UserError, match="0 workers"):
        build(musicnet, tmp_path / "new", workers=0)
    os.truncate(out / "mel-00000.bin", 1000)
    with pytest.raises(UserError, match=r"mel-00000\.bin is cut off"):
        build(musicnet, out)


def test_a_second_build_waits_for_the_first(musicnet, tmp_path, caplog):
    fcntl = pytest.importorskip("fcntl")
    build(musicnet, tmp_path / "cache")
    with (tmp_path / "cache" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        free = threading.Event()

        def unlock_when_waited_for():
            for _ in range(6000):
                if "another process builds the cache" in caplog.text:
                    free.set()
                    break
                time.sleep(0.01)
            fcntl.flock(file, fcntl.LOCK_UN)

        first = threading.Thread(target=unlock_when_waited_for)
        first.start()
        assert len(build(musicnet, tmp_path / "cache")) == 3
        first.join()
        assert free.is_set()
