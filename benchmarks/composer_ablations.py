"""What the encodings of the published composer cost, and its causal form: a table, and the same training for each.

First, for every encoding, how often the noise of the lowest level changes a note: in closed form, and measured on the
notes of the data. Then a network of reduced width is trained for each of three encodings, causal and not, with the
same steps, batches and learning rate; every one writes as many segments by the same sampler, and they are scored beside
held-out music, held-out rhythm with random pitch, and noise. The published setting is hz-causal.

What is done is kept under `--output`: repeating the command goes on where it stopped, within a training too. The
results are in results.json and table.md there.

    ONDES_DATA=data python benchmarks/composer_ablations.py --output runs/ablations
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ondes.datasets.triple_segments import TripleSegments, read_segments
from ondes.evaluation.bootstrap import mean_figure
from ondes.evaluation.pitch_decoding import exact_decode_rate, measured_decode_rate, noise_deviation
from ondes.evaluation.symbolic import grid_share, pitch_class_entropy, scale_consistency
from ondes.evaluation.symbolic_controls import noise, random_pitch
from ondes.evaluation.symbolic_windows import NoteWindows, in_common_time
from ondes.representations.note_sequence import STEPS_PER_QUARTER
from ondes.representations.triples import TripleLimits, TripleStatistics, encode_pitch

CONFIG = Path(__file__).parents[1] / "configs" / "compose" / "dmc.yaml"
ENCODINGS = {"hz": "minmax", "log_hz": "minmax", "midi": "zscore"}
"""Each encoding with the scaling that goes with it: the first as published, the last as it should be."""
SCORES: dict[str, Callable[[NoteWindows], np.ndarray]] = {
    "pitch-class entropy": pitch_class_entropy,
    "scale consistency": scale_consistency,
    "share on the grid": grid_share,
}
WHOLE_RANGE = (0.0, 127.0)

Row = dict[str, Any]


def main() -> None:
    options = _options()
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    limits = TripleLimits(options.longest_quarters, options.longest_quarters)
    train, test = (
        read_segments(name, limits, cache=output / "triples", workers=options.workers)
        for name in (options.train, options.test)
    )
    decoding = decode_table(train)
    print(decode_markdown(decoding), flush=True)
    rows = {**held_out_rows(test, options.samples)}
    for name in options.variants or [f"{e}-{c}" for e in ENCODINGS for c in ("causal", "both-sides")]:
        rows[name] = variant_row(name, options)
        write(output, options, decoding, rows)
    write(output, options, decoding, rows)
    print((output / "table.md").read_text())


def decode_table(segments: TripleSegments) -> list[Row]:
    """Exact decode rates of every encoding, over the range of all notes and over that of the data."""
    triples = segments.triples.astype(np.float64)
    pitch, deviation = triples[..., 0].ravel(), noise_deviation()
    rows = []
    for encoding, scaling in [*ENCODINGS.items(), ("hz", "zscore")]:
        fitted = TripleStatistics.fit(triples, pitch_encoding=encoding, scaling=scaling)
        ranges = {"of the data": fitted}
        if scaling == "minmax":
            low, high = encode_pitch(np.array(WHOLE_RANGE), encoding).tolist()
            whole = TripleStatistics(encoding, scaling, (low, *fitted.low[1:]), (high, *fitted.high[1:]))
            ranges = {"of all notes": whole, **ranges}
        for name, statistics in ranges.items():
            measured, semitones = measured_decode_rate(pitch, statistics, deviation)
            rows.append(
                {
                    "encoding": encoding,
                    "scaling": scaling,
                    "range": name,
                    "data deviation": float(encode_pitch(pitch, encoding).std() / statistics.scale[0]),
                    "closed form": exact_decode_rate(pitch, statistics, deviation),
                    "measured": measured,
                    "mean error in semitones": semitones,
                    "notes": len(pitch),
                }
            )
    return rows


def windows_of(triples: np.ndarray, sources: list[Any]) -> NoteWindows:
    """Segments of triples as windows to score, the first note of each at its beginning."""
    count, notes, _ = triples.shape
    delta = triples[..., 2].copy()
    delta[:, 0] = 0
    zeros = np.zeros(count * notes, np.int64)
    return in_common_time(
        np.repeat(np.arange(count), notes),
        (np.cumsum(delta, axis=1) * STEPS_PER_QUARTER).ravel(),
        np.maximum(triples[..., 1] * STEPS_PER_QUARTER, 0.05).ravel(),
        triples[..., 0].ravel().astype(np.int64),
        zeros,
        zeros,
        sources=sources,
    )


def scores_of(windows: NoteWindows) -> Row:
    """Mean and 95 % interval of every score, whole sources drawn anew."""
    figures = {name: mean_figure(score(windows), windows.sources) for name, score in SCORES.items()}
    return {
        "windows": len(windows),
        **{name: [figure.value, figure.low, figure.high] for name, figure in figures.items()},
    }


def held_out_rows(test: TripleSegments, most: int) -> dict[str, Row]:
    """What the variants are held against: real segments, evenly spread, and two controls made of them."""
    chosen = np.unique(np.linspace(0, len(test.triples) - 1, most).astype(np.int64))
    windows = windows_of(test.triples[chosen].astype(np.float64), test.file[chosen].tolist())
    return {
        "held-out": scores_of(windows),
        "held-out rhythm, random pitch": scores_of(random_pitch(windows)),
        "noise": scores_of(noise(windows)),
    }


def variant_row(name: str, options: argparse.Namespace) -> Row:
    """Train a variant, let it write, and score it; what was done before is read."""
    run: Path = options.output / name
    done = run / "row.json"
    if done.is_file():
        return json.loads(done.read_text())
    began_s = time.perf_counter()
    train_variant(name, run, options)
    trained_s = time.perf_counter() - began_s
    from ondes.pipelines.dmc import DmcPipeline  # noqa: PLC0415

    pipeline = DmcPipeline.from_pretrained(run / "model")
    pieces = [
        pipeline.sample(size, seed=first, steps=options.sampling_steps, sampler=options.sampler)
        for first, size in batches(options.samples, options.sampling_batch)
    ]
    triples = np.concatenate(pieces)
    np.save(run / "samples.npy", triples)
    row = scores_of(windows_of(triples, list(range(len(triples)))))
    row |= {"trained_s": round(trained_s), "validation": last_losses(run)}
    done.write_text(json.dumps(row, indent=1) + "\n")
    return row


def batches(count: int, size: int) -> list[tuple[int, int]]:
    """First number and size of each batch."""
    return [(first, min(size, count - first)) for first in range(0, count, size)]


def train_variant(name: str, run: Path, options: argparse.Namespace) -> None:
    """The same training for each, but for encoding and causality."""
    from ondes.training.cli import main as train  # noqa: PLC0415

    encoding, _, form = name.partition("-")
    if encoding not in ENCODINGS or form not in ("causal", "both-sides"):
        raise SystemExit(
            f"there is no variant {name!r}; give one of hz, log_hz, midi with -causal or -both-sides"
        )
    settings = {
        "run": run,
        "save_every": max(1, options.steps // 4),
        "model.model.init_args.width": options.width,
        "model.model.init_args.causal": str(form == "causal").lower(),
        "model.learning_rate": options.learning_rate,
        "model.lower_from": "null",
        "model.ema_decay": options.ema_decay,
        "data.data": options.train,
        "data.validation_data": options.validation,
        "data.pitch_encoding": encoding,
        "data.scaling": ENCODINGS[encoding],
        "data.batch": options.batch,
        "data.longest_duration_quarters": options.longest_quarters,
        "data.longest_delta_quarters": options.longest_quarters,
        "data.cache_folder": options.output / "triples",
        "trainer.max_steps": options.steps,
        "trainer.val_check_interval": max(1, options.steps // 4),
        "trainer.enable_progress_bar": "false",
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    train("compose-dmc", ["--config", str(CONFIG), *words])


def last_losses(run: Path) -> dict[str, float]:
    """The last validation losses in the logs of a run."""
    found: dict[str, float] = {}
    for log in sorted(run.glob("log*/metrics.csv"), key=lambda path: path.stat().st_mtime):
        head, *lines = (line.split(",") for line in log.read_text().splitlines())
        for line in lines:
            found |= {
                key: float(value)
                for key, value in zip(head, line, strict=True)
                if key.startswith("validation/") and value
            }
    return found


def write(output: Path, options: argparse.Namespace, decoding: list[Row], rows: dict[str, Row]) -> None:
    """Results so far, as JSON and as a table."""
    settings = {name: str(value) for name, value in vars(options).items()}
    results = {"settings": settings, "decoding": decoding, "scores": rows}
    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = decode_markdown(decoding) + "\n\n" + scores_markdown(rows) + "\n"
    (output / "table.md").write_text(text)


def decode_markdown(rows: list[Row]) -> str:
    """The table of decode rates."""
    lines = [
        "| encoding | scaling | range | deviation of the data | exact, closed form | exact, measured | "
        "mean error in semitones |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        names = f"| {row['encoding']} | {row['scaling']} | {row['range']} | {row['data deviation']:.3f} "
        rates = f"| {row['closed form']:.3f} | {row['measured']:.3f} | {row['mean error in semitones']:.2f} |"
        lines.append(names + rates)
    return "\n".join(lines)


def scores_markdown(rows: dict[str, Row]) -> str:
    """The table of scores with their intervals."""
    lines = [
        "| notes of | windows | " + " | ".join(SCORES) + " |",
        "| --- | --- |" + " --- |" * len(SCORES),
    ]
    for name, row in rows.items():
        cells = [f"{row[s][0]:.3f} ({row[s][1]:.3f} to {row[s][2]:.3f})" for s in SCORES]
        lines.append(f"| {name} | {row['windows']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument(
        "--variants", nargs="*", help="such as hz-causal midi-both-sides; all six where missing"
    )
    parser.add_argument("--train", default="corpus:train")
    parser.add_argument("--validation", default="corpus:validation")
    parser.add_argument("--test", default="corpus:test")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--ema-decay", type=float, default=0.99)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--sampling-batch", type=int, default=50)
    parser.add_argument("--sampling-steps", type=int, default=250)
    parser.add_argument("--sampler", default="ddpm", choices=("ddpm", "ddim"))
    parser.add_argument(
        "--longest-quarters", type=float, default=8.0, help="of notes and gaps; the published limit is 2.133"
    )
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
