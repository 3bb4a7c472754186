"""Makes symbolic.json: what muspy 0.5.0 itself says of fixed pieces.

Run in an environment with `pip install muspy`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

RESOLUTION = 24
BAR = 4 * RESOLUTION
HOME = Path(__file__).parents[2] / "src" / "ondes" / "scores"


def random_piece(seed: int, *, grid: int, span: int, scale: int, drums: int) -> list[list[int]]:
    """Rows of track, onset, duration, pitch; track 2 holds drums. Times in 24ths of a quarter note."""
    random = np.random.RandomState(seed)  # its stream is frozen for ever
    rows = []
    for track, count in enumerate((60, 40, drums)):
        onset = random.randint(0, span // grid, count) * grid
        duration = random.randint(1, 13, count) * max(1, grid // 2)
        pitch = 36 + random.randint(0, scale, count) * (7 if seed % 2 else 1)
        rows += [[track, *map(int, row)] for row in zip(onset, duration, pitch, strict=True)]
    return rows


PIECES = {
    "sixteenths": random_piece(0, grid=6, span=5 * BAR, scale=30, drums=25),
    "fifths": random_piece(1, grid=8, span=9 * BAR, scale=7, drums=0),
    "free": random_piece(2, grid=1, span=3 * BAR, scale=13, drums=10),
    "dense": random_piece(3, grid=24, span=BAR, scale=9, drums=5),
}


def figures(music: Any, muspy: Any) -> dict[str, float]:
    """muspy's own figures of one piece."""
    return {
        "pitch_class_entropy": muspy.pitch_class_entropy(music),
        "scale_consistency": muspy.scale_consistency(music),
        "pitches_used": muspy.n_pitches_used(music),
        "polyphony": muspy.polyphony(music),
        "polyphony_rate": muspy.polyphony_rate(music),
        "groove_consistency": muspy.groove_consistency(music, 4 * music.resolution),
    }


def main() -> None:
    """Write the golden file beside this script."""
    import muspy  # type: ignore  # noqa: PLC0415

    golden: dict[str, Any] = {
        "made_by": "muspy 0.5.0, tests/golden/make_symbolic.py",
        "pieces": {},
        "files": {},
    }
    for name, rows in PIECES.items():
        tracks = [
            muspy.Track(
                program=number,
                is_drum=number == 2,
                notes=[muspy.Note(time=t, duration=d, pitch=p) for n, t, d, p in rows if n == number],
            )
            for number in range(3)
        ]
        piece = muspy.Music(resolution=RESOLUTION, tracks=tracks)
        golden["pieces"][name] = {"rows": rows, "muspy": figures(piece, muspy)}
    for name in ("bwv846_prelude.mid", "band.mid"):
        piece = muspy.read_midi(HOME / name)
        for track in piece.tracks:
            track.annotations = []  # they hold controllers, and would count as the end of the track
        piece.adjust_resolution(20 * RESOLUTION)
        coarse = muspy.read_midi(HOME / name)
        coarse.adjust_resolution(4)
        golden["files"][name] = figures(piece, muspy)
        golden["files"][name]["groove_consistency"] = muspy.groove_consistency(coarse, 16)
    Path(__file__).with_name("symbolic.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
