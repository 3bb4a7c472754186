"""The JSON file beside made or edited audio that says how it was made, so that it can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondes.errors import UserError, nearest
from ondes.sidecar import Output, Source, checked_fields, is_marked, read_marked, write_marked

FORMAT = 1
MARK = "ondes_audio"
"""The key under which the version of the layout stands."""

VERBS = ("generate", "vary", "interpolate", "inpaint", "outpaint")
"""Of the pipeline."""


@dataclass(frozen=True)
class AudioRecord:
    """What it takes to make a piece of audio again.

    Attributes:
        verb: One of `VERBS`.
        inputs: The files that were edited, none for new music.
        choices: Keyword arguments of the verb.
        threads: CPU threads of torch.
        model: The model.
        vocoder: Another than the model's own, named as a `Source` is.
        encoding: Of the file, as `AudioWriter` takes it.
        output: What was written.
        versions: Of the packages that take part.
        score: The score of which regions are played anew.
    """

    verb: str
    inputs: list[Source]
    choices: dict[str, Any]
    threads: int
    model: Source
    vocoder: str | None
    encoding: str | None
    output: Output
    versions: dict[str, str]
    score: Source | None = None

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        write_marked(self, path, mark=MARK, version=FORMAT)

    @classmethod
    def read(cls, path: Path) -> AudioRecord:
        """Read what `write` wrote.

        Raises:
            UserError: If the file has another version, or missing, unknown or ill-typed fields.
        """
        data = read_marked(path, mark=MARK, version=FORMAT, what="audio record")
        try:
            for name, kind in {"model": Source, "output": Output}.items():
                data[name] = checked_fields(kind, data[name])
            data["inputs"] = [checked_fields(Source, one) for one in data["inputs"]]
            if data.get("score") is not None:
                data["score"] = checked_fields(Source, data["score"])
            made = checked_fields(cls, data)
            if made.verb not in VERBS:
                raise ValueError(f"the unknown verb {made.verb!r}, {nearest(made.verb, VERBS)}")
        except KeyError as error:
            raise UserError(
                f"{path} is a damaged audio record: it has no field {error}; make it again"
            ) from error
        except (TypeError, ValueError) as error:
            raise UserError(f"{path} is a damaged audio record: {error}; make it again") from error
        return made


def is_audio_record(path: Path) -> bool:
    """Whether a file is the record of audio."""
    return is_marked(path, MARK)
