"""Figures against the bounds they should keep, printed so that rounding never helps."""

from __future__ import annotations

import decimal
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ondes.evaluation.bootstrap import Figure

DIGITS = 3


@dataclass(frozen=True)
class Gate:
    """A bound on a figure.

    Attributes:
        sign: How the figure must stand to the bound.
        bound: The bound.
        clearly: Whether the whole interval must keep the bound, not only the value.
    """

    sign: Literal[">=", ">", "<=", "<"]
    bound: float
    clearly: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number keeps the bound; NaN does not."""
        if self.sign in (">=", ">"):
            return value > self.bound or (self.sign == ">=" and value == self.bound)
        return value <= self.bound if self.sign == "<=" else value < self.bound

    def __str__(self) -> str:
        sign = {">=": "≥", "<=": "≤"}.get(self.sign, self.sign)
        return f"{sign} {self.bound:g}" + (" (whole interval)" if self.clearly else "")


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Attributes:
        figure: What is measured, with its unit.
        group: Which excerpts.
        against: What it is compared with.
        value: Ours; NaN where it could not be measured, and `note` says why.
        gate: What it should keep; None for a figure that only stands beside others.
        note: Anything a reader must know.
    """

    figure: str
    group: str
    against: str
    value: Figure
    gate: Gate | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`pass`, `miss`, `not measured`, or a dash without a gate; says if the interval holds the bound."""
        if math.isnan(self.value.value):
            return "not measured"
        if self.gate is None:
            return "-"
        ends = (self.value.low, self.value.high)
        known = [self.gate.holds(end) for end in ends if not math.isnan(end)]
        if self.gate.clearly:
            whole = len(known) == 2 and all(known)
            return "pass" if whole and self.gate.holds(self.value.value) else "miss"
        verdict = "pass" if self.gate.holds(self.value.value) else "miss"
        return verdict + (", interval holds the bound" if len(set(known)) == 2 else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values, NaN as None, not rounded."""
        row = asdict(self) | {"gate": str(self.gate) if self.gate else None, "verdict": self.verdict}
        row["value"] = {name: finite_or_none(number) for name, number in row["value"].items()}
        return row

    def cells(self) -> list[str]:
        """Cells of a line of a Markdown table."""
        return [
            self.figure + (f" ({self.note})" if self.note else ""),
            self.group,
            self.against,
            shown_figure(self.value, self.gate),
            str(self.gate or "-"),
            self.verdict,
        ]


def shown(value: float, gate: Gate | None = None, *, digits: int = DIGITS) -> str:
    """A number in digits, rounded away from its gate: down where it should be large, up where small."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else ("-inf" if value < 0 else "inf")
    if gate is None:
        return f"{value:.{digits}f}"
    turn = decimal.ROUND_FLOOR if gate.sign in (">=", ">") else decimal.ROUND_CEILING
    return str(decimal.Decimal(repr(float(value))).quantize(decimal.Decimal(1).scaleb(-digits), turn))


def shown_figure(figure: Figure, gate: Gate | None = None, *, digits: int = DIGITS) -> str:
    """A value and its interval."""
    text = shown(figure.value, gate, digits=digits)
    if math.isnan(figure.low):
        return text
    return f"{text} [{shown(figure.low, gate, digits=digits)}, {shown(figure.high, gate, digits=digits)}]"


def finite_or_none(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
