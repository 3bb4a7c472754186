import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ondes.audio import Audio
from ondes.datasets.audio_features import build_audio_cache
from ondes.datasets.audio_files import Sound, find_audio
from ondes.datasets.named import split_of
from ondes.datasets.recordings import RejectedError, Rejections
from ondes.errors import UserError
from ondes.representations.mel import MEL, to_log_mel

HZ = 44_100


def _noise(seed: int, seconds: float = 1.2, channels: int = 2, rate_hz: int = HZ) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 0.1 * random.normal(size=(round(seconds * rate_hz), channels)).astype(np.float32)


def _write(path: Path, samples: np.ndarray, rate_hz: int = HZ, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three splits, two styles, and everything that can be wrong."""
    root = tmp_path / "music"
    _write(root / "train/jazz/a.wav", _noise(0))
    _write(root / "train/folk/deep/mono.flac", _noise(1, channels=1))
    _write(root / "train/folk/slow.wav", _noise(2, rate_hz=22_050), 22_050)
    _write(root / "test/jazz/b.wav", _noise(3))
    _write(root / "train/jazz/same_as_test.flac", soundfile.read(root / "test/jazz/b.wav")[0])
    _write(root / "train/jazz/short.wav", _noise(4, seconds=0.2))
    _write(root / "train/jazz/silent.wav", np.zeros((HZ * 2, 2), np.float32))
    _write(root / "train/jazz/seven.wav", _noise(5, channels=7))
    nan = _noise(6)
    nan[100] = np.nan
    _write(root / "train/jazz/nan.wav", nan, subtype="FLOAT")
    (root / "train/jazz/text.wav").write_text("not audio at all")
    whole = _write(root / "train/jazz/cut.flac", _noise(7)).read_bytes()
    (root / "train/jazz/cut.flac").write_bytes(whole[: len(whole) // 2])
    _write(root / "elsewhere/c.wav", _noise(8))
    (root / "train/.hidden").mkdir()
    _write(root / "train/.hidden/d.wav", _noise(9))
    return root


def _build(folder: Path, cache: Path, **settings) -> tuple[dict[str, dict], Rejections]:
    rejections = Rejections()
    files = find_audio(folder, rejections=rejections)
    rows = build_audio_cache(files, cache, rejections=rejections, **settings)
    return {row["id"]: row for row in rows}, rejections


def test_what_can_be_used_is_cached_and_the_rest_is_counted_by_reason(folder: Path, tmp_path: Path):
    rows, rejections = _build(folder, tmp_path / "cache")
    assert {name: (row["split"], row["styles"]) for name, row in rows.items()} == {
        "music/train/jazz/a.wav": ("train", ["jazz"]),
        "music/train/folk/deep/mono.flac": ("train", ["folk"]),
        "music/train/folk/slow.wav": ("train", ["folk"]),
        "music/test/jazz/b.wav": ("test", ["jazz"]),
    }
    assert dict(rejections.counts) == {
        "in no folder of a split": 1,
        "the same sound as another file": 1,
        "shorter than 1 s": 1,
        "silent": 1,
        "more than two channels": 1,
        "NaN or infinite samples": 1,
        "corrupt audio": 2,
    }
    listed = [json.loads(line) for line in (tmp_path / "cache/manifest.jsonl").read_text().splitlines()]
    assert {row["id"]: row for row in listed} == rows
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == len(rows)


def test_log_mels_are_those_of_the_whole_resampled_file(folder: Path, tmp_path: Path):
    rows, _ = _build(folder, tmp_path / "cache")
    for row in rows.values():
        stereo = Audio.read(folder / row["source"]).to_stereo().resample(MEL.sample_rate_hz)
        whole = to_log_mel(torch.tensor(stereo.samples)).numpy()
        kept = np.load(tmp_path / "cache" / row["mel"])
        assert kept.dtype == np.float16
        np.testing.assert_allclose(kept, whole.astype(np.float16), atol=0.01)
        assert row["seconds"] == pytest.approx(whole.shape[-1] / MEL.frames_per_second)


def test_a_long_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ondes.datasets.audio_files.BLOCK_SAMPLES", 5_000)
    path = _write(tmp_path / "a.wav", _noise(0, seconds=3.0, rate_hz=32_000), 32_000)
    Sound(path).write_log_mel(tmp_path / "a.npy", 0.0)
    whole = to_log_mel(torch.tensor(Audio.read(path).resample(HZ).samples)).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), whole, atol=0.01)


def test_copies_are_higher_and_shorter_and_only_of_training_files(folder: Path, tmp_path: Path):
    time_s = np.arange(2 * HZ) / HZ
    tone = np.sin(2 * np.pi * 2_000 * time_s)[:, None].repeat(2, axis=1)
    _write(folder / "train/tone.wav", 0.3 * tone)
    rows, _ = _build(folder, tmp_path / "cache", semitones=[12.0, -5.0])
    assert {row["semitones"] for row in rows.values() if row["split"] == "test"} == {0.0}
    plain, octave = rows["music/train/tone.wav"], rows["music/train/tone.wav@+12"]
    assert octave["seconds"] == pytest.approx(plain["seconds"] / 2, abs=0.02)
    kept = np.load(tmp_path / "cache" / octave["mel"])[0, :, 20].astype(np.float32)
    pure = 0.3 * np.sin(2 * np.pi * 4_000 * time_s)
    expected = to_log_mel(torch.tensor(pure, dtype=torch.float32))[:, 20].numpy()
    assert kept.argmax() == expected.argmax()
    assert kept.max() == pytest.approx(expected.max(), abs=0.01)


def test_a_repeated_build_reads_only_what_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, _ = _build(folder, tmp_path / "cache")
    read: list[str] = []
    write = Sound.write_log_mel
    monkeypatch.setattr(
        Sound, "write_log_mel", lambda s, *rest: (read.append(s.path.name), write(s, *rest))[1]
    )
    again, rejections = _build(folder, tmp_path / "cache")
    assert (read, again) == ([], first)
    assert rejections.counts["corrupt audio"] == 2
    _write(folder / "train/jazz/a.wav", _noise(10))
    third, _ = _build(folder, tmp_path / "cache")
    assert read == ["a.wav"]
    assert third.keys() == first.keys()


@pytest.mark.slow
def test_workers_make_the_same_cache(folder: Path, tmp_path: Path):
    one, _ = _build(folder, tmp_path / "one")
    two, _ = _build(folder, tmp_path / "two", workers=2)
    assert one == two
    for row in one.values():
        assert (tmp_path / "one" / row["mel"]).read_bytes() == (tmp_path / "two" / row["mel"]).read_bytes()


def test_without_folders_of_splits_names_decide(tmp_path: Path):
    for index in range(80):
        _write(tmp_path / f"m/{index}.wav", np.zeros((10, 1)))
    files = find_audio(tmp_path / "m", styles=["piano"])
    assert [file.split for file in files] == [split_of(file.path.stem) for file in files]
    assert {file.split for file in files} == {"train", "validation", "test"}
    assert {file.styles for file in files} == {("piano",)}


def test_patterns_choose(folder: Path):
    names = [file.name for file in find_audio(folder, include=["*/folk/*", "test/*"], exclude=["*.flac"])]
    assert names == ["test/jazz/b.wav", "train/folk/slow.wav"]


def test_refusals_name_what_is_wrong(folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match="there is no folder"):
        find_audio(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no audio files that match \*.mp3"):
        find_audio(folder, include=["*.mp3"])
    with pytest.raises(UserError, match="copies raised by 0 semitones"):
        _build(folder, tmp_path / "cache", semitones=[0.0])
    with pytest.raises(UserError, match="none of the 1 files can be used: 1 x silent"):
        build_audio_cache(find_audio(folder, include=["*silent*"]), tmp_path / "cache")
    _build(folder, tmp_path / "cache2")
    with pytest.raises(UserError, match=r"was made with semitones \[\] instead of \[1.0\]"):
        _build(folder, tmp_path / "cache2", semitones=[1.0])
    with pytest.raises(RejectedError, match="corrupt audio"):
        Sound(folder / "train/jazz/text.wav")
