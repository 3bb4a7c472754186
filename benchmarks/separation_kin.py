"""Ensembles that a separator hardly learned, told as those they are like: accuracy and temperatures on validation.

Chorales of music21 as a choir and as a string quartet, with the temperature at which the labels are likeliest; other
groups as they are, and orchestras with their strings called "string ensemble", as in some files. The classifier and
the baseline of the closest pitch stand beside. Nothing of a test split is read.

    ONDES_DATA=data python benchmarks/separation_kin.py --group chorale --songs 8
    ONDES_DATA=data python benchmarks/separation_kin.py --group orchestra --songs 4 --notes 300
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from ondes.datasets.named import dataset
from ondes.evaluation.separation import Calibration
from ondes.evaluation.separation_baselines import closest_pitch
from ondes.evaluation.separation_songs import CHORALE, GROUPS, ORCHESTRA, Song, cut, read_chorales, read_songs
from ondes.pipelines.separation import SeparationPipeline
from ondes.pipelines.separation_constraints import PartRules
from ondes.pipelines.separation_parts import Labels
from ondes.pipelines.separation_windows import Sampling, classify_windows, label_windows
from ondes.training.calibration import fit_temperature

QUARTET = [(40, 0), (40, 1), (41, 0), (42, 0)]
STRINGS = [(48, number) for number in range(4)]

Answer = tuple[np.ndarray, np.ndarray]
"""Labels, and the probabilities they were chosen from."""


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    pipeline = SeparationPipeline.from_pretrained(options.model)
    if options.group == CHORALE:
        songs = read_chorales("validation", most=options.songs)
    else:
        songs = read_songs(dataset("corpus:validation"), most=options.songs, groups=[options.group])
    songs = [cut(song, options.notes) for song in songs]
    print(f"{len(songs)} songs, {sum(len(song.piece) for song in songs)} notes")
    for name, told in variants(options.group).items():
        found = [answers(pipeline, song, told) for song in songs]
        for who, own in zip(("diffusion", "classifier"), zip(*found, strict=True), strict=True):
            print(f"{name}, {who}: {figures(songs, list(own))}", flush=True)
    nearest = [closest_pitch(song.piece, song.true, len(song.parts)) for song in songs]
    print(f"closest pitch: {accuracies(songs, nearest)}")


def variants(group: str) -> dict[str, dict[tuple[int, int], tuple[int, int]]]:
    """What parts are told as, by name; those that are not there as they are."""
    found: dict[str, dict[tuple[int, int], tuple[int, int]]] = {"as they are": {}}
    if group == CHORALE:
        choir = [(52, number) for number in range(4)]
        found["as a string quartet"] = dict(zip(choir, QUARTET, strict=True))
    if group == ORCHESTRA:
        found["strings as string ensemble"] = dict(zip(QUARTET, STRINGS, strict=True))
    return found


@torch.no_grad()
def answers(
    pipeline: SeparationPipeline, song: Song, told: dict[tuple[int, int], tuple[int, int]]
) -> tuple[Answer, Answer]:
    """What diffusion and the classifier say of a song, with no temperature."""
    pairs = tuple(told.get(part, part) for part in song.parts)
    labels = Labels(song.specs, np.arange(len(song.specs)), pairs)
    none = np.full(len(song.piece), -1, np.int64)
    sampling = Sampling(8, (0.0,), (0,), "confidence", 1.0, 256, 128)
    rules = PartRules(ranges=False, polyphony=None, no_crossing=False, playable_hands=False)
    made = label_windows(pipeline.network, song.piece, labels, none, rules, sampling, lambda _: None)
    table = classify_windows(pipeline.classifier, song.piece, labels, sampling, lambda _: None)
    return (made.labels[0], made.probability[0]), (table.argmax(1), table)


def figures(songs: list[Song], found: list[Answer]) -> str:
    """Accuracy, and how well confidences hold before and after the temperature that fits best."""
    text = accuracies(songs, [labels for labels, _ in found])
    if len({table.shape[1] for _, table in found}) > 1:
        return text
    true = np.concatenate([song.true for song in songs])
    labels = np.concatenate([labels for labels, _ in found])
    with np.errstate(divide="ignore"):
        logs = np.log(np.concatenate([table for _, table in found]))
    errors = []
    half = np.arange(len(true)) < len(true) // 2
    best, first = fit_temperature(logs, true), fit_temperature(logs[half], true[half])
    for temperature, chosen in ((1.0, half | ~half), (best, half | ~half), (first, ~half)):
        odds = np.exp(logs[chosen] / temperature)
        stated = np.take_along_axis(odds / odds.sum(1, keepdims=True), labels[chosen][:, None], 1)[:, 0]
        errors.append(Calibration.of(stated, labels[chosen] == true[chosen]).error)
    return (
        f"{text}, calibration error {errors[0]:.3f}, at {best:.3f} {errors[1]:.3f}, "
        f"fitted on the first half {first:.3f} and on the second {errors[2]:.3f}"
    )


def accuracies(songs: list[Song], found: list[np.ndarray]) -> str:
    """Share of notes in their part, and in their role, which is the family in orchestras."""
    right = np.concatenate([labels == song.true for song, labels in zip(songs, found, strict=True)])
    roles = [
        np.array(song.roles)[labels] == np.array(song.roles)[song.true]
        for song, labels in zip(songs, found, strict=True)
    ]
    return f"accuracy {right.mean():.3f}, by role {np.concatenate(roles).mean():.3f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="separate-small")
    parser.add_argument("--group", default=CHORALE, choices=GROUPS)
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--notes", type=int, default=100_000, help="longer songs are cut to so many")
    return parser.parse_args()


if __name__ == "__main__":
    main()
