"""Slakh2100 (Manilow et al. 2019), redux: 1710 songs played by samplers, stem by stem, with the MIDI of every stem.

Read from the layout of the Zenodo release: `{train,validation,test}/Track<NNNNN>/` with `metadata.yaml`, `mix.flac`,
`stems/S<NN>.flac` and `MIDI/S<NN>.mid`. Notes come from the stems' own MIDI files, so that a sub-mix has exactly the
notes that are heard; programs and drums are those of the metadata. The samplers' output was turned down by one
`overall_gain` a song, in the stems as in the mix; whether a song's stems really add up to its mix is measured when they
are read (`StemLevel`).

With `loader="mirdata"` mirdata's index says which songs there are and in which split, so that missing ones are counted.
The notes are read here in either case: mirdata 1.0 leaves drums out of a stem's notes, and knows no sub-mixes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ondes.controls import Controls
from ondes.datasets.mirdata_sets import FILES, MIRDATA, checked_loader, open_mirdata
from ondes.datasets.recordings import (
    Recording,
    Rejections,
    StemLevel,
    checked_split,
    find_root,
    joined,
    without_overlaps,
)
from ondes.errors import UserError
from ondes.notes import Notes, Part
from ondes.score import read_score, to_notes

DRUMS = 128
"""Stands for drums among the programs, in the metadata too."""
CERBERUS = {
    "piano": range(8),
    "guitar": range(24, 32),
    "bass": range(32, 40),
    "drums": range(DRUMS, DRUMS + 1),
}
"""The four groups of Cerberus (Manilow et al. 2020) by their programs."""
FEWEST_PROGRAMS = 4
MOST_SUBMIXES = 10


@dataclass(frozen=True)
class Stem:
    """One stem that can be heard and has notes."""

    name: str
    audio: Path
    midi: Path
    program: int
    is_drum: bool

    @property
    def kind(self) -> int:
        """Its program, 128 for drums."""
        return DRUMS if self.is_drum else self.program


@dataclass(frozen=True)
class Song:
    """The usable stems of a song, whether none was left out, and what its stems add up to."""

    name: str
    stems: tuple[Stem, ...]
    whole: bool
    mix: Path
    level: StemLevel | None


def read_slakh(
    folder: str | os.PathLike[str],
    split: str,
    *,
    seed: int = 0,
    submixes: int = MOST_SUBMIXES,
    cerberus: bool = True,
    loader: str = FILES,
) -> tuple[list[Recording], Rejections]:
    """Mixes of a split.

    Training and validation have up to `submixes` mixes of at least four programs a song, and for songs with piano,
    guitar, bass and drums every choice of these. Testing has whole mixes, and the four groups together.

    Args:
        folder: Where `train`, `validation` and `test` are, or the folder above.
        split: See `SPLIT_NAMES`.
        seed: Chooses among the sub-mixes; each song has its own stream.
        submixes: Most sub-mixes a song; 0 gives the whole mixes instead.
        cerberus: Whether to make mixes of the four groups.
        loader: "files" takes the songs that are there, "mirdata" those that mirdata's index lists.

    Raises:
        UserError: If the folder is no Slakh, PyYAML, mirdata or its index is missing, the split or the loader is
            unknown, or a number is negative.
    """
    split = checked_split(split)
    if min(seed, submixes) < 0:
        raise UserError(f"seed {seed} and {submixes} sub-mixes a song; give numbers from 0")
    patterns = [f"{name}/Track*/metadata.yaml" for name in ("train", "validation", "test")]
    root = find_root(folder, "Slakh2100", patterns, inner="slakh2100*")
    rejections = Rejections()
    recordings = []
    listed = _listed(root, split) if checked_loader(loader) == MIRDATA else None
    for track in sorted((root / split).glob("Track*")) if listed is None else listed:
        song = _song(track, rejections)
        if song is None:
            continue
        made = list(_mixes(song, split, seed, submixes, cerberus))
        if not made:
            rejections.add("slakh", song.name, "fewer than 4 programs")
        recordings += made
    return recordings, rejections


def _listed(root: Path, split: str) -> list[Path]:
    """The folders of the songs that mirdata lists, whether they are there or not."""
    songs = open_mirdata("slakh", root.resolve().parent).load_multitracks()
    return [root / split / name for name, song in sorted(songs.items()) if song.split == split]


def read_stems(stems: tuple[Stem, ...]) -> Notes:
    """The notes of several stems; notes of one pitch and program do not overlap."""
    return without_overlaps(joined([_read_stem(stem) for stem in stems]))


def submix_programs(programs: Iterable[int], most: int, seed: list[int]) -> list[tuple[int, ...]]:
    """Choices of at least four programs: all of them, or so many different ones drawn evenly.

    Args:
        programs: What a song has, 128 for drums.
        most: How many choices to make.
        seed: Of the draw.

    Returns:
        Sorted choices of sorted programs.
    """
    kinds = sorted(set(programs))
    sizes = range(FEWEST_PROGRAMS, len(kinds) + 1)
    counts = np.array([math.comb(len(kinds), size) for size in sizes], np.float64)
    if counts.sum() <= most:
        return sorted(choice for size in sizes for choice in combinations(kinds, size))
    generator = np.random.default_rng(seed)
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < most:
        size = int(generator.choice(sizes, p=counts / counts.sum()))
        places = np.sort(generator.choice(len(kinds), size=size, replace=False))
        drawn.add(tuple(kinds[place] for place in places))
    return sorted(drawn)


def cerberus_programs(programs: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """The 15 choices among the four groups by name, or none where a group is missing."""
    kinds = sorted(set(programs))
    groups = {name: [kind for kind in kinds if kind in group] for name, group in CERBERUS.items()}
    if not all(groups.values()):
        return {}
    return {
        "+".join(choice): tuple(sorted(kind for name in choice for kind in groups[name]))
        for size in range(1, len(groups) + 1)
        for choice in combinations(groups, size)
    }


def _mixes(song: Song, split: str, seed: int, submixes: int, cerberus: bool) -> Iterator[Recording]:
    kinds = [stem.kind for stem in song.stems]
    groups = cerberus_programs(kinds) if cerberus else {}
    if split == "test" or not submixes:
        yield _whole(song, split)
        if split == "test":
            groups = dict(list(groups.items())[-1:])
    else:
        number = int("".join(filter(str.isdigit, song.name)) or 0)
        for choice in submix_programs(kinds, submixes, [seed, number]):
            yield _mix(song, split, "-".join(map(str, choice)), choice)
    for name, choice in groups.items():
        yield _mix(song, split, name, choice)


def _whole(song: Song, split: str) -> Recording:
    mix = _mix(song, split, "", tuple(stem.kind for stem in song.stems))
    return replace(mix, audio=(song.mix,), level=None) if song.whole and song.mix.is_file() else mix


def _mix(song: Song, split: str, name: str, kinds: tuple[int, ...]) -> Recording:
    stems = tuple(stem for stem in song.stems if stem.kind in kinds)
    return Recording(
        id=f"{song.name}/{name}".rstrip("/"),
        dataset="slakh",
        split=split,
        audio=tuple(stem.audio for stem in stems),
        labels=tuple(stem.midi for stem in stems),
        load_notes=partial(read_stems, stems),
        options=" ".join(f"{stem.name}:{stem.kind}" for stem in stems),
        level=song.level,
    )


def _song(track: Path, rejections: Rejections) -> Song | None:
    """What of a song can be used; what cannot is counted, except stems that were never rendered."""
    if not track.is_dir():
        rejections.add("slakh", track.name, "missing song", str(track))
        return None
    try:
        rows = _read_yaml(track / "metadata.yaml")["stems"].items()
        rendered = [(str(name), row) for name, row in rows if row.get("audio_rendered", True)]
        stems = [
            Stem(
                name,
                track / "stems" / f"{name}.flac",
                track / "MIDI" / f"{name}.mid",
                0 if row["is_drum"] else _program(row["program_num"]),
                bool(row["is_drum"]),
            )
            for name, row in rendered
        ]
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        rejections.add("slakh", track.name, "corrupt metadata", repr(error))
        return None
    usable = []
    for stem in stems:
        missing = "audio" if not stem.audio.is_file() else "notes" if not stem.midi.is_file() else ""
        if missing:
            rejections.add("slakh", f"{track.name}/{stem.name}", f"missing {missing} of a stem")
        else:
            usable.append(stem)
    if not usable:
        rejections.add("slakh", track.name, "no stems")
        return None
    mix, audio = track / "mix.flac", tuple(stem.audio for stem in stems)
    complete = mix.is_file() and all(path.is_file() for path in audio)
    level = StemLevel(audio, mix) if complete else None
    return Song(track.name, tuple(usable), len(usable) == len(stems), mix, level)


def _program(number: Any) -> int:
    if not 0 <= int(number) <= 127:
        raise ValueError(f"program {number}")
    return int(number)


def _read_stem(stem: Stem) -> Notes:
    notes = to_notes(read_score(stem.midi))
    program = 0 if stem.is_drum else stem.program
    return replace(
        notes,
        program=np.full(len(notes), program, np.int64),
        is_drum=np.full(len(notes), stem.is_drum, np.bool_),
        part=np.zeros(len(notes), np.int64),
        parts=(Part(stem.name, program, stem.is_drum, Controls()),),
    )


def _read_yaml(path: Path) -> Any:
    try:
        import yaml  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UserError(
            "the package 'pyyaml' is missing; Slakh needs it: pip install 'ondes[train]'"
        ) from None
    try:
        return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
