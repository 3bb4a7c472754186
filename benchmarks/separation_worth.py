"""What stated probabilities of a separator are worth: shift and slope of their log-odds, fitted on validation songs.

Each kind of music counts the same, "others" being all scores of two parts or more that are of no kind. Choirs have a
fit of their own. Errors of calibration before, after, and with the song itself left out of the fit, parts of one
instrument matched over all stretches of a song. Nothing of a test split is read. Outcomes are kept in a folder, so that
kinds can be separated one at a time:

    ONDES_DATA=data python benchmarks/separation_worth.py --keep runs/worth --group orchestra --stretches 4
    ONDES_DATA=data python benchmarks/separation_worth.py --keep runs/worth
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ondes.cli.evaluate_separation import separators
from ondes.datasets.named import dataset
from ondes.datasets.recordings import RejectedError
from ondes.datasets.score_folders import read_entry
from ondes.errors import UserError
from ondes.evaluation.separation import Calibration, calibration_error, matched
from ondes.evaluation.separation_run import separate_song
from ondes.evaluation.separation_songs import (
    CHORALE,
    GROUPS,
    Song,
    cut,
    group_of,
    read_chorales,
    read_songs,
    to_song,
)
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.separation_confidence import UNCHANGED, Worth, fit_worth, restated
from ondes.representations.note_sequence import DRUMS, to_note_sequence
from ondes.training.mixture_windows import part_names

OTHERS = "others"
Stated = tuple[str, np.ndarray, np.ndarray]
"""Kind of a song, the probabilities of its labels and whether they are right."""


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    options.keep.mkdir(parents=True, exist_ok=True)
    if options.group:
        separate(options)
        return
    for method in ("ours", "classifier"):
        songs = [one for path in sorted(options.keep.glob(f"*.{method}.npy")) for one in read(path)]
        for kinds in ({CHORALE}, {one[0] for one in songs} - {CHORALE}):
            report(method, [one for one in songs if one[0] in kinds])


def separate(options: argparse.Namespace) -> None:
    """Keep what both networks state of the songs of a kind."""
    pipeline = SeparationPipeline.from_pretrained(options.model)
    kin = {
        name: more | {"worth": UNCHANGED, "classifier_worth": UNCHANGED}
        for name, more in (pipeline.config["kin"] or {}).items()
    }
    pipeline.register_to_config(worth=UNCHANGED, classifier_worth=UNCHANGED, kin=kin)
    songs = music(options.group, options.songs)
    for method, separator in separators(pipeline, None).items():
        found: list[np.ndarray] = []
        for number, whole in enumerate(songs):
            stretches = [cut(whole, options.notes, seed=seed) for seed in range(options.stretches)]
            made = [separate_song(one, separator, 1, 0) for one in stretches]
            true = np.concatenate([one.true for one in stretches])
            kinds = [kind for kind, _ in whole.parts]
            right = matched(true, np.concatenate([one.labels[0] for one in made]), kinds) == true
            stated = np.concatenate([one.confidences[0] for one in made if one.confidences is not None])
            pitched = np.concatenate([one.piece.instrument != DRUMS for one in stretches])
            found.append(np.stack([np.full(len(true), number), stated, right], 1)[pitched])
        table = np.concatenate(found)
        share = f"{table[:, 2].mean():.4f} of {len(table)} notes right"
        print(f"{options.group}, {method}: {len(songs)} songs, {share}", flush=True)
        np.save(options.keep / f"{options.group}.{method}.npy", table)


def music(group: str, most: int) -> list[Song]:
    """Validation songs of a kind, or those of none that have two parts or more."""
    if group == CHORALE:
        return read_chorales("validation", most=most)
    if group != OTHERS:
        return read_songs(dataset("corpus:validation"), most=most, groups=[group])
    songs = []
    for entry in dataset("corpus:validation"):
        try:
            sequence = to_note_sequence(read_entry(entry))
        except (UserError, RejectedError):
            continue
        parts = part_names(sequence)
        kinds = {instrument for instrument, _ in parts} - {DRUMS}
        if len(parts) > 1 and kinds and group_of(parts) is None:
            songs.append(to_song(entry.id, sequence, OTHERS))
    return [song for song in songs if song is not None][:most]


def read(path: Path) -> list[Stated]:
    """The kept songs of a kind."""
    song, stated, right = np.load(path).T
    group = path.name.split(".")[0]
    return [(group, stated[song == number], right[song == number] > 0) for number in np.unique(song)]


def report(method: str, songs: list[Stated]) -> None:
    """The fit to some songs, and the errors of each kind."""
    worth = fitted(songs)
    print(f"{method}: shift {worth[0]:.3f}, slope {worth[1]:.3f}")
    for group in sorted({one[0] for one in songs}):
        own = [one for one in songs if one[0] == group]
        held_out = [fitted([other for other in songs if other is not one]) for one in own]
        errors = (error(own, [kind] * len(own)) for kind in (UNCHANGED, worth))
        print(
            f"  {group}: {', '.join(f'{one:.3f}' for one in errors)}, held out {error(own, held_out):.3f}",
            flush=True,
        )


def fitted(songs: list[Stated]) -> Worth:
    """Every kind of music counts the same."""
    notes = {group: sum(len(one[1]) for one in songs if one[0] == group) for group, _, _ in songs}
    return fit_worth([(stated, right, 1e4 / notes[group]) for group, stated, right in songs])


def error(songs: list[Stated], worths: Sequence[Worth]) -> float:
    """Expected calibration error, each song's by its own worth."""
    tables = [
        Calibration.of(restated(stated, worth), right).table()
        for (_, stated, right), worth in zip(songs, worths, strict=True)
    ]
    return float(calibration_error(np.sum(tables, 0)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="separate-small")
    parser.add_argument("--keep", type=Path, required=True, help="folder of outcomes")
    parser.add_argument(
        "--group", choices=(*GROUPS, OTHERS), help="separate these; otherwise fit what is kept"
    )
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--stretches", type=int, default=1, help="of each song, which may overlap")
    parser.add_argument("--notes", type=int, default=400)
    return parser.parse_args()


if __name__ == "__main__":
    main()
