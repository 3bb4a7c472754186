"""Any folder of audio files with MIDI files of the same names, and folders that `ondes data render` made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ondes.audio import FORMATS
from ondes.datasets.named import MANIFEST, MIDI_SUFFIXES, SPLITS, inside, read_manifest, split_of
from ondes.datasets.recordings import SPLIT_NAMES, Recording, Rejections, checked_split, find_root
from ondes.errors import UserError
from ondes.notes import Notes
from ondes.score import read_score, to_notes


def read_folder(folder: str | os.PathLike[str], split: str) -> tuple[list[Recording], Rejections]:
    """Pairs such as `a/song.wav` and `a/song.mid`, at any depth.

    Where the folder has folders named after splits, these are the splits, and what lies beside them is counted as left
    out of the training split; otherwise works are split by a hash of their names: 5 % validation, 10 % test. Of several
    audio or MIDI files of one name the suffix that `FORMATS` or `MIDI_SUFFIXES` has first is taken, the others are
    counted.

    Args:
        folder: Where the pairs are.
        split: See `SPLIT_NAMES`.

    Raises:
        UserError: If there is no such folder, it holds no audio, or the split is unknown.
    """
    split = checked_split(split)
    root = Path(folder)
    audio, midi = _by_stem(root, tuple(FORMATS)), _by_stem(root, MIDI_SUFFIXES)
    if not audio:  # which is said in the words of all readers
        find_root(folder, "folder of audio and MIDI files", [f"**/*{suffix}" for suffix in FORMATS])
    sorted_out = any((root / name).is_dir() for name in SPLIT_NAMES)
    rejections = Rejections()
    recordings = []
    for stem in sorted(audio | midi):
        name = stem.relative_to(root).as_posix()
        own = SPLIT_NAMES.get(name.split("/")[0]) if sorted_out else split_of(stem.name)
        if own is None and split == "train":  # counted once, though every split leaves it out
            rejections.add("folder", name, "in no folder of a split")
        if own != split:
            continue
        if stem not in audio or stem not in midi:
            reason = "missing notes" if stem in audio else "missing audio"
            rejections.add("folder", name, reason)
            continue
        for other in (*audio[stem][1:], *midi[stem][1:]):
            rejections.add("folder", other.relative_to(root).as_posix(), "another file of the same name")
        load = partial(read_midi, midi[stem][0])
        recordings.append(Recording(name, "folder", split, audio[stem][:1], midi[stem][:1], load))
    return recordings, rejections


def _by_stem(root: Path, suffixes: Sequence[str]) -> dict[Path, tuple[Path, ...]]:
    """Files with one of the suffixes, in any case, by their path without it; earlier suffixes first."""
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    found: dict[Path, tuple[Path, ...]] = {}
    for path in sorted(files, key=lambda path: suffixes.index(path.suffix.lower())):
        stem = path.with_suffix("")
        found[stem] = (*found.get(stem, ()), path)
    return found


def read_rendered(folder: str | os.PathLike[str], split: str) -> tuple[list[Recording], Rejections]:
    """The pairs of a split from a folder that `ondes data render` made.

    Args:
        folder: Where `manifest.jsonl` is.
        split: See `SPLIT_NAMES`.

    Raises:
        UserError: If the folder has no manifest, or the manifest is damaged.
    """
    split = checked_split(split)
    root = find_root(folder, "folder of rendered pairs", [MANIFEST])
    rejections = Rejections()
    recordings = []
    for number, row in enumerate(read_manifest(root / MANIFEST), 1):
        try:
            if row["split"] not in SPLITS:
                raise ValueError(f"split {row['split']!r}")
            audio, midi = inside(root, row["audio"]), inside(root, row["midi"])
            name, seconds = str(row["id"]), float(row["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{root / MANIFEST}: row {number} is no rendered pair ({error!r}); make them with 'ondes data render'"
            ) from None
        if row["split"] != split:
            continue
        missing = "audio" if not audio.is_file() else "notes" if not midi.is_file() else ""
        if missing:
            rejections.add("rendered", name, f"missing {missing}")
            continue
        load = partial(read_midi, midi)
        recordings.append(Recording(name, "rendered", split, (audio,), (midi,), load, duration_s=seconds))
    return recordings, rejections


def read_midi(path: Path) -> Notes:
    """The notes of a MIDI file, held by its pedals."""
    return to_notes(read_score(path))
