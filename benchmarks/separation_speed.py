"""How long scores of several lengths take to separate, how much memory they hold, and the published system beside it.

Every figure of ours is of a process of its own, the median over repetitions, lengths in turns. Steps of the published
system are all alike, so that a measured number of them is multiplied up to its 999; weights do not change the time, so
it needs none.

    python benchmarks/separation_speed.py --model separate-small --minutes 3 60 --threads 1
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from symusic.core import NoteTickList, ScoreTick, TempoTick, TrackTick

from ondes.evaluation.memory_probe import peak_memory_bytes
from ondes.models.trans_unet import TransUNet
from ondes.pipelines.mixture2music import Mixture2MusicPipeline
from ondes.pipelines.roll_samplers import make_roll_scheduler
from ondes.pipelines.separation_opening import open_separator
from ondes.representations.mixture_rolls import STEPS_PER_QUARTER

QUARTERS_PER_MINUTE, TICKS = 120, 480
VOICES = ((76, 240), (67, 480), (60, 480), (48, 960))
"""Middle pitch and length in ticks of the notes of each voice: nine notes a second in all."""
PUBLISHED_STEPS = 999
GATE_MINUTES, GATE_S = 3, 10.0


def quartet(minutes: float) -> ScoreTick:
    """Four voices on one track, the same on every call."""
    score = ScoreTick(TICKS)
    score.tempos.append(TempoTick(0, mspq=60_000_000 // QUARTERS_PER_MINUTE))
    end = round(minutes * QUARTERS_PER_MINUTE * TICKS)
    random, columns = np.random.default_rng(0), []
    for middle, length in VOICES:
        time_ticks = np.arange(0, end, length)
        pitch = middle + random.integers(-6, 7, len(time_ticks))
        columns.append(np.stack([time_ticks, np.full(len(time_ticks), length), pitch]))
    time_ticks, length, pitch = np.concatenate(columns, 1)
    track = TrackTick("", 0, False)
    track.notes = NoteTickList.from_numpy(
        time_ticks.astype(np.int32),
        length.astype(np.int32),
        pitch.astype(np.int8),
        np.full(len(pitch), 80, np.int8),
    )
    score.tracks.append(track)
    return score


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.probe is not None:
        print(json.dumps(_probed(options.model, options.probe, options.steps)))
        return
    found: dict[float, list[dict[str, float]]] = {minutes: [] for minutes in options.minutes}
    for _ in range(options.repetitions):
        for minutes, rows in found.items():
            rows.append(_in_a_process(options, minutes))
    print(
        f"{options.model}, {platform.machine()}, {options.threads} threads, torch {torch.__version__}, medians of "
        f"{options.repetitions}\n\n| minutes of a quartet | notes | s | notes a second | peak GB |\n"
        "| --- | --- | --- | --- | --- |"
    )
    for minutes, rows in found.items():
        notes, seconds, peak = (
            statistics.median(row[name] for row in rows) for name in ("notes", "seconds", "peak_bytes")
        )
        print(f"| {minutes:g} | {notes:.0f} | {seconds:.2f} | {notes / seconds:.0f} | {peak / 1e9:.3f} |")
        if minutes == GATE_MINUTES:
            print(f"\ngate: {seconds:.2f} s, {'below' if seconds < GATE_S else 'NOT below'} {GATE_S:g} s\n")
    if options.measured_steps:
        seconds = _published_s(options.minutes[0], options.measured_steps)
        print(
            f"\nMixture2Music, {options.minutes[0]:g} minutes in {PUBLISHED_STEPS} steps: {seconds:.0f} s, from "
            f"{options.measured_steps} measured"
        )


def _in_a_process(options: argparse.Namespace, minutes: float) -> dict[str, float]:
    """The figures of one separation in a new process."""
    words = [sys.executable, __file__, "--model", options.model, "--threads", str(options.threads)]
    words += ["--probe", str(minutes), "--steps", str(options.steps)]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def _probed(model: str, minutes: float, steps: int) -> dict[str, float]:
    """One separation, the model being loaded already."""
    pipeline, score = open_separator(model), quartet(minutes)
    began_s = time.perf_counter()
    made = pipeline(score, into="string quartet", steps=steps or None)
    return {
        "notes": len(made.notes),
        "seconds": time.perf_counter() - began_s,
        "peak_bytes": float(peak_memory_bytes()),
    }


def _published_s(minutes: float, measured_steps: int) -> float:
    """Seconds that the published network takes in all its steps, its sampler included."""
    pipeline = Mixture2MusicPipeline(TransUNet(), make_roll_scheduler("ddim"))
    steps = round(minutes * QUARTERS_PER_MINUTE * STEPS_PER_QUARTER)
    mixture = np.random.default_rng(0).random((steps, 72)) < 0.06
    began_s = time.perf_counter()
    pipeline.sample(mixture, steps=measured_steps)
    return (time.perf_counter() - began_s) / measured_steps * PUBLISHED_STEPS


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="separate-small")
    parser.add_argument("--minutes", type=float, nargs="+", default=[3.0, 60.0])
    parser.add_argument("--steps", type=int, default=0, help="0 means the model's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--measured-steps", type=int, default=1, help="of the published system; 0 leaves it out"
    )
    parser.add_argument("--probe", type=float, help="what the processes of this program are called with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
