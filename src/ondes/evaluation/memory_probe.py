"""A process of its own that plays a long score into a file and says how much memory that took.

Run as `python -m ondes.evaluation.memory_probe MODEL MINUTES STEPS THREADS`; prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ondes.audio import AudioWriter
from ondes.controls import Controls
from ondes.score import Notes, Part

if TYPE_CHECKING:
    from ondes.pipelines.synthesis import SynthesisPipeline

NOTES_PER_SECOND = 12
PROGRAMS = (0, 33, 48, 73)


def long_notes(minutes: float) -> Notes:
    """Four parts and drums that go on for a time, 12 notes a second in all, the same on every call."""
    count = round(minutes * 60 * NOTES_PER_SECOND)
    onset_s = np.arange(count) / NOTES_PER_SECOND
    parts = (
        *(Part(f"program {program}", program, False, Controls()) for program in PROGRAMS),
        Part("drums", 0, True, Controls()),
    )
    part = np.arange(count) % len(parts)
    is_drum = part == len(PROGRAMS)
    pitch = np.where(
        is_drum, np.array([36, 42, 38, 42])[np.arange(count) // 5 % 4], 40 + np.arange(count) * 7 % 40
    )
    return Notes(
        onset_s=onset_s,
        release_s=onset_s + 0.4,
        key_release_s=onset_s + 0.4,
        pitch=pitch,
        velocity=np.full(count, 80),
        program=np.where(is_drum, 0, np.array((*PROGRAMS, 0))[part]),
        is_drum=is_drum,
        part=part,
        parts=parts,
        duration_s=minutes * 60.0,
    )


def peak_memory_bytes() -> int:
    """The most memory this process ever held.

    Linux keeps `ru_maxrss` across exec, so a child would report its parent's size; `VmHWM` begins anew.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415  (not on Windows)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def play(pipeline: SynthesisPipeline, minutes: float, *, steps: int | None = None) -> dict[str, float]:
    """Stream a long score into a WAV file.

    Returns:
        `peak_bytes` of the process, `elapsed_s` and `audio_s`.
    """
    began_s = time.perf_counter()
    samples = 0
    with (
        tempfile.TemporaryDirectory(prefix="ondes-") as folder,
        AudioWriter(Path(folder, "long.wav"), sample_rate_hz=44100, channels=2) as writer,
    ):
        for block in pipeline.stream(long_notes(minutes), steps=steps):
            writer.write(block)
            samples += block.samples.shape[1]
    return {
        "peak_bytes": peak_memory_bytes(),
        "elapsed_s": time.perf_counter() - began_s,
        "audio_s": samples / 44100,
    }


def main(arguments: list[str]) -> None:
    """Load the model, play, print."""
    import torch  # noqa: PLC0415

    from ondes.pipelines.synthesis import SynthesisPipeline  # noqa: PLC0415

    model, minutes, steps, threads = arguments
    torch.set_num_threads(int(threads))
    pipeline = SynthesisPipeline.from_pretrained(model)
    json.dump(play(pipeline, float(minutes), steps=int(steps)), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
