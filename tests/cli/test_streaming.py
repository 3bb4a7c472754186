from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sine_pipeline import Ondes, SinePipeline

from ondes.audio import Audio
from ondes.score import read_score, to_notes
from ondes.wav import to_pcm16, wav_header

PROGRAM = Path(__file__).with_name("sine_pipeline.py")


def _stream(song: Path, *words: str, delay_s: float = 0.0) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), "synth", str(song), "--stream", *words],
        env=os.environ | {"SINE_DELAY_S": str(delay_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _expected(song: Path) -> np.ndarray:
    return Audio.concatenate(SinePipeline().stream(to_notes(read_score(song)), seed=0)).samples


def test_a_stream_is_a_wav_file_that_players_read(song: Path) -> None:
    out, err = _stream(song).communicate(timeout=120)
    samples, rate_hz = soundfile.read(io.BytesIO(out), dtype="float32", always_2d=True)
    assert rate_hz == 44_100
    assert np.abs(samples.T - _expected(song)).max() < 2**-15
    assert b"RIFF" not in err


def test_a_raw_stream_is_the_samples_alone(
    streamed: Callable[..., bytes], sines: SinePipeline, song: Path
) -> None:
    out = streamed("synth", song, "--stream", "--raw", "--seed", 0)
    samples = np.frombuffer(out, "<i2").reshape(-1, 2).T / 32767
    assert np.abs(samples - _expected(song)).max() < 2**-15


def test_the_first_block_comes_while_the_rest_is_made(song: Path) -> None:
    process = _stream(song, "--raw", delay_s=20)
    assert process.stdout
    first = process.stdout.read(4)
    assert len(first) == 4
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_reader_that_leaves_ends_the_program_quietly(song: Path) -> None:
    process = _stream(song, delay_s=0.1)
    assert process.stdout
    assert process.stderr
    process.stdout.read(100)
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_nothing_of_a_refused_score_reaches_standard_output(ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("synth", tmp_path / "missing.mid", "--stream")
    assert (run.status, run.out) == (2, "")
    assert "does not exist" in run.err


def test_samples_beyond_full_scale_clip_and_do_not_wrap() -> None:
    pcm = to_pcm16(Audio(np.array([[2.0, -2.0], [1.0, 0.5]], np.float32), 44_100))
    assert np.frombuffer(pcm, "<i2").tolist() == [32767, 32767, -32767, 16384]


def test_the_header_names_rate_channels_and_width() -> None:
    header = wav_header(44_100, 2)
    assert len(header) == 44
    assert np.frombuffer(header[20:36], "<u2").tolist()[:2] == [1, 2]
    assert np.frombuffer(header[24:32], "<u4").tolist() == [44_100, 176_400]
    assert np.frombuffer(header[32:36], "<u2").tolist() == [4, 16]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_is_not_filled_with_samples(song: Path) -> None:
    controller, terminal = os.openpty()
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "synth", str(song), "--stream"],
        stdout=terminal,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 2
    assert b"aplay" in done.stderr
