"""The report of an evaluation: Markdown for people, JSON with every excerpt for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondes.errors import UserError
from ondes.evaluation.bootstrap import RESAMPLES
from ondes.evaluation.gates import Row, finite_or_none, markdown_table, shown, shown_figure
from ondes.evaluation.listening import Heard
from ondes.evaluation.synth_rows import Tabulation, columns, gate_rows
from ondes.evaluation.synth_run import Findings

NAME = "synth_report"


@dataclass(frozen=True, eq=False)
class SynthReport:
    """Findings with their lines and how they came about.

    Attributes:
        findings: What was heard.
        settings: Model, data, seed, versions, threads: whatever makes the figures again.
        rows: The table of gates.
    """

    findings: Findings
    settings: Mapping[str, Any]
    table: Tabulation
    rows: list[Row]

    @classmethod
    def of(cls, findings: Findings, settings: Mapping[str, Any], *, seed: int = 0) -> SynthReport:
        """Tabulate findings; the seed is that of the bootstrap."""
        table = Tabulation(findings, seed)
        return cls(findings, dict(settings), table, gate_rows(table))

    def to_markdown(self) -> str:
        """The whole report; figures with a gate are rounded away from it."""
        sections = [
            f"# Evaluation of {self.settings.get('model', 'a synthesiser')}",
            "\n".join(f"* {name}: {value}" for name, value in self.settings.items()),
            f"Brackets hold 95 % bootstrap intervals ({RESAMPLES} draws of whole works within groups). "
            "Figures with a gate are rounded away from it, never towards it.",
            "## Gates",
            markdown_table(
                ["figure", "excerpts", "against", "ours", "gate", "verdict"],
                [row.cells() for row in self.rows],
            ),
            "## Note F1 by group",
            self._f1_table(),
            *self._mel_sections(),
            *self._velocity_section(),
        ]
        return "\n\n".join(sections) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Plain values, unrounded; NaN and infinity as null."""
        findings = self.findings
        return {
            "settings": dict(self.settings),
            "rows": [row.to_json() for row in self.rows],
            "excerpts": [self._excerpt(index) for index in range(len(findings.excerpts))],
            "log_mel_distance": {
                reference: {
                    name: [finite_or_none(v) for v in values]
                    for name, values in self.table.mel_distances(reference).items()
                }
                for reference in findings.references
            },
            "velocity": {
                player: [
                    asdict(probe) | {"loudness_lufs": [finite_or_none(v) for v in probe.loudness_lufs]}
                    for probe in probes
                ]
                for player, probes in findings.probes.items()
            },
            "first_block_s": findings.first_block_s,
            "peak_bytes": findings.peak_bytes,
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both files, each beside its place first and then renamed.

        Returns:
            Paths of the Markdown and the JSON.
        """
        texts = {
            ".md": self.to_markdown(),
            ".json": json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n",
        }
        check_folder(folder)
        for suffix, text in texts.items():
            part = folder / f".{NAME}{suffix}.part"
            part.write_text(text, encoding="utf-8")
            os.replace(part, folder / f"{NAME}{suffix}")
        return folder / f"{NAME}.md", folder / f"{NAME}.json"

    def _f1_table(self) -> str:
        groups = [*self.table.groups, "all"]
        figures = {group: columns(self.table, group) for group in groups}
        header = ["excerpts", "n", *figures["all"]]
        lines = [
            [group, str(len(self.table.members(group))), *map(shown_figure, figures[group].values())]
            for group in groups
        ]
        return markdown_table(header, lines)

    def _mel_sections(self) -> list[str]:
        sections = []
        for reference in self.findings.references:
            distances = self.table.mel_distances(reference)
            names = sorted(distances, key=lambda name: name != "ours")
            lines = [
                [group, *(shown_figure(self.table.mean(distances[name], group)) for name in names)]
                for group in (*self.table.groups, "all")
            ]
            sections += [
                f"## Log-mel distance to the {reference} (mean |difference| of ln magnitude)",
                markdown_table(["excerpts", *names], lines),
            ]
        return sections

    def _velocity_section(self) -> list[str]:
        probes = self.findings.probes
        if not probes:
            return []
        players = list(probes)
        lines = [
            [
                str(items[0].program),
                *(shown(item.rho) for item in items),
                *(_range_lu(item.loudness_lufs) for item in items),
            ]
            for items in zip(*(probes[player] for player in players), strict=True)
        ]
        header = [
            "program",
            *(f"rho of {name}" for name in players),
            *(f"range of {name}, LU" for name in players),
        ]
        return ["## Velocity", markdown_table(header, lines)]

    def _excerpt(self, index: int) -> dict[str, Any]:
        findings = self.findings
        excerpt = findings.excerpts[index]
        players = ({"ours": findings.ours} if findings.ours else {}) | findings.references
        return {
            "name": excerpt.name,
            "group": excerpt.group,
            "family": excerpt.family,
            "source": excerpt.source,
            "start_s": excerpt.start_s,
            "notes": len(excerpt.notes),
            "heard": {player: _figures(heard[index]) for player, heard in players.items()},
            "vocoded": {
                f"{vocoder} of {reference}": {"note_f1": pairs[index][0], "log_mel_distance": pairs[index][1]}
                for (reference, vocoder), pairs in findings.vocoded.items()
            },
            "elapsed_s": findings.elapsed_s[index][0] if findings.elapsed_s else None,
        }


def check_folder(folder: Path) -> None:
    """Make a folder for the report, before the long work.

    Raises:
        UserError: If it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{NAME}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{folder} cannot hold a report ({error.strerror}); choose another folder") from None


def _figures(heard: Heard) -> dict[str, float | None]:
    figures = asdict(heard.notes) | {
        "onset_auc": heard.onset_auc,
        "lufs": heard.lufs,
        "peak_dbtp": heard.peak_dbtp,
        "coherence": heard.coherence,
        "flux_ratio": heard.flux.ratio if heard.flux else None,
        "jump_ratio": heard.jump.ratio if heard.jump else None,
    }
    return {name: finite_or_none(value) for name, value in figures.items()}


def _range_lu(loudness_lufs: tuple[float, ...]) -> str:
    return shown(loudness_lufs[-1] - loudness_lufs[0], digits=1)
