"""How much louder each instrument must be made: `instrument_gains_db` of a synthesiser's pipeline.

A network that has not learned for long enough plays some instruments too softly and some too loudly; one constant for
all cannot give that back. Here every General MIDI program, and the drum kit, plays stretches of the validation split
alone, moved to where the instrument plays, and is compared with the SoundFont it learned from by the loudness of
ITU-R BS.1770. The gain of an instrument is the mean of what its stretches lack, and what it had before.

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

MOST_DB = 20.0
"""Most gain either way: the network answers a gain of 12 dB by 12 dB, further was not tried."""


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
    lacking = np.array([_lacking(found, instrument) for instrument in range(DRUM_INSTRUMENT + 1)])
    before = np.array(pipeline.config.get("instrument_gains_db") or np.zeros(len(lacking)))
    gains = (before + lacking).clip(-MOST_DB, MOST_DB)
    options.output.write_text(json.dumps([round(float(gain), 2) for gain in gains]))
    print(
        f"\n{options.model}: {len(found)} stretches of {options.data}; an instrument lacks {lacking.mean():+.3f} dB,"
    )
    print(f"standard deviation {lacking.std():.3f} dB, from {lacking.min():+.2f} to {lacking.max():+.2f} dB")


def _lacking(found: Sequence[dict[str, Any]], instrument: int) -> float:
    """What an instrument lacks in dB, without stretches for which the SoundFont has no sound."""
    own = [row["render"] - row["ours"] for row in found if row["instrument"] == instrument]
    heard = [value for value in own if np.isfinite(value)]
    return float(np.mean(heard)) if heard else 0.0


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
