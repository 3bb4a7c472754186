"""How fast a folder of MIDI files becomes the tokens our composers learn from, beside the published steps with mido.

All notes of all instruments in their bars on our side, one piano track on the other (see `composer_tensors`), so that
ours does more; in one process, file by file in turns. Files that cannot be read count on both sides.

    python benchmarks/composer_tokens.py corpus --clock processor   # 200 files spread over the folder
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from composer_tensors import spread, theirs

from ondes.datasets.quick_scores import quick_score
from ondes.errors import UserError
from ondes.representations.note_sequence import to_note_sequence
from ondes.representations.note_tokens import to_tokens


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="folder of MIDI files")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="processor if it is busy"
    )
    options = parser.parse_args()
    # Imported once, before anything is timed.
    import mido  # noqa: PLC0415, F401
    import symusic  # noqa: PLC0415, F401

    files = spread(sorted(Path(options.folder).rglob("*.mid")), options.files)
    if not files:
        raise SystemExit(f"{options.folder} holds no .mid files")
    clock = {"wall": time.perf_counter, "processor": time.process_time}[options.clock]
    sides = {"ondes": our_tokens, "mido": lambda path: theirs(path, repaired=False)}
    spent = dict.fromkeys(sides, 0.0)
    notes = dict.fromkeys(sides, 0)
    for side in sides.values():  # what is imported or set up by the first file is not timed
        side(files[0])
    for number, path in enumerate(files):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            began_s = clock()
            found = sides[name](path)
            spent[name] += clock() - began_s
            notes[name] += 0 if found is None else found.size // found.shape[-1]
    print("| what | notes | s | files a second | times faster |\n| --- | --- | --- | --- | --- |")
    for name, seconds in spent.items():
        rate, faster = len(files) / seconds, spent["mido"] / seconds
        print(f"| {name} | {notes[name]} | {seconds:.2f} | {rate:.0f} | {faster:.1f} |")


def our_tokens(path: Path) -> np.ndarray | None:
    """Tokens of a file by ondes; None if it cannot be read."""
    try:
        return to_tokens(to_note_sequence(quick_score(path)))
    except UserError:
        return None


if __name__ == "__main__":
    main()
