"""`ondes models`: what is bundled, where it came from, its scores and its licence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ondes.cli.console import say

if TYPE_CHECKING:
    from ondes.pipelines.bundled import BundledModel

JsonOption = Annotated[bool, typer.Option("--json", help="The whole cards as JSON, for programs.")]
WIDE_ENOUGH = 160
"""Columns of the table where nobody's terminal says how many there are."""


def register(app: typer.Typer) -> None:
    """Put the command on the command line."""
    app.command(short_help="List the bundled models.")(models)


def models(*, as_json: JsonOption = False) -> None:
    """List the bundled models: what they were trained on, their scores and licences."""
    from ondes.pipelines.bundled import bundled_models  # noqa: PLC0415

    rows = [_row(model) for model in bundled_models()]
    if not rows:
        say("This installation has no bundled models; give 'ondes synth' a folder or a Hub id with --model.")
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rows:
        _print_table(rows)


def _row(model: BundledModel) -> dict[str, Any]:
    """A model's card, with its name and what can be seen on disk."""
    size = sum(file.stat().st_size for file in Path(model.path).rglob("*.safetensors"))
    return {"name": model.name, "kind": model.kind, **model.card, "size_mb": round(size / 1e6, 1)}


def _print_table(rows: list[dict[str, Any]]) -> None:
    """One row a model, on standard output."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE_ENOUGH
    table = Table()
    for title in ("name", "task", "parameters", "size", "trained on", "scores", "licence", "commit"):
        table.add_column(title, overflow="fold", no_wrap=title in ("name", "size"))
    for row in rows:
        table.add_row(*_cells(row))
    console.print(table)


def _cells(row: dict[str, Any]) -> list[str]:
    """The row's values as text, in the table's order; what a card leaves out reads as a dash."""
    parameters = row.get("parameters")
    return [
        row["name"],
        str(row.get("task", row["kind"])),
        f"{parameters / 1e6:.1f} M" if isinstance(parameters, int | float) else "-",
        f"{row['size_mb']} MB",
        _text(row.get("trained_on")),
        _text(row.get("scores")),
        _text(row.get("licence")),
        _text(row.get("source_commit"))[:10],
    ]


def _text(value: Any) -> str:
    """A card's entry in words."""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_text(entry)}" for name, entry in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(_text(entry) for entry in value) or "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-" if value is None else str(value)
