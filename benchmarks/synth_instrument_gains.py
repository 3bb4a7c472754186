"""How much louder each instrument must be made: `instrument_gains_db` of a synthesiser's pipeline.

A network that has not learned for long enough plays some instruments too softly and some too loudly; one constant for
all cannot give that back. Here every General MIDI program, and the drum kit, plays stretches of the validation split
alone, moved to where the instrument plays, and is compared with the SoundFont it learned from by the loudness of
ITU-R BS.1770. The gain of an instrument is the mean of what its stretches lack, drawn towards that of its block of
eight programs as one more stretch would draw it.

    python benchmarks/synth_instrument_gains.py --model synth-small --data corpus:validation --output gains.json

Repeating the command goes on where it stopped. `--model` with these gains in its settings says what remains.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ondes.datasets.instruments import SUSTAINED, to_register
from ondes.datasets.named import ScoreEntry, dataset
from ondes.datasets.render import find_soundfont, open_renderer
from ondes.evaluation.excerpts import FAMILIES, Excerpt, choose_excerpts
from ondes.evaluation.listening import fit
from ondes.evaluation.loudness import loudness_lufs
from ondes.pipelines.synthesis import SynthesisPipeline
from ondes.representations.note_frames import DRUM_INSTRUMENT
from ondes.score import notes_to_score

LINES = ("bowed", "wind", "voice")
"""Families whose parts are single lines: what instruments that sustain play here; all others play piano and harp."""

BASSES = range(32, 40)
EXCERPTS = 200


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    pipeline = SynthesisPipeline.from_pretrained(options.model)
    renderer = open_renderer(options.soundfont or find_soundfont())
    journal = options.output.with_suffix(".jsonl")
    found = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    done = {(row["instrument"], row["excerpt"]) for row in found}
    with journal.open("a") as file:
        for instrument, excerpt in probes(dataset(options.data), options.stretches, options.seconds):
            if (instrument, excerpt.name) in done:
                continue
            score = played_by(excerpt, instrument)
            ours, render = (
                loudness_lufs(fit(play(score), options.seconds)) for play in (pipeline, renderer.render)
            )
            row = {"instrument": instrument, "excerpt": excerpt.name, "ours": ours, "render": render}
            print(
                f"{instrument:3d} {ours - render:+6.2f} LU of {render:6.1f} LUFS  {excerpt.name}", flush=True
            )
            found.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
    lacking: list[list[float]] = [[] for _ in range(DRUM_INSTRUMENT + 1)]
    for row in found:
        lacking[row["instrument"]].append(row["render"] - row["ours"])
    options.output.write_text(json.dumps([round(gain, 2) for gain in gains(lacking)]))
    left = np.array([np.mean(own) for own in lacking if own])
    print(
        f"\n{options.model}: {len(found)} stretches of {options.data}; an instrument lacks {left.mean():+.3f} dB, "
    )
    print(f"standard deviation {left.std():.3f} dB, from {left.min():+.2f} to {left.max():+.2f} dB")


def probes(entries: Sequence[ScoreEntry], stretches: int, duration_s: float) -> list[tuple[int, Excerpt]]:
    """Which instrument plays which stretches: of its own family where there are any; one of each first."""
    chosen = choose_excerpts(entries, count=EXCERPTS, duration_s=duration_s, seed=1)
    solos = [excerpt for excerpt in chosen if excerpt.group == "solo"]
    rows = []
    for instrument in range(DRUM_INSTRUMENT + 1):
        own = [family for family, programs in FAMILIES.items() if instrument in programs]
        lines = instrument in SUSTAINED or instrument in BASSES
        families = own or (LINES if lines else ("piano", "plucked"))
        pool = [excerpt for excerpt in solos if excerpt.family in families]
        if instrument == DRUM_INSTRUMENT:
            pool = [excerpt for excerpt in chosen if excerpt.group == "band"]
        order = np.random.default_rng([instrument, 0x6A1]).permutation(len(pool))
        rows += [(turn, instrument, pool[index]) for turn, index in enumerate(order[:stretches])]
    return [(instrument, excerpt) for _, instrument, excerpt in sorted(rows, key=lambda row: row[:2])]


def played_by(excerpt: Excerpt, instrument: int) -> Any:
    """The stretch on another instrument, in its register; of a band the drums alone."""
    if instrument == DRUM_INSTRUMENT:
        return notes_to_score(excerpt.notes.select(excerpt.notes.is_drum))
    score = excerpt.score.copy()
    for track in score.tracks:
        track.program = instrument
        pitches = to_register(np.array([note.pitch for note in track.notes], np.int64), instrument)
        for note, pitch in zip(track.notes, pitches.tolist(), strict=True):
            note.pitch = int(np.clip(pitch, 0, 127))
    return score


def gains(lacking: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Gain of each instrument in dB: mean of what it lacks and of what its block of eight lacks, which counts once."""
    found = np.zeros(len(lacking))
    for instrument, own in enumerate(lacking):
        block = [value for row in lacking[instrument // 8 * 8 :][:8] for value in row]
        if block:
            found[instrument] = (np.sum(own) + np.mean(block)) / (len(own) + 1)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="synth-small")
    parser.add_argument("--data", default="corpus:validation")
    parser.add_argument("--stretches", type=int, default=3, help="of each instrument")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--soundfont", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("instrument_gains.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
