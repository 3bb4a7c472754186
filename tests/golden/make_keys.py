"""Makes keys.json: the keys that music21 hears in notes of chorales and in random ones.

Run in an environment with `pip install 'music21==10.*'`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from music21 import analysis, corpus, note, stream  # pyright: ignore[reportMissingImports]

CHORALES = ("bach/bwv66.6", "bach/bwv269", "bach/bwv10.7", "bach/bwv267", "bach/bwv153.5", "bach/bwv245.3")


def random_notes(seed: int) -> list[tuple[int, float]]:
    """Pitches and lengths in quarter notes, from nearly one key to none at all."""
    random = np.random.RandomState(seed)  # its stream is frozen for ever
    classes = random.permutation(12)[: random.randint(2, 13)]
    pitches = 12 * random.randint(2, 8, 24) + random.choice(classes, 24)
    return [(int(pitch), float(random.randint(1, 17) / 4)) for pitch in pitches]


def notes_of(name: str) -> list[tuple[int, float]]:
    """The notes of a piece of music21's corpus."""
    score = corpus.parse(name).flatten()
    return [
        (pitch.midi, float(element.quarterLength)) for element in score.notes for pitch in element.pitches
    ]


def heard(rows: list[tuple[int, float]]) -> dict:
    """The notes, and the correlation of each key by the index of `Key`."""
    music = stream.Stream()
    for pitch, quarters in rows:
        music.append(note.Note(pitch, quarterLength=quarters))
    best = analysis.discrete.KrumhanslSchmuckler().getSolution(music)
    correlations = [0.0] * 24
    for key in [best, *best.alternateInterpretations]:
        correlations[key.tonic.pitchClass + 12 * (key.mode == "minor")] = float(
            key.correlationCoefficient or 0
        )
    index = best.tonic.pitchClass + 12 * (best.mode == "minor")
    return {"notes": rows, "index": index, "correlations": [round(value, 9) for value in correlations]}


def signatures() -> dict[str, int]:
    """Sharps of every key, flats as negative numbers."""
    from music21 import key  # pyright: ignore[reportMissingImports] # noqa: PLC0415

    majors = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    minors = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
    named = [(name, "major") for name in majors] + [(name, "minor") for name in minors]
    return {f"{name} {mode}": key.Key(name.replace("b", "-"), mode).sharps for name, mode in named}


def main() -> None:
    """Write what music21 hears."""
    cases = {name: heard(notes_of(name)) for name in CHORALES}
    cases |= {f"random {seed}": heard(random_notes(seed)) for seed in range(20)}
    golden = {"cases": cases, "sharps": signatures()}
    Path(__file__).with_name("keys.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
