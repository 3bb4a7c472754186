"""One task done with every file of a folder: which files, what is finished already, and the work on one of them.

Each file gets a folder of results, which appears when they are all there and holds `.batch.json`: the options, and the
hashes of the file, of the models and of the results. A file whose `.batch.json` says the same as is asked for now is
finished; so a batch that was interrupted goes on where it stopped. Which engine works, and with how many workers,
changes no byte: every worker does one file at a time, with the same number of threads.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ondes.errors import UserError, nearest
from ondes.files import file_sha256, written_whole
from ondes.sidecar import portable_name
from ondes.tasks.bench import Cancelled, Workbench
from ondes.tasks.kinds import TASKS
from ondes.tasks.shelf import ModelShelf
from ondes.tasks.task import InputKind, Source, Task, checked

log = logging.getLogger(__name__)

RECORD = ".batch.json"
FORMAT = 1
"""Version of the layout, under the key `ondes_batch`."""
ERRORS = "errors.jsonl"

INPUTS: dict[str, InputKind] = {"audio": "audio", "score": "score"}
"""Fields of tasks that a batch fills with its files; of a task with both it is the first: a score beside a sound is no
file to work through."""
OTHER_INPUTS = ("given", "first", "second")
MODEL_FIELDS = ("model", "vocoder")

SHORT_NAMES = {"synth": "synthesize", "extend": "compose", "infill": "compose"}
"""Commands whose task has another name; those of the composer are its verbs."""

Status = Literal["made", "kept", "failed"]


@dataclass(frozen=True)
class Item:
    """A file to work on: its name within the folder, where it is, and the folder that its results get."""

    name: str
    path: Path
    target: Path

    @property
    def staging(self) -> Path:
        """The folder that becomes `target` when all results are in it."""
        return self.target.with_name(f".ondes-{self.target.name}")

    def discard(self) -> None:
        """Take away what a worker left that was killed."""
        shutil.rmtree(self.staging, ignore_errors=True)


@dataclass(frozen=True)
class Done:
    """What became of a file: results made now or found, or in words why there are none."""

    name: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """What is done with every file; plain data, which goes to other processes.

    Attributes:
        kind: Of the task.
        options: Of the task, without its input.
        models: Fingerprint of what each option names that means a model.
        threads: Of torch, in each worker.
    """

    kind: str
    options: dict[str, Any]
    models: dict[str, str]
    threads: int = 1

    @property
    def input_field(self) -> str:
        """The option that names the file."""
        return input_field(TASKS[self.kind])

    @property
    def input_kind(self) -> InputKind:
        """Whether the file is a score or audio."""
        return INPUTS[self.input_field]

    def task(self, name: str) -> Task:
        """The task for one file."""
        return checked(TASKS[self.kind], self.options | {self.input_field: name})

    def asked(self) -> dict[str, Any]:
        """All that decides what is made of a file, defaults included."""
        chosen = self.task("any").model_dump(mode="json", exclude={self.input_field, *MODEL_FIELDS})
        return {"options": chosen, "models": self.models, "threads": self.threads}


def make_plan(kind: str, words: Mapping[str, Sequence[str]], *, threads: int = 1) -> Plan:
    """What to do, of what a person typed.

    Args:
        kind: Of the task, or the command that does it for one file.
        words: Each option's value, or several, as they were typed.
        threads: Of torch, in each worker.

    Raises:
        UserError: If there is no such task, it does not take one file, or an option is wrong.
    """
    named = SHORT_NAMES.get(kind, kind)
    if named not in TASKS or input_field(TASKS[named], missing="") == "":
        able = [
            name
            for name in (*TASKS, *SHORT_NAMES)
            if input_field(TASKS[SHORT_NAMES.get(name, name)], missing="")
        ]
        raise UserError(f"a batch of {kind!r} is impossible: {nearest(kind, able)}")
    options = {name: _value(TASKS[named], name, values) for name, values in words.items()}
    for name in (*INPUTS, *OTHER_INPUTS):
        if name in options:
            raise UserError(f"{name} is one file, but a batch works on a folder of them; leave {name} out")
    if named == "compose" and kind != "compose":
        options.setdefault("verb", kind)
    if named == "compose" and options.get("verb", "generate") == "generate":
        raise UserError(
            "new pieces need no files; choose verb=extend, infill or vary, or 'ondes compose generate'"
        )
    for name in MODEL_FIELDS:
        if name in options and Path(options[name]).exists() and not _bundled(options[name]):
            options[name] = str(Path(options[name]).resolve())  # workers may have other working folders
    plan = Plan(named, options, {}, threads)
    task = plan.task("any")
    models = {name: fingerprint(chosen) for name in MODEL_FIELDS if (chosen := getattr(task, name, None))}
    return Plan(named, options, models, threads)


def input_field(kind: type[Task], *, missing: str | None = None) -> str:
    """The option of a task that names its file.

    Raises:
        ValueError: If it has none, and nothing was said for this case.
    """
    for name in INPUTS:
        if name in kind.model_fields:
            return name
    if missing is None:
        raise ValueError(f"{kind.__name__} takes no file")
    return missing


def _value(kind: type[Task], name: str, values: Sequence[str]) -> Any:
    """A word, or a list of them where there are several or the option is one."""
    option = kind.model_fields.get(name)
    lists = option is not None and _is_list(option.annotation)
    return list(values) if lists or len(values) != 1 else values[0]


def _is_list(annotation: Any) -> bool:
    """Whether an option is always several values."""
    return getattr(annotation, "__origin__", None) is tuple or (
        bool(get_args(annotation))
        and all(_is_list(part) for part in get_args(annotation) if part is not type(None))
    )


def fingerprint(model: str) -> str:
    """What tells a model from others of its name: a hash of its files, or its name where it lies elsewhere."""
    place = _bundled(model) or Path(model)
    if place.is_file():
        return file_sha256(place)
    if not place.is_dir():
        return model
    files = sorted(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    lines = "".join(f"{file_sha256(file)}  {file.relative_to(place).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _bundled(model: str) -> Path | None:
    """The folder of a model of the package."""
    from ondes.pipelines.bundled import bundled_models  # noqa: PLC0415

    return next((bundled.path for bundled in bundled_models() if bundled.name == model), None)


def find_items(folder: Path, out: Path, kind: InputKind) -> list[Item]:
    """The files of a folder that a task can take, by name, each with a folder for its results.

    Results of `a/song.mid` go to `a/song`; where another file or folder has that name too, it keeps its suffix.

    Raises:
        UserError: If the folder is none, or there are no such files.
    """
    from ondes.audio import FORMATS  # noqa: PLC0415
    from ondes.musicxml import MUSICXML_SUFFIXES  # noqa: PLC0415
    from ondes.tasks.composing import MIDI_SUFFIXES  # noqa: PLC0415

    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one with files to work on")
    if folder.resolve() == out.resolve():
        raise UserError(f"{out} holds the files to work on; give results another folder")
    suffixes = {*MIDI_SUFFIXES, *MUSICXML_SUFFIXES} if kind == "score" else set(FORMATS)
    folder, out = folder.resolve(), out.resolve()
    inner = [path.relative_to(folder) for path in folder.rglob("*") if out not in path.parents]
    names = sorted(
        (path for path in inner if path.suffix.lower() in suffixes and not _is_hidden(path)),
        key=lambda path: path.as_posix(),
    )
    names = [name for name in names if (folder / name).is_file()]
    if not names:
        raise UserError(
            f"{folder} holds no {kind} files ({', '.join(sorted(suffixes))}); give another folder"
        )
    alike = Counter(name.with_suffix("") for name in names)
    alike.update({parent for name in names for parent in name.parents})
    return [
        Item(
            name.as_posix(),
            folder / name,
            out / (name if alike[name.with_suffix("")] > 1 else name.with_suffix("")),
        )
        for name in names
    ]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@dataclass
class Worker:
    """Works on one file after another with models that it keeps.

    Attributes:
        plan: What to do.
        stopped: Asked whether to stop, at every evaluation of a network.
    """

    plan: Plan
    stopped: Callable[[], bool] = threading.Event().is_set
    shelf: ModelShelf = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = ModelShelf(threads=self.plan.threads)

    def work(self, item: Item) -> Done:
        """Make the results of a file, unless they are there.

        Whatever is wrong with it, this is what the answer says: the others go on.

        Raises:
            Cancelled: If the batch was stopped meanwhile; nothing half-made is left.
        """
        try:
            wanted = self.plan.asked() | {"input": {"name": item.path.name, "sha256": file_sha256(item.path)}}
            if is_finished(item.target, wanted):
                return Done(item.name, "kept")
            self._make(item, wanted)
        except UserError as error:
            return Done(item.name, "failed", " ".join(str(error).split()))
        except Cancelled:
            raise
        except Exception as error:
            log.debug("%s", item.name, exc_info=True)
            return Done(item.name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())}")
        return Done(item.name, "made")

    def _make(self, item: Item, wanted: dict[str, Any]) -> None:
        """Results and their record, all or nothing; older ones go."""
        clear(item.target)
        item.discard()
        bench = Workbench(self.shelf, cancelled=self.stopped, home=item.target)
        source = Source(item.path, portable_name(item.path, item.target))
        item.staging.mkdir(parents=True)
        try:
            task = self.plan.task(item.name)
            outcome = task.run({self.plan.input_field: source}, item.staging, bench, stem=item.path.stem)
            made = {file.name: file_sha256(item.staging / file.name) for file in outcome.files}
            record = {"ondes_batch": FORMAT} | wanted | {"files": made, "remarks": outcome.remarks}
            text = json.dumps(record, indent=2, ensure_ascii=False)
            (item.staging / RECORD).write_text(f"{text}\n", encoding="utf-8")
            item.staging.rename(item.target)
        finally:
            item.discard()


def read_record(target: Path) -> dict[str, Any] | None:
    """The record in a folder of results, if there is one that can be read."""
    try:
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(record, dict) and record.get("ondes_batch") == FORMAT
    return record if is_ours and isinstance(record.get("files"), dict) else None


def is_finished(target: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether a folder holds the results that are wanted, as they were written."""
    record = read_record(target)
    if record is None or any(record.get(name) != value for name, value in wanted.items()):
        return False
    return all(
        (target / name).is_file() and file_sha256(target / name) == sum_
        for name, sum_ in record["files"].items()
    )


def clear(target: Path) -> None:
    """Take away results of an earlier batch, and their folder.

    Raises:
        UserError: If anything else is there.
    """
    record = read_record(target)
    for name in [*record["files"], RECORD] if record else []:
        if Path(name).name == name:
            (target / name).unlink(missing_ok=True)
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    if target.exists():
        raise UserError(
            f"{target} already exists and is no result of a batch; take it away, or choose another -o"
        )


def write_errors(out: Path, failures: Sequence[Done]) -> Path | None:
    """List files without results, one JSON object a line; without any the list of an earlier run goes.

    Returns:
        Where the list is.
    """
    place = out / ERRORS
    if not failures:
        place.unlink(missing_ok=True)
        return None
    lines = [
        {"input": done.name, "error": done.reason} for done in sorted(failures, key=lambda done: done.name)
    ]
    out.mkdir(parents=True, exist_ok=True)
    with written_whole(place) as partial:
        partial.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return place
