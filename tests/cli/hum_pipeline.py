"""An audio pipeline without a network: noise that follows the seed, with the verbs of the real one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ondes.audio import Audio
from ondes.cli import audio_editing
from ondes.cli.main import main
from ondes.representations.regions import to_regions

RATE_HZ = 44_100
BLOCK = RATE_HZ // 2
Progress = Callable[[float, float], None] | None


class HumPipeline:
    """Mixes its input with noise; remembers what it was asked for."""

    default_steps = 16

    def __init__(self, model_hash: str = "a0" * 32, delay_s: float = 0.0) -> None:
        self.model_hash = model_hash
        self.delay_s = delay_s
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def stream(
        self, duration_s: float, *, seed: int = 0, progress: Progress = None, **choices: Any
    ) -> Iterator[Audio]:
        self.calls.append(("generate", {"duration_s": duration_s, "seed": seed} | choices))
        total = round(duration_s * RATE_HZ)
        whole = _noise(2, total, seed)
        for start in range(0, total, BLOCK):
            time.sleep(self.delay_s)
            yield Audio(whole[:, start : start + BLOCK], RATE_HZ)
            if progress:
                progress(start / RATE_HZ, duration_s)

    def stream_vary(self, sound: Path, *, progress: Progress = None, **choices: Any) -> Iterator[Audio]:
        self._called("vary", choices, progress)
        audio = Audio.read(sound)
        yield _mixed(audio.samples, audio, choices["strength"], choices["seed"])

    def stream_interpolate(
        self, first: Path, second: Path, *, progress: Progress = None, **choices: Any
    ) -> Iterator[Audio]:
        self._called("interpolate", choices, progress)
        one, two = Audio.read(first), Audio.read(second)
        other = two.resample(one.sample_rate_hz).samples
        length = min(one.samples.shape[1], other.shape[1])
        ratio = np.float32(choices["ratio"])
        between = (1 - ratio) * one.samples[:, :length] + ratio * other[:, :length]
        yield _mixed(between, one, 0.1, choices["seed"])

    def stream_inpaint(
        self, sound: Path, *, regions: str, progress: Progress = None, **choices: Any
    ) -> Iterator[Audio]:
        self._called("inpaint", {"regions": regions} | choices, progress)
        audio = Audio.read(sound)
        samples = audio.samples.copy()
        length = samples.shape[1]
        noise = _noise(samples.shape[0], samples.shape[1], choices["seed"])
        for one in to_regions(regions, sample_rate_hz=audio.sample_rate_hz, length_samples=length):
            samples[:, one.start : one.stop] = noise[:, one.start : one.stop]
        yield Audio(samples, audio.sample_rate_hz)

    def stream_outpaint(
        self, sound: Path, *, before_s: float, after_s: float, progress: Progress = None, **choices: Any
    ) -> Iterator[Audio]:
        self._called("outpaint", {"before_s": before_s, "after_s": after_s} | choices, progress)
        audio = Audio.read(sound)
        parts = [
            _noise(audio.channels, round(s * audio.sample_rate_hz), choices["seed"])
            for s in (before_s, after_s)
        ]
        yield Audio(np.concatenate([parts[0], audio.samples, parts[1]], 1), audio.sample_rate_hz)

    def _called(self, verb: str, choices: dict[str, Any], progress: Progress) -> None:
        self.calls.append((verb, choices))
        for done in range(4):
            time.sleep(self.delay_s)
            if progress:
                progress(float(done), 4.0)


def _noise(channels: int, length: int, seed: int) -> np.ndarray:
    """Quiet, in steps of 24 bits."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-(2**20), 2**20, (channels, length)) / 2**23).astype(np.float32)


def _mixed(samples: np.ndarray, like: Audio, strength: float, seed: int) -> Audio:
    noise = _noise(samples.shape[0], samples.shape[1], seed)
    return Audio(((1 - strength) * samples + strength * noise).astype(np.float32), like.sample_rate_hz)


def install() -> None:
    """Put this pipeline where the command line looks for models; for programs started by tests."""
    delay_s = float(os.environ.get("HUM_DELAY_S", "0"))
    setattr(audio_editing, "load_audio", lambda *_: HumPipeline(delay_s=delay_s))  # noqa: B010


if __name__ == "__main__":
    # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    install()
    main()
