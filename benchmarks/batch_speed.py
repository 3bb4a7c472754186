"""How much faster two workers go through a folder of short scores than one, with processes and with Ray.

Whole commands, each in a process of its own with a fresh folder for results, in turns; the time to start workers and to
load models counts. Results of all of them are compared byte for byte.

    python benchmarks/batch_speed.py                           # 200 scores of 10 s, local: gate 1.7
    python benchmarks/batch_speed.py --engines local ray --repetitions 3
    python benchmarks/batch_speed.py --scores 8 --seconds 2 --repetitions 1   # a small one
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from alternating import Timing, in_turns

from ondes.files import file_sha256
from ondes.scores.notation import Page, to_midi

GATE = 1.7
QUARTERS_PER_MINUTE = 120.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="ondes-") as name:
        folder = Path(name)
        write_scores(folder / "in", options.scores, options.seconds)
        jobs = {f"{engine}, {workers}": (engine, workers) for engine in options.engines for workers in (1, 2)}
        rounds = dict.fromkeys(jobs, 0)

        def run(label: str) -> None:
            engine, workers = jobs[label]
            rounds[label] += 1
            work(folder / "in", folder / f"{engine}-{workers}-{rounds[label]}", engine, workers, options)

        timings = in_turns(
            {label: lambda label=label: run(label) for label in jobs}, repetitions=options.repetitions
        )
        print(f"{options.scores} scores of {options.seconds:g} s, {options.task} {' '.join(options.words)}\n")
        print("| engine, workers | median s | least s | most s |\n| --- | --- | --- | --- |")
        for label, timing in timings.items():
            print(f"| {label} | {timing.median_s:.1f} | {timing.least_s:.1f} | {timing.most_s:.1f} |")
        print()
        for engine in options.engines:
            print(f"{engine}: {ratio(timings, engine):.2f} times as fast with two workers (gate: {GATE})")
        made = {fingerprints(out) for out in folder.iterdir() if out.name != "in"}
        print(f"{len(made)} different sets of results (gate: 1)")


def ratio(timings: dict[str, Timing], engine: str) -> float:
    """The median over rounds of one worker's time by that of two in the same round."""
    one, two = timings[f"{engine}, 1"].seconds, timings[f"{engine}, 2"].seconds
    ratios = sorted(alone / both for alone, both in zip(one, two, strict=True))
    return ratios[len(ratios) // 2]


def work(scores: Path, out: Path, engine: str, workers: int, options: argparse.Namespace) -> None:
    """One whole batch."""
    words = ["batch", options.task, str(scores), *options.words, "-o", str(out)]
    words += ["--engine", engine, "--workers", str(workers)]
    subprocess.run([sys.executable, "-m", "ondes.cli.main", *words], check=True, stderr=subprocess.DEVNULL)


def fingerprints(out: Path) -> tuple[tuple[str, str], ...]:
    """All files of a folder of results."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return tuple((path.relative_to(out).as_posix(), file_sha256(path)) for path in files)


def write_scores(folder: Path, count: int, seconds: float) -> None:
    """Tunes of a piano over a bass, all different, the same on every call."""
    folder.mkdir()
    for number in range(count):
        draw = random.Random(number)
        piano, bass = Page("Piano", 0), Page("Bass", 33)
        for beat in range(round(seconds * QUARTERS_PER_MINUTE / 60)):
            piano.note(beat, draw.randint(55, 84), 0.9, draw.randint(50, 110))
            bass.note(beat, draw.randint(36, 48), 0.9, 80)
        midi = to_midi([piano, bass], [(0.0, QUARTERS_PER_MINUTE)])
        (folder / f"{number:04}.mid").write_bytes(midi)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--task", default="synth")
    parser.add_argument("--words", nargs="*", default=["steps=4"], metavar="KEY=VALUE")
    parser.add_argument("--scores", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each score")
    parser.add_argument("--engines", nargs="+", default=["local"], choices=["local", "ray"])
    parser.add_argument("--repetitions", type=int, default=1, help="counted rounds, after one to warm up")
    return parser.parse_args()


if __name__ == "__main__":
    main()
