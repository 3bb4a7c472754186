"""The corpus built from clones of the public repositories it comes from.

Read are OpenScore's Lieder (`scores/COMPOSER/SET/SONG/lc*.mxl`), StringQuartets (`scores/COMPOSER/QUARTET/sq*.mxl`)
and Hauptstimme (`data/COMPOSER/WORK/MOVEMENT/*.mxl`), and Freedoom (`musics/*.mid`). MusicXML becomes MIDI by
verovio, so times are exact and velocities flat.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from unicodedata import normalize

from ondes.datasets.named import MANIFEST, MIDI_SUFFIXES
from ondes.errors import UserError
from ondes.files import written_whole
from ondes.musicxml import MUSICXML_SUFFIXES, check_verovio, to_midi
from ondes.score import Notes, read_score, to_notes

log = logging.getLogger(__name__)

FAILED = "failed.jsonl"

Progress = Callable[[int, int], None]
"""Takes the scores done, and how many there are."""


@dataclass(frozen=True)
class Collection:
    """Where the scores of a repository lie, and what the manifest says of them.

    Args:
        name: Collection in the manifest and folder in the corpus.
        source: What the manifest calls the repository.
        licence: Of the scores.
        folder: Folder within the clone.
        prefix: How file names begin.
        suffixes: Files to take, the first kind that a score has.
    """

    name: str
    source: str
    licence: str
    folder: str
    prefix: str
    suffixes: tuple[str, ...] = MUSICXML_SUFFIXES


COLLECTIONS = (
    Collection("lieder", "OpenScore Lieder", "CC0-1.0", "scores", "lc"),
    Collection("quartets", "OpenScore String Quartets", "CC0-1.0", "scores", "sq"),
    Collection(
        "orchestra", "OpenScore Orchestra (Hauptstimme)", "CC0-1.0 (scores); repository MIT", "data", ""
    ),
    Collection("freedoom", "Freedoom musics", "BSD-3-Clause", "musics", "", MIDI_SUFFIXES),
)


@dataclass(frozen=True)
class Found:
    """A score in a clone; `folders` are the names between the collection's folder and the file."""

    collection: Collection
    path: Path
    folders: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """What the manifest can say before the score is converted.

        The work, which decides the split, is the score itself; movements of one orchestral work stay together.
        """
        stem, name = self.path.stem, self.collection.name
        if name == "freedoom":
            identity, composer, title, work = (
                f"freedoom_{stem}",
                "Freedoom contributors",
                stem,
                f"freedoom|{stem}",
            )
        else:
            words = [normalize("NFC", folder).replace("_", " ").strip() for folder in self.folders]
            composer = words[0] if words else "Unknown"
            title = " / ".join(word for word in words[1:] if word) or stem
            identity = stem
            work = f"{composer}|{words[1] if name == 'orchestra' and len(words) > 1 else stem}"
        return {
            "id": identity,
            "collection": name,
            "source": self.collection.source,
            "licence": self.collection.licence,
            "composer": composer,
            "title": title,
            "path": f"{name}/{stem}.mid",
            "work": work,
            "split": held_out().get(work, "train"),
        }


@dataclass
class CorpusReport:
    """What was built: scores, their seconds, and which scores could not be converted and why."""

    scores: int = 0
    seconds: float = 0.0
    failed: list[dict[str, str]] = field(default_factory=list)


@cache
def held_out() -> dict[str, str]:
    """Split of each work that the bundled models were not trained on.

    The corpus they learnt from was split by work once, and these are its validation and test works; whoever
    builds the corpus anew gets the same ones, and all other works, new ones included, are training material.
    """
    text = resources.files("ondes.datasets").joinpath("held_out.json").read_text(encoding="utf-8")
    return {work: split for split, works in json.loads(text).items() for work in works}


def build_corpus(clones: Sequence[Path], out: Path, *, progress: Progress | None = None) -> CorpusReport:
    """Convert all scores of some clones into a folder that `add_dataset` takes.

    What is there already is not converted again, so a stopped run goes on; the manifest is written last.

    Args:
        clones: Folders of repositories, or their parts that hold scores.
        out: Folder, made if missing.
        progress: Told after every score.

    Raises:
        UserError: If a clone holds no known scores, verovio is missing, or the folder cannot be written.
    """
    found = [score for clone in clones for score in find_scores(clone)]
    if any(score.path.suffix.lower() in MUSICXML_SUFFIXES for score in found):
        check_verovio("a score of these clones")
    _check_output(out)
    report, rows, seen = CorpusReport(), [], set()
    for number, score in enumerate(found, 1):
        row = score.row()
        if row["id"] not in seen:
            seen.add(row["id"])
            try:
                notes = _converted(score.path, out / row["path"])
                rows.append({**row, **_contents(notes)})
                report.seconds += notes.duration_s
            except UserError as error:
                log.info("%s: %s", score.path, error)
                report.failed.append({"id": row["id"], "reason": str(error)})
        if progress:
            progress(number, len(found))
    report.scores = len(rows)
    for name, lines in ((MANIFEST, rows), (FAILED, report.failed)):
        with written_whole(out / name) as partial:
            partial.write_text(
                "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8"
            )
    return report


def find_scores(clone: Path) -> list[Found]:
    """The scores of a clone, in order of path; of several formats of one score the first that can be read.

    Raises:
        UserError: If there are none.
    """
    if not clone.is_dir():
        raise UserError(f"{clone} is no folder; give clones of OpenScore's repositories or of Freedoom")
    found = [score for collection in COLLECTIONS for score in _of(collection, clone)]
    if not found:
        raise UserError(
            f"{clone} holds no scores of a known kind; give clones of OpenScore/Lieder, OpenScore/StringQuartets, "
            "OpenScore/Hauptstimme or Freedoom, with their scores/, data/ or musics/ folder"
        )
    return found


def _of(collection: Collection, clone: Path) -> Iterator[Found]:
    top = clone / collection.folder
    taken: set[Path] = set()
    for suffix in collection.suffixes:
        for path in sorted(top.rglob(f"{collection.prefix}*{suffix}")):
            if path.is_file() and path.with_suffix("") not in taken and not path.name.startswith("."):
                taken.add(path.with_suffix(""))
                yield Found(collection, path, path.relative_to(top).parts[:-1])


def _converted(source: Path, target: Path) -> Notes:
    """Notes of the converted file, made unless it is there.

    Raises:
        UserError: If it cannot be converted, or has no notes.
    """
    if not target.is_file():
        is_midi = source.suffix.lower() in MIDI_SUFFIXES
        data = source.read_bytes()
        if not is_midi:
            data, _ = to_midi(data, str(source))
        if not len(to_notes(read_score(data))):
            raise UserError(f"{source} has no notes")
        target.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(target) as partial:
            partial.write_bytes(data)
    return to_notes(read_score(target))


def _contents(notes: Notes) -> dict[str, Any]:
    """Parts, notes and seconds of a manifest's row."""
    parts = [
        {
            "name": part.name,
            "program": part.program,
            "is_drum": part.is_drum,
            "notes": int((notes.part == index).sum()),
        }
        for index, part in enumerate(notes.parts)
    ]
    return {"parts": parts, "notes": len(notes), "seconds": round(notes.duration_s, 2)}


def _check_output(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with written_whole(out / FAILED) as partial:
            partial.write_text("")
    except OSError as error:
        raise UserError(
            f"the folder {out} cannot be written ({error.strerror}); choose another one"
        ) from None
