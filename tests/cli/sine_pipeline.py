"""A pipeline without a network: every note a sine, with the verbs of the real one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ondes.audio import Audio
from ondes.cli import rendering
from ondes.cli.main import main
from ondes.score import Notes

RATE_HZ = 44_100
BLOCK = RATE_HZ // 2
Progress = Callable[[float, float], None] | None


@dataclass(frozen=True)
class Run:
    """How a run of the command line ended."""

    status: int
    out: str
    err: str


Ondes = Callable[..., Run]
"""What the fixture `ondes` gives: takes words, runs the command line."""


class SinePipeline:
    """Plays sines whose loudness follows the velocity and whose phase follows the seed; pauses after its blocks."""

    default_steps = 8
    packages = ()

    def __init__(self, model_hash: str = "5e" * 32, delay_s: float = 0.0) -> None:
        self.model_hash = model_hash
        self.delay_s = delay_s

    def steps_for(self, sampler: str | None) -> int:  # noqa: ARG002
        return self.default_steps

    def stream(self, score: Notes, *, progress: Progress = None, **choices: Any) -> Iterator[Audio]:
        total = max(round(score.duration_s * RATE_HZ), 1)
        for start in range(0, total, BLOCK):
            if start:
                time.sleep(self.delay_s)
            samples = _sines(score, start, min(BLOCK, total - start), choices["seed"])
            yield Audio(samples, RATE_HZ)
            if progress:
                progress(min(start + BLOCK, total) / RATE_HZ, score.duration_s)

    def stream_stems(
        self, score: Notes, *, progress: Progress = None, **choices: Any
    ) -> Iterator[dict[str, Audio]]:
        names = [part.name for part in score.parts]
        alone = [self.stream(score.select(score.part == index), **choices) for index in range(len(names))]
        for blocks in zip(*alone, strict=True):
            yield dict(zip(names, blocks, strict=True))
            if progress:
                progress(0.0, score.duration_s)


def _sines(notes: Notes, start: int, samples: int, seed: int) -> np.ndarray:
    """A stretch of the music, the same whatever the blocks."""
    time_s = np.arange(start, start + samples) / RATE_HZ
    mix = np.zeros(samples)
    heard = (notes.onset_s <= time_s[-1]) & (notes.release_s > time_s[0])
    columns = (notes.onset_s, notes.release_s, notes.pitch, notes.velocity)
    rows = zip(*(column[heard] for column in columns), strict=True)
    for onset_s, release_s, pitch, velocity in rows:
        first, last = np.searchsorted(time_s, [onset_s, release_s])
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        mix[first:last] += 0.02 * velocity / 127 * np.sin(2 * np.pi * hertz * time_s[first:last] + seed)
    return np.stack([mix, 0.5 * mix]).astype(np.float32)


def install() -> None:
    """Put this pipeline where the command line looks for models; for programs started by tests."""
    delay_s = float(os.environ.get("SINE_DELAY_S", "0"))
    setattr(rendering, "load_pipeline", lambda *_, **__: SinePipeline(delay_s=delay_s))  # noqa: B010


if __name__ == "__main__":
    # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    install()
    main()
