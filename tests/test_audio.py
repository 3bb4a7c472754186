"""Audio: files in every format against closed forms, and a writer that leaves no half files."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ondes import audio
from ondes.audio import FORMATS, Audio, AudioWriter, check_output
from ondes.errors import UserError


def sine(frequency_hz: float, *, seconds: float = 1.0, rate_hz: int = 44100, amplitude: float = 0.5) -> Audio:
    """A sine on the left and its quarter-period shift on the right."""
    phase = 2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz
    return Audio(amplitude * np.stack([np.sin(phase), np.cos(phase)]).astype(np.float32), rate_hz)


def amplitudes(sound: Audio, frequency_hz: float) -> np.ndarray:
    """Complex amplitude of a frequency in each channel, by correlation over the middle of the sound."""
    edge = sound.samples.shape[1] // 10
    time_s = np.arange(edge, sound.samples.shape[1] - edge) / sound.sample_rate_hz
    window = np.hanning(len(time_s))
    middle = sound.samples[:, edge:-edge].astype(np.float64) * window
    return middle @ np.exp(-2j * np.pi * frequency_hz * time_s) * 2 / window.sum()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_24_bits_are_off_by_at_most_half_a_step(tmp_path: Path, suffix: str) -> None:
    sound = sine(997.0, amplitude=0.999)
    sound.write(tmp_path / f"sine{suffix}")
    again = Audio.read(tmp_path / f"sine{suffix}")
    assert (again.sample_rate_hz, again.samples.shape) == (44100, (2, 44100))
    assert soundfile.info(tmp_path / f"sine{suffix}").subtype == "PCM_24"
    error = np.abs(again.samples.astype(np.float64) - sound.samples)
    assert error.max() <= 2**-24
    assert error.max() > 2**-26


@pytest.mark.parametrize(("suffix", "bound"), [(".ogg", 0.02), (".mp3", 0.02)])
def test_lossy_files_keep_frequency_phase_level_and_length(tmp_path: Path, suffix: str, bound: float) -> None:
    sound = sine(997.0, seconds=3.0)
    sound.write(tmp_path / f"sine{suffix}")
    again = Audio.read(tmp_path / f"sine{suffix}")
    assert again.sample_rate_hz == 44100
    assert again.duration_s == pytest.approx(3.0, abs=0.06)
    np.testing.assert_allclose(amplitudes(again, 997.0), [-0.5j, 0.5], atol=bound)


def test_suffixes_are_read_in_any_case(tmp_path: Path) -> None:
    sine(440.0).write(tmp_path / "sine.FLAC")
    assert soundfile.info(tmp_path / "sine.FLAC").format == "FLAC"


def test_minutes_in_one_block_do_not_break_the_vorbis_encoder(tmp_path: Path) -> None:
    Audio.silence(300.0, sample_rate_hz=8000, channels=1).write(tmp_path / "long.ogg")
    assert soundfile.info(tmp_path / "long.ogg").frames == 300 * 8000


@pytest.mark.parametrize("rate_hz", [22050, 48000, 16000])
def test_resampling_keeps_frequency_phase_and_level(rate_hz: int) -> None:
    resampled = sine(997.0).resample(rate_hz)
    assert resampled.sample_rate_hz == rate_hz
    assert resampled.samples.shape == (2, rate_hz)
    np.testing.assert_allclose(amplitudes(resampled, 997.0), [-0.5j, 0.5], atol=2e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    assert np.abs(sine(15_000.0).resample(22050).samples[:, 1000:-1000]).max() < 1e-4


def test_resampling_to_the_same_rate_is_the_same_sound() -> None:
    sound = sine(440.0)
    assert sound.resample(44100) is sound
    with pytest.raises(UserError, match="0 Hz; give a whole number such as 44100"):
        sound.resample(0)


def test_mono_becomes_stereo_on_both_sides() -> None:
    mono = Audio(np.arange(4, dtype=np.float32)[None] / 4, 44100)
    assert mono.to_stereo().samples.tolist() == [[0, 0.25, 0.5, 0.75]] * 2
    assert mono.to_stereo().to_stereo().channels == 2
    with pytest.raises(UserError, match="3 channels; mix it down"):
        Audio.silence(1.0, channels=3).to_stereo()


def test_silence_and_joining() -> None:
    joined = Audio.concatenate([sine(440.0, seconds=0.5), Audio.silence(0.25)])
    assert joined.duration_s == 0.75
    assert not joined.samples[:, 22050:].any()
    for pieces in ([], [Audio.silence(1.0), Audio.silence(1.0, channels=1)]):
        with pytest.raises(UserError, match="cannot join"):
            Audio.concatenate(pieces)
    with pytest.raises(UserError, match="silence of -1 s"):
        Audio.silence(-1)


def test_audio_cannot_be_changed() -> None:
    samples = np.zeros((1, 8), np.float32)
    sound = Audio(samples, 44100)
    with pytest.raises(ValueError, match="read-only"):
        sound.samples[0, 0] = 1
    assert samples.flags.writeable


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.array([[0, np.nan, np.inf]], np.float32), "2 samples are NaN or infinite"),
        (np.zeros(5, np.float32), r"shape \(5,\); give \(channels, time\)"),
        (np.zeros((0, 5), np.float32), r"shape \(0, 5\)"),
        (np.zeros((1, 5), np.int16), "type int16; give floats"),
    ],
)
def test_what_is_no_sound_is_refused(samples: np.ndarray, words: str, tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=words),
        AudioWriter(tmp_path / "a.wav", sample_rate_hz=44100, channels=1) as writer,
    ):
        writer.write(samples)
    assert os.listdir(tmp_path) == []


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(UserError, match="sample rate of 0 Hz"):
        Audio(np.zeros((1, 1), np.float32), 0)


def test_files_that_are_no_audio_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound")
    for name, words in (
        ("text.wav", "is not audio that can be read"),
        ("none.wav", "does not exist"),
        (".", "is a folder"),
    ):
        with pytest.raises(UserError, match=words):
            Audio.read(tmp_path / name)


def test_a_float_file_with_nan_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan]), 44100, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan.wav: 1 samples are NaN"):
        Audio.read(tmp_path / "nan.wav")


# Writing


@pytest.mark.parametrize("suffix", FORMATS)
def test_blocks_make_the_same_file_as_the_whole(tmp_path: Path, suffix: str) -> None:
    sound = sine(440.0)
    with AudioWriter(tmp_path / f"blocks{suffix}", sample_rate_hz=44100) as writer:
        for start in range(0, 44100, 10_000):
            writer.write(sound.samples[:, start : start + 10_000])
    sound.write(tmp_path / f"whole{suffix}")
    blocks, whole = (Audio.read(tmp_path / f"{name}{suffix}").samples for name in ("blocks", "whole"))
    np.testing.assert_array_equal(blocks, whole)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_file_is_never_seen(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"what was there before")

    def interrupted() -> None:
        with AudioWriter(path, sample_rate_hz=44100) as writer:
            writer.write(sine(440.0))
            assert path.read_bytes() == b"what was there before"
            assert len(os.listdir(tmp_path)) == 2
            raise error

    with pytest.raises(error):
        interrupted()
    assert os.listdir(tmp_path) == ["song.wav"]
    assert path.read_bytes() == b"what was there before"


def test_a_finished_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"what was there before")
    sine(440.0).write(path)
    assert Audio.read(path).duration_s == 1
    assert os.listdir(tmp_path) == ["song.wav"]


def test_blocks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    def write(block: Audio) -> None:
        with AudioWriter(tmp_path / "a.wav", sample_rate_hz=44100) as writer:
            writer.write(block)

    with pytest.raises(UserError, match="has 44100 Hz but a block has 22050 Hz; resample it first"):
        write(Audio.silence(1.0, sample_rate_hz=22050))
    with pytest.raises(UserError, match="has 2 channels but a block has 1"):
        write(Audio.silence(1.0, channels=1))
    with pytest.raises(ValueError, match="inside its with block"):
        AudioWriter(tmp_path / "a.wav", sample_rate_hz=44100).write(Audio.silence(1.0))
    assert os.listdir(tmp_path) == []


def test_clipping_is_at_full_scale_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ondes.audio"):
        Audio(np.array([[0.5, 1.5, -1.5]], np.float32), 44100).write(tmp_path / "loud.wav")
    assert "2 samples exceed full scale and were clipped" in caplog.text
    np.testing.assert_allclose(Audio.read(tmp_path / "loud.wav").samples, [[0.5, 1, -1]], atol=2**-23)


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); free some space"):
        sine(440.0).write(tmp_path / "a.wav")
    assert os.listdir(tmp_path) == []


# Outputs checked before work


def test_a_good_output_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old.mp3").write_bytes(b"old")
    assert check_output(tmp_path / "new.wav") == tmp_path / "new.wav"
    assert check_output(tmp_path / "old.mp3").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["old.mp3"]


def test_bad_outputs_are_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.wav").mkdir()
    cases = [
        ("a.xyz", "unknown suffix '.xyz'; name the file with .wav, .flac, .ogg, .mp3"),
        ("a", "unknown suffix ''"),
        ("none/a.wav", "none does not exist; create it or choose another one"),
        ("folder.wav", "is a folder; give the name of a file"),
    ]
    for name, words in cases:
        with pytest.raises(UserError, match=words):
            check_output(tmp_path / name)

    def locked(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", locked)
    with pytest.raises(UserError, match=r"cannot be written to \(Permission denied\); choose another one"):
        check_output(tmp_path / "a.wav")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_locked_folder_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written to"):
        check_output(tmp_path / "locked" / "a.wav")


def test_formats_refuse_what_they_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="MP3 cannot hold 96000 Hz"):
        Audio.silence(1.0, sample_rate_hz=96000).write(tmp_path / "a.mp3")
    with pytest.raises(UserError, match=r"3 channels; \.mp3 holds 1 to 2"):
        Audio.silence(1.0, channels=3).write(tmp_path / "a.mp3")
    with pytest.raises(UserError, match="a WAV file ends at 4 GiB and this audio is longer"):
        check_output(tmp_path / "a.wav", duration_s=36_000)
    check_output(tmp_path / "a.flac", duration_s=36_000)


def test_a_wav_file_is_refused_where_its_sizes_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MOST_WAV_BYTES", 6 * 44100)
    sine(440.0).write(tmp_path / "a.wav")
    with pytest.raises(UserError, match="a WAV file ends at 4 GiB"):
        sine(440.0, seconds=1.1).write(tmp_path / "b.wav")
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "ULAW", "ALAW", "FLOAT"])
def test_the_encoding_of_a_file_keeps_its_samples(subtype: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(-(2**31), 2**31, (50_000, 2), np.int32)
    whole[:2] = [[-(2**31), 2**31 - 1], [0, -256]]
    given = 3 * rng.normal(size=whole.shape).astype(np.float32) if subtype == "FLOAT" else whole
    soundfile.write(tmp_path / "in.wav", given, 48000, subtype=subtype)
    encoding = audio.encoding_of(tmp_path / "in.wav")
    sound = Audio.read(tmp_path / "in.wav")
    sound.write(tmp_path / "out.wav", encoding=encoding)
    assert soundfile.info(tmp_path / "out.wav").subtype == ("FLOAT" if subtype == "FLOAT" else "PCM_24")
    kind = "float32" if subtype == "FLOAT" else "int32"
    first, again = (soundfile.read(tmp_path / name, dtype=kind)[0] for name in ("in.wav", "out.wav"))
    assert np.array_equal(first, again)
    assert np.array_equal(Audio.read(tmp_path / "out.wav").samples, sound.samples)
    if subtype != "FLOAT":
        sound.write(tmp_path / "out.flac", encoding=encoding)
        assert np.array_equal(soundfile.read(tmp_path / "out.flac", dtype="int32")[0], first)


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "double.wav", "long.wav"])
def test_what_24_bits_cannot_hold_is_kept_as_floats(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".wav":
        kind = {"double.wav": "DOUBLE", "long.wav": "PCM_32"}[name]
        soundfile.write(path, sine(440.0).samples.T, 44100, subtype=kind)
    else:
        sine(440.0).write(path)
    assert audio.encoding_of(path) == "float"
    Audio.read(path).write(tmp_path / "kept.wav", encoding="float")
    assert np.array_equal(Audio.read(tmp_path / "kept.wav").samples, Audio.read(path).samples)


def test_floats_beyond_full_scale_are_kept_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sound = sine(440.0, amplitude=2.0)
    sound.write(tmp_path / "loud.wav", encoding="float")
    assert np.array_equal(Audio.read(tmp_path / "loud.wav").samples, sound.samples)
    assert not caplog.records


def test_the_same_floats_are_the_same_bytes_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "dated.wav", sine(440.0).samples.T, 44100, subtype="FLOAT")
    dated = (tmp_path / "dated.wav").read_bytes()
    at = dated.index(b"PEAK") + 12
    assert dated[at : at + 4] != bytes(4)
    sine(440.0).write(tmp_path / "made.wav", encoding="float")
    assert (tmp_path / "made.wav").read_bytes() == dated[:at] + bytes(4) + dated[at + 4 :]


@pytest.mark.parametrize(
    ("name", "encoding", "words"),
    [
        ("a.flac", "float", r".flac holds no samples as float; write .wav"),
        ("a.mp3", "24-bit", r".mp3 holds no samples as 24-bit"),
        ("a.wav", "flaot", "unknown encoding 'flaot'; did you mean 'float'"),
    ],
)
def test_encodings_that_a_format_lacks_are_refused(
    name: str, encoding: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        AudioWriter(tmp_path / name, sample_rate_hz=44100, encoding=encoding)


def test_only_sounds_have_an_encoding(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound")
    for name in ("text.wav", "none.wav"):
        with pytest.raises(UserError, match=f"{name} is not audio that can be read"):
            audio.encoding_of(tmp_path / name)
