"""The report on a composer: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ondes.evaluation import symbolic_embedding
from ondes.evaluation.bootstrap import RESAMPLES, Figure
from ondes.evaluation.compose_rows import ComposeTable, gate_rows
from ondes.evaluation.compose_run import ComposeFindings
from ondes.evaluation.gates import Row, finite_or_none, markdown_table, shown_figure
from ondes.evaluation.memorisation import GRAMS
from ondes.evaluation.symbolic import FIGURES
from ondes.evaluation.synth_report import check_folder
from ondes.files import written_whole

NAME = "compose_report"


@dataclass(frozen=True, eq=False)
class ComposeReport:
    """Findings with their lines and how they came about.

    Attributes:
        findings: What was written.
        settings: Model, data, seed, versions: whatever makes the figures again.
        rows: The table of gates.
        beside: Each figure of every set of windows: figure to set to value.
        table: What both were computed from.
    """

    findings: ComposeFindings
    settings: Mapping[str, Any]
    rows: list[Row]
    beside: dict[str, dict[str, Figure]]
    table: ComposeTable

    @classmethod
    def of(cls, findings: ComposeFindings, settings: Mapping[str, Any], *, seed: int = 0) -> ComposeReport:
        """Tabulate findings; the seed is that of controls and intervals."""
        table = ComposeTable(findings, seed, RESAMPLES)
        return cls(findings, dict(settings), gate_rows(table), beside(table), table)

    def to_markdown(self) -> str:
        """The whole report; figures with a gate are rounded away from it."""
        sets = {name: len(windows) for name, windows in self.table.sets.items()}
        sections = [
            f"# Evaluation of {self.settings.get('model', 'a composer')}",
            "\n".join(f"* {name}: {value}" for name, value in self.settings.items()),
            "Windows: " + ", ".join(f"{name} {count}" for name, count in sets.items()) + ". "
            f"Samples of fewer notes than asked: {self.findings.short}. Brackets hold 95 % bootstrap intervals "
            f"({RESAMPLES} draws of whole songs). Figures with a gate are rounded away from it, never towards it. "
            f"Fréchet: {symbolic_embedding.NAME}.",
            "## Gates",
            markdown_table(
                ["figure", "of", "against", "ours", "gate", "verdict"], [row.cells() for row in self.rows]
            ),
            "## Beside real music and controls",
            self._beside_table(list(sets)),
            *self._changes(),
        ]
        return "\n\n".join(sections) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Plain values, unrounded; NaN and infinity as null."""
        return {
            "settings": dict(self.settings),
            "rows": [row.to_json() for row in self.rows],
            "beside": {
                name: {which: _plain(figure) for which, figure in figures.items()}
                for name, figures in self.beside.items()
            },
            "windows": {
                which: {
                    "sources": [str(source) for source in windows.sources],
                    **{
                        name: [finite_or_none(float(value)) for value in self.table.values[name][which]]
                        for name in FIGURES
                    },
                }
                for which, windows in self.table.sets.items()
            },
            "infills": [asdict(outcome) for outcome in self.findings.infills],
            "wishes": [
                {
                    "key": str(wish.key),
                    "heard_key": str(wish.heard_key) if wish.heard_key else None,
                    "instruments": sorted(wish.instruments),
                    "used": sorted(wish.used),
                }
                for wish in self.findings.wishes
            ],
            "batch_s": self.findings.batch_s,
            "short": self.findings.short,
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

    def _beside_table(self, sets: list[str]) -> str:
        lines = [
            [name, *(shown_figure(figures[which]) if which in figures else "-" for which in sets)]
            for name, figures in self.beside.items()
        ]
        return markdown_table(["figure", *sets], lines)

    def _changes(self) -> list[str]:
        """What infills changed that they should not have."""
        lines = [
            f"* {one.source}, bars {one.bars[0]}-{one.bars[1]}: {'; '.join(one.changes)}"
            for one in self.findings.infills
            if one.changes
        ]
        return ["## Changed outside the bars", "\n".join(lines)] if lines else []


def beside(table: ComposeTable) -> dict[str, dict[str, Figure]]:
    """Every figure of every set, the model's first."""
    named: dict[str, Callable[[str], Figure]] = {
        f"{name}, mean": lambda which, name=name: table.mean(name, which) for name in FIGURES
    }
    named |= {
        f"{one.name}, overlap with held-out, share of train's": (
            lambda which, one=one: table.overlap(one, which)
        )
        for one in table.real
    }
    named["Fréchet distance to held-out"] = table.frechet
    named |= {f"runs of {n} found in train": lambda which, n=n: table.rate(n, which) for n in GRAMS}
    named["longest copied run, notes, mean"] = table.longest
    return {
        name: {which: figure(which) for which in table.sets if not _tells_nothing(name, which)}
        for name, figure in named.items()
    }


def _tells_nothing(name: str, which: str) -> bool:
    """Whether a set would be compared with itself."""
    with_train = "found in train" in name or "copied run" in name
    return (which == "held-out" and "held-out" in name) or (which == "train" and with_train)


def _plain(figure: Figure) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in asdict(figure).items()}
