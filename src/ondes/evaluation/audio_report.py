"""The report on a model of audio: Markdown for people, JSON for programs, pictures and sounds to compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ondes.evaluation.audio_rows import FRECHET_DRAWS, KERNEL_SCALE, AudioTable, gate_rows
from ondes.evaluation.audio_run import FLOOR, REAL, AudioFindings, Edits
from ondes.evaluation.bootstrap import RESAMPLES
from ondes.evaluation.gates import Row, finite_or_none, markdown_table, shown_figure
from ondes.evaluation.synth_report import check_folder
from ondes.files import written_whole

NAME = "audio_report"

_ABOUT = (
    f"Brackets hold 95 % bootstrap intervals ({RESAMPLES} draws of whole sources, {FRECHET_DRAWS} for seams and "
    "Fréchet distances). Figures with a gate are rounded away from it, never towards it. "
    f"{FLOOR!r} are clips of the same kind from other sources than {REAL!r}: nobody needs to come nearer. "
    "Distances grow as clips get fewer, so only those of one report can be compared; and those of one embedding. "
    f"Kernel distances are unbiased, in {KERNEL_SCALE:g}ths, and may be below 0. "
    "The seam score is the 95th percentile at the borders over that elsewhere, onsets left out on both sides."
)


@dataclass(frozen=True, eq=False)
class AudioReport:
    """Findings with their lines and how they came about.

    Attributes:
        findings: What was heard.
        settings: Model, data, seed, versions: whatever makes the figures again.
        rows: The table of gates.
        table: What all figures are computed from.
    """

    findings: AudioFindings
    settings: dict[str, Any]
    rows: list[Row]
    table: AudioTable

    @classmethod
    def of(cls, findings: AudioFindings, settings: Mapping[str, Any], *, seed: int = 0) -> AudioReport:
        """Tabulate findings; the seed is that of the intervals."""
        table = AudioTable(findings, seed)
        return cls(findings, dict(settings), gate_rows(table), table)

    def to_markdown(self) -> str:
        """The whole report."""
        distances = {f"{kind}, {embedding}" for embedding, kind in self.table.distances}
        sections = [
            f"# Evaluation of {self.settings.get('model', 'a model of audio')}",
            "\n".join(f"* {name}: {value}" for name, value in self.settings.items()),
            *(f"*{remark}*" for remark in self.findings.remarks),
            _ABOUT,
            "## Gates",
            markdown_table(
                ["figure", "of", "against", "value", "gate", "verdict"],
                [row.cells() for row in self.rows if row.gate is not None],
            ),
            "## Distances to the data",
            self._distances(),
            "## Everything else",
            markdown_table(
                ["figure", "of", "against", "value", "gate", "verdict"],
                [row.cells() for row in self.rows if row.gate is None and row.figure not in distances],
            ),
        ]
        return "\n\n".join(sections) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Plain values, unrounded; NaN and infinity as null."""
        findings = self.findings
        edits = {"inpainting": findings.inpainting, "outpainting": findings.outpainting}
        return {
            "settings": self.settings,
            "remarks": findings.remarks,
            "rows": [row.to_json() for row in self.rows],
            "clips": {
                name: [
                    {
                        "source": heard.sources[index],
                        "coherence": finite_or_none(heard.coherence[index]),
                        "lufs": finite_or_none(heard.lufs[index]),
                        "nearest": [round(float(d), 4) for d in heard.distances[index] if np.isfinite(d)]
                        if heard.distances
                        else None,
                    }
                    for index in range(len(heard))
                ]
                for name, heard in findings.sets.items()
            },
            "edits": {name: _edits(own) for name, own in edits.items() if own is not None},
        }

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write the report, a picture of each kind of sound, and the sounds, each whole or not at all.

        Returns:
            Paths of the Markdown, the JSON, the picture and the sounds.
        """
        from ondes.picture import draw_spectrograms  # noqa: PLC0415

        check_folder(folder)
        texts = {
            ".md": self.to_markdown() + _shown(self.findings),
            ".json": json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n",
        }
        written = []
        for suffix, text in texts.items():
            with written_whole(folder / f"{NAME}{suffix}") as neighbour:
                neighbour.write_text(text, encoding="utf-8")
            written.append(folder / f"{NAME}{suffix}")
        if self.findings.pictures:
            draw_spectrograms(folder / "spectrograms.png", self.findings.pictures)
            written.append(folder / "spectrograms.png")
        for title, audio in self.findings.listening.items():
            audio.write(folder / _file_name(title))
            written.append(folder / _file_name(title))
        return tuple(written)

    def _distances(self) -> str:
        """One line a kind of distance, one column a set."""
        kinds = self.table.distances
        lines = [
            [f"{kind}, {embedding}", *(shown_figure(figures[name]) for name in self.table.made)]
            for (embedding, kind), figures in kinds.items()
        ]
        return markdown_table(["distance", *self.table.made], lines)


def _edits(edits: Edits) -> list[dict[str, Any]]:
    """Every edited clip in plain values."""
    return [
        {
            "source": edits.sources[index],
            "outside": finite_or_none(edits.outside[index]),
            "fits": {
                name: {
                    "log_mel": finite_or_none(fits[index].log_mel),
                    "onset_f1": finite_or_none(fits[index].onsets.f1),
                    "chroma": finite_or_none(fits[index].chroma),
                }
                for name, fits in edits.fits.items()
            },
        }
        for index in range(len(edits.sources))
    ]


def _shown(findings: AudioFindings) -> str:
    """Links to what can be seen and heard."""
    if not findings.pictures:
        return ""
    names = "\n".join(f"* [{title}]({_file_name(title)})" for title in findings.listening)
    return f"\n## To see and hear\n\n![spectrograms](spectrograms.png)\n\n{names}\n"


def _file_name(title: str) -> str:
    return f"{title.replace(' ', '_').replace('/', '_')}.flac"
