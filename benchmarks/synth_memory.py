"""How much memory a score takes while it is streamed to a file, and whether that grows with its length.

Every figure is the peak of a process of its own, the median over repetitions, lengths in turns.

    python benchmarks/synth_memory.py --model synth-small --minutes 1 2 5 10
"""

from __future__ import annotations

import argparse
import statistics

import torch

from ondes.evaluation.memory import peak_bytes
from ondes.pipelines.loading import cpu_multiplies_bfloat16


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="synth-small")
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 2, 5, 10])
    parser.add_argument("--steps", type=int, default=1, help="does not change what is held")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    peaks: dict[int, list[int]] = {minutes: [] for minutes in options.minutes}
    for _ in range(options.repetitions):
        found = peak_bytes(
            options.model, steps=options.steps, threads=options.threads, minutes=options.minutes
        )
        for minutes, peak in found.items():
            peaks[minutes].append(peak)
    arithmetic = "bfloat16" if cpu_multiplies_bfloat16() else "float32"
    print(
        f"model {options.model}, {options.threads} threads, {arithmetic}, torch {torch.__version__}, "
        f"medians of {options.repetitions}\n"
    )
    print("| minutes of music | peak GB | over the shortest |\n| --- | --- | --- |")
    medians = {minutes: statistics.median(found) for minutes, found in peaks.items()}
    for minutes, peak in medians.items():
        print(f"| {minutes} | {peak / 1e9:.3f} | {peak / medians[min(medians)]:.3f} |")


if __name__ == "__main__":
    main()
