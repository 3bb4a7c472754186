"""The report on a separator: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ondes.evaluation import separation
from ondes.evaluation.bootstrap import RESAMPLES, Figure
from ondes.evaluation.gates import Row, finite_or_none, markdown_table, shown, shown_figure
from ondes.evaluation.separation_rows import PUBLISHED, SeparationTable, gate_rows
from ondes.evaluation.separation_run import SeparationFindings
from ondes.evaluation.separation_songs import ORCHESTRA
from ondes.evaluation.synth_report import check_folder
from ondes.files import written_whole

NAME = "separation_report"

_ABOUT = (
    "Brackets hold 95 % bootstrap intervals ({draws} draws of whole songs). Figures with a gate are rounded away from "
    "it, never towards it. Note accuracy: notes given to their part, parts of one instrument matched one to one over "
    "each song; as named: without matching. Macro-F1 is of roles pooled over songs. Most common, zone and skyline "
    "know how often each part plays each key in training pieces; closest pitch is told the first note of each part, "
    "as its authors define it."
)
_PUBLISHED = (
    "The two figures of Mixture2Music (arXiv 2209.02696), on sixteenths and 72 keys. They cannot rank separators: "
    "whoever gives each note to some part has consistency 0, even if all go to one piano; and diversity, which is "
    "said to be better when larger, is the share of wrong cells, 0 for the truth. Overlapping notes of one part and "
    "key fuse on this grid."
)


@dataclass(frozen=True, eq=False)
class SeparationReport:
    """Findings with their lines and how they came about.

    Attributes:
        findings: What was separated.
        settings: Model, data, seed, versions: whatever makes the figures again.
        rows: The table of gates.
        table: What all figures are computed from.
    """

    findings: SeparationFindings
    settings: dict[str, Any]
    rows: list[Row]
    table: SeparationTable

    @classmethod
    def of(
        cls, findings: SeparationFindings, settings: Mapping[str, Any], *, seed: int = 0
    ) -> SeparationReport:
        """Tabulate findings; the seed is that of the intervals."""
        table = SeparationTable(findings, seed, RESAMPLES)
        return cls(findings, dict(settings), gate_rows(table), table)

    def to_markdown(self) -> str:
        """The whole report."""
        sections = [
            f"# Evaluation of {self.settings.get('model', 'a separator')}",
            "\n".join(f"* {name}: {value}" for name, value in self.settings.items()),
            self._songs(),
            _ABOUT.format(draws=self.table.resamples),
            "## Gates",
            markdown_table(
                ["figure", "of", "against", "ours", "gate", "verdict"], [row.cells() for row in self.rows]
            ),
            *(
                text
                for group in self.table.groups
                for text in (f"## {group.capitalize()}", self._group(group))
            ),
            "## Calibration",
            self._calibration(),
            "## Published figures",
            _PUBLISHED,
            self._published(),
            "## Time",
            self._time(),
        ]
        return "\n\n".join(sections) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Plain values, unrounded; NaN as null."""
        table = self.table
        return {
            "settings": self.settings,
            "remarks": self.findings.remarks,
            "rows": [row.to_json() for row in self.rows],
            "groups": {
                group: {name: self._figures(name, group) for name in table.separators_of(group)}
                for group in table.groups
            },
            "calibration": {
                name: table.calibration_table(name).tolist()
                for name in table.separators
                if self._states(name)
            },
            "published": {
                name: dict(zip(("consistency", "diversity"), pair, strict=True))
                for name, pair in table.published.items()
            },
            "songs": [
                {
                    "source": song.source,
                    "group": song.group,
                    "notes": len(song.piece),
                    "right": {
                        name: int(table.part_counts(name, song.group)[place, 0, 0])
                        for name in table.separators_of(song.group)
                    },
                }
                for group in table.groups
                for place, song in enumerate(one for one in self.findings.songs if one.group == group)
            ],
            "notes_per_second": {
                name: finite_or_none(table.notes_per_second(name)) for name in table.separators
            },
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both files, each whole or not at all.

        Returns:
            Paths of the Markdown and the JSON.
        """
        check_folder(folder)
        texts = {
            ".md": self.to_markdown(),
            ".json": json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n",
        }
        for suffix, text in texts.items():
            with written_whole(folder / f"{NAME}{suffix}") as neighbour:
                neighbour.write_text(text, encoding="utf-8")
        return folder / f"{NAME}.md", folder / f"{NAME}.json"

    def _songs(self) -> str:
        counts = []
        for group in self.table.groups:
            own = [len(song.piece) for song in self.findings.songs if song.group == group]
            counts.append(f"{group} {len(own)} ({sum(own)} notes)")
        return "\n".join([f"Songs: {', '.join(counts)}.", *(f"* {line}" for line in self.findings.remarks)])

    def _group(self, group: str) -> str:
        roles = self.table.roles(group)
        by_family = ["by family"] if group == ORCHESTRA else []
        header = [
            *("separator", "note accuracy", "as named", *by_family, "macro-F1", "coverage"),
            *(f"F1 {role}" for role in roles),
        ]
        rows = []
        for name in self.table.separators_of(group):
            counts = self.table.role_counts(name, group).sum(0)
            family = [shown_figure(self.table.by_role(separation.accuracy, name, group))] if by_family else []
            rows.append(
                [
                    name,
                    shown_figure(self.table.accuracy(name, group)),
                    shown_figure(self.table.accuracy(name, group, as_named=True)),
                    *family,
                    shown_figure(self.table.by_role(separation.macro_f1, name, group)),
                    shown(float(separation.coverage(counts))),
                    *map(shown, separation.f1(counts).tolist()),
                ]
            )
        return "\n\n".join([markdown_table(header, rows), self._best(group)])

    def _best(self, group: str) -> str:
        """Accuracies of the best of several alternatives."""
        lines = []
        for name in self.table.separators_of(group):
            number = self.table.outcomes(name, group)[0].labels.shape[0]
            if number > 1:
                counts = self.table.best_counts(name, group).sum(0)
                lines.append(f"{name} {shown(float(separation.accuracy(counts)))} (of {number})")
        stretch = f"Note accuracy, the best alternative in each {separation.BEST_NOTES} notes: "
        return stretch + ", ".join(lines) + "." if lines else ""

    def _states(self, name: str) -> bool:
        return any(one.confidences is not None for one in self.table.outcomes(name))

    def _calibration(self) -> str:
        """Accuracy by stated confidence, in the bins that have notes."""
        names = [name for name in self.table.separators if self._states(name)]
        errors = ", ".join(f"{name} {shown_figure(self.table.calibration(name))}" for name in names)
        blocks = [f"Expected calibration error, {separation.BINS} equally wide bins, all songs: {errors}."]
        for name in names:
            count, confidence, right = self.table.calibration_table(name)
            rows = [
                [
                    f"{place / separation.BINS:.3f}-{(place + 1) / separation.BINS:.3f}",
                    f"{count[place]:.0f}",
                    shown(confidence[place] / count[place]),
                    shown(right[place] / count[place]),
                ]
                for place in np.flatnonzero(count).tolist()
            ]
            blocks.append(markdown_table([f"confidence of {name}", "notes", "mean", "right"], rows))
        return "\n\n".join(blocks)

    def _published(self) -> str:
        pairs = self.table.published
        order = [name for name in pairs if name not in PUBLISHED] + [
            name for name in PUBLISHED if name in pairs
        ]
        rows = [[name, *(shown(value, digits=5) for value in pairs[name])] for name in order]
        return markdown_table(["separator", "consistency", "diversity"], rows)

    def _time(self) -> str:
        rows = []
        for name in self.table.separators:
            speed = self.table.notes_per_second(name)
            if np.isfinite(speed):
                rows.append([name, str(self.table.outcomes(name)[0].labels.shape[0]), f"{speed:.0f}"])
        return markdown_table(["separator", "alternatives", "notes a second, all alternatives counted"], rows)

    def _figures(self, name: str, group: str) -> dict[str, Any]:
        table = self.table
        counts = table.role_counts(name, group)
        return {
            "note accuracy": _plain(table.accuracy(name, group)),
            "note accuracy as named": _plain(table.accuracy(name, group, as_named=True)),
            "note accuracy by role": _plain(table.by_role(separation.accuracy, name, group)),
            "macro-F1": _plain(table.by_role(separation.macro_f1, name, group)),
            "coverage": finite_or_none(float(separation.coverage(counts.sum(0)))),
            "calibration error": _plain(table.calibration(name, group)),
            "best": finite_or_none(float(separation.accuracy(table.best_counts(name, group).sum(0)))),
            "F1": {
                role: finite_or_none(value)
                for role, value in zip(table.roles(group), separation.f1(counts.sum(0)).tolist(), strict=True)
            },
            "confusion": counts.sum(0).tolist(),
        }


def _plain(figure: Figure) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in asdict(figure).items()}
