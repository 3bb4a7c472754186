"""Memory is measured of the process itself, and long scores are what they say."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation import memory, memory_probe


def test_long_scores_have_their_length_and_density():
    notes = memory_probe.long_notes(10)
    assert len(notes) == 10 * 60 * memory_probe.NOTES_PER_SECOND
    assert notes.duration_s == 600.0
    assert set(notes.program[~notes.is_drum]) == set(memory_probe.PROGRAMS)
    assert notes.is_drum.mean() == pytest.approx(0.2)
    np.testing.assert_array_equal(memory_probe.long_notes(2).pitch, notes.pitch[: 2 * 60 * 12])


@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux's")
@pytest.mark.slow
def test_the_peak_is_of_the_process_itself_and_stays():
    held_here = np.ones(200_000_000, np.uint8)
    code = (
        "import numpy as np; from ondes.evaluation.memory_probe import peak_memory_bytes as peak\n"
        "before = peak(); held = np.ones(100_000_000, np.uint8); during = peak()\n"
        "del held; print(before, during, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, during, after = map(int, done.stdout.split())
    assert before < held_here.nbytes / 2
    assert during > 100_000_000
    assert after > 0.99 * during


class Silent:
    """A pipeline that plays nothing, block after block."""

    def stream(self, notes, *, steps):
        assert steps == 3
        for _ in range(int(notes.duration_s)):
            yield Audio.silence(1.0)


def test_playing_counts_what_came_out():
    played = memory_probe.play(Silent(), 0.1, steps=3)  # type: ignore[arg-type]
    assert played["audio_s"] == 6.0
    assert played["peak_bytes"] > 10_000_000


def test_a_process_that_fails_is_reported_in_one_line(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "Traceback ...\nUserError: there is no synthesiser 'x'\n")
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(
        UserError, match=r"2 minutes .* \(UserError: there is no synthesiser 'x'\); pass --no-memory"
    ):
        memory.peak_bytes("x", steps=1, threads=1)


def test_peaks_are_read_from_each_process(monkeypatch):
    def run(command, **_):
        minutes = int(command[4])
        return subprocess.CompletedProcess(command, 0, json.dumps({"peak_bytes": 100 * minutes}), "")

    monkeypatch.setattr(memory.subprocess, "run", run)
    calls = []
    assert memory.peak_bytes("m", steps=1, threads=1, after_each=lambda: calls.append(1)) == {
        2: 200,
        10: 1000,
    }
    assert len(calls) == 2
