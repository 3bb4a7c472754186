"""Weights of Diffusion-Music-Composer become a model of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ondes.checkpoints.dmc_keras import read_dmc_keras
from ondes.errors import UserError
from ondes.files import folder_written_whole
from ondes.pipelines.dmc import DmcPipeline, make_dmc_scheduler
from ondes.representations.triples import PUBLISHED_LONGEST_QUARTERS, TripleStatistics

LAYOUT = "keras"
SOURCE = "source.json"
"""File in an imported model's folder that says where it came from."""

Range = tuple[float, float]

LIKELY = (
    f"likely are --pitch-range 8.176 12543.854 --duration-range 0 {PUBLISHED_LONGEST_QUARTERS:.4f} "
    f"--delta-range 0 {PUBLISHED_LONGEST_QUARTERS:.4f}"
)


@dataclass(frozen=True)
class TypedStatistics:
    """Statistics as they are typed: a file, or the range of each feature.

    Args:
        file: JSON with the fields of `TripleStatistics`.
        pitch: Least and largest pitch in the training data, in the encoding: hertz, as published.
        duration: The same of durations, in quarter notes.
        delta: The same of deltas.
        pitch_encoding: Of the weights, where there is no file.
    """

    file: Path | None = None
    pitch: Range | None = None
    duration: Range | None = None
    delta: Range | None = None
    pitch_encoding: str = "hz"

    def resolved(self, source: str) -> TripleStatistics:
        """The statistics; single ranges win over the file.

        Args:
            source: What they are of, for the refusal.

        Raises:
            UserError: If one is missing, or the file is damaged.
        """
        config: dict[str, Any] = {"pitch_encoding": self.pitch_encoding, "scaling": "minmax"}
        config |= {} if self.file is None else read_statistics(self.file)
        ranges = [self.pitch, self.duration, self.delta]
        for number, name in enumerate(("low", "high")):
            known = config.get(name, [None] * 3)
            config[name] = [
                value if typed is None else typed[number] for value, typed in zip(known, ranges, strict=True)
            ]
        if None in config["low"]:
            raise UserError(
                f"{source} does not say how its notes are scaled, and its statistics were never published: give "
                f"--statistics FILE.json, or all three ranges; {LIKELY}"
            )
        return TripleStatistics.from_config(config)


def read_statistics(file: Path) -> dict[str, Any]:
    """Fields of statistics in a JSON file.

    Raises:
        UserError: If it cannot be read, or is no such file.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise UserError(f"{file} cannot be read as statistics ({words}); give a file of JSON") from None
    if not isinstance(config, dict):
        raise UserError(f"{file} holds a {type(config).__name__}; give an object with low and high")
    config = {"pitch_encoding": "hz", "scaling": "minmax", **config}
    return TripleStatistics.from_config(config).to_config()


def import_dmc(source: str, folder: Path, statistics: TypedStatistics) -> None:
    """Write published weights as a model that composes, with `source.json` that says where it came from.

    The model keeps what its weights were trained with: causal convolutions, and the scrambled time code.

    Args:
        source: A file of weights of Keras 2.
        folder: Where to; it appears when everything is written.
        statistics: What the file does not hold.

    Raises:
        UserError: If the file cannot be read, a statistic is missing, or the folder exists.
    """
    parts = read_dmc_keras(Path(source), statistics.resolved(source))
    with folder_written_whole(folder) as beside:
        DmcPipeline(parts.network, make_dmc_scheduler("ddpm")).save_pretrained(beside)
        origin = {"layout": LAYOUT, "name": Path(source).name, "sha256": parts.hashes}
        (beside / SOURCE).write_text(json.dumps(origin, indent=2) + "\n")
