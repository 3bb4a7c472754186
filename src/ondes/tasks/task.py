"""What all tasks have in common: what they are given, what they give, and how wrong options are refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ondes.errors import UserError, nearest

if TYPE_CHECKING:
    from ondes.tasks.bench import Workbench

InputKind = Literal["score", "audio"]
MadeKind = Literal["audio", "score", "record", "picture", "page"]

RECORD = "record.json"
"""Of the file beside a result from which `ondes replay` makes it again."""

ReferenceField = Annotated[
    str, Field(min_length=1, max_length=4096, description="Which file; whoever runs the task knows them.")
]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1, description="Another seed, another result.")]
Steps = Annotated[
    int | None, Field(ge=1, le=1000, description="Quality dial: more is slower; the model's if missing.")
]
Guidance = Annotated[
    float | None,
    Field(
        ge=0,
        le=20,
        allow_inf_nan=False,
        description="How strictly what is asked is obeyed; 1 is plain; the model's if missing.",
    ),
]
ModelName = Annotated[str, Field(min_length=1, max_length=500, description="Name of the model.")]
VocoderName = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=500,
        description="What makes sound of spectrograms: a name, or griffin-lim; the model's if missing.",
    ),
]
AudioFormat = Literal["wav", "flac", "ogg", "mp3"]


@dataclass(frozen=True)
class Reference:
    """An input of a task: what stands in the field, and whether a score or audio is meant."""

    reference: str
    kind: InputKind


@dataclass(frozen=True)
class Source:
    """A file that is an input.

    Attributes:
        path: Where it is.
        name: How records call it: a path relative to the record, or "bundled:NAME" for a score of the package.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Made:
    """A file that a task wrote: its plain name in the task's folder, and what it is."""

    name: str
    kind: MadeKind


@dataclass(frozen=True)
class Outcome:
    """What a task made.

    Attributes:
        files: The first is the main result; the records come last.
        remarks: Sentences about what is odd: repairs of the score, parts without notes, sounds that clip.
    """

    files: list[Made]
    remarks: list[str] = field(default_factory=list)


class Task(BaseModel, ABC):
    """One job. It is data: it can be sent as JSON, and runs the same wherever it runs.

    Every option has the name and the bounds that it has on the command line.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    seed: Seed = 0

    def references(self) -> dict[str, Reference]:
        """The inputs that are given, by the names of their fields; `run` takes a `Source` for each."""
        return {}

    def models(self) -> tuple[str, ...]:
        """All models and vocoders that the task names: whoever runs it for others checks them."""
        return ()

    def asked_s(self) -> float:
        """Seconds of audio that the options ask for, beside what comes of the inputs."""
        return 0.0

    @abstractmethod
    def run(
        self, sources: Mapping[str, Source], folder: Path, bench: Workbench, *, stem: str = ""
    ) -> Outcome:
        """Do the work, and write the result.

        Args:
            sources: A file for each of `references`, by the name of the field.
            folder: Takes the files; it exists and is empty.
            bench: Models, and whom to tell and to ask meanwhile.
            stem: Name of the main result without suffix, and of its record; usual names where empty.

        Raises:
            UserError: If an input or an option cannot be used.
            Cancelled: If the bench says so, at the latest before the next evaluation of a network.
        """


def checked(kind: type[Task], options: Mapping[str, Any]) -> Task:
    """A task of its options.

    Raises:
        UserError: If an option is missing, unknown or out of bounds: one sentence.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        raise UserError(sentence(error.errors(), kind)) from None


def sentence(errors: Sequence[Any], kind: type[Task] | None = None) -> str:
    """What is wrong with options, by the first of pydantic's errors: the value, what is allowed, what to do.

    Args:
        errors: As `ValidationError.errors` lists them; those of FastAPI, whose places begin with "body", too.
        kind: Of the task, whose options are named where one is unknown.
    """
    error = errors[0]
    place = [str(part) for part in error["loc"] if part != "body" and str(part) not in _INNER]
    name, given, limits = (place[0] if place else "the task"), error.get("input"), error.get("ctx", {})
    known = [] if kind is None else [option for option in kind.model_fields if option != "kind"]
    what = error["type"]
    if what == "missing":
        return f"{name} is missing; give one"
    if what == "extra_forbidden":
        hint = f": {nearest(name, known)}" if known else "; leave it out"
        return f"there is no option {name!r}{hint}"
    if what == "value_error":
        return str(limits.get("error", error["msg"]))
    if what == "json_invalid":
        return "the task is no JSON; send an object of options"
    shown = repr(given) if len(repr(given)) <= _LONGEST else f"{repr(given)[:_LONGEST]}..."
    return f"{name} is {shown}: {_allowed(what, limits)}; give another, or leave {name} out"


_INNER = {"str", "int", "float", "bool", "constrained-str", "constrained-int"}
"""Of places in unions, which say nothing to people."""
_LONGEST = 60
"""Characters of a value that a message shows."""

_WORDS = {
    "greater_than_equal": "{ge} or more is allowed",
    "less_than_equal": "{le} or less is allowed",
    "greater_than": "more than {gt} is allowed",
    "less_than": "less than {lt} is allowed",
    "literal_error": "{expected} is allowed",
    "string_too_short": "at least {min_length} letters are allowed",
    "string_too_long": "at most {max_length} letters are allowed",
    "too_short": "at least {min_length} are allowed",
    "too_long": "at most {max_length} are allowed",
    "finite_number": "finite numbers are allowed",
    "tuple_type": "a list is allowed",
    "int_from_float": "whole numbers are allowed",
}
_KINDS = {"int": "whole numbers", "float": "numbers", "bool": "true and false", "string": "text"}


def _allowed(what: str, limits: Mapping[str, Any]) -> str:
    """What would have been allowed, in words."""
    if what in _WORDS:
        return _WORDS[what].format(**limits)
    for kind, words in _KINDS.items():
        if what.startswith(f"{kind}_"):
            return f"{words} are allowed"
    return f"it is no value of this kind ({what.replace('_', ' ')})"
