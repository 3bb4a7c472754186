"""Verdicts follow the unrounded value, and printing never helps a figure."""

import json
import math

import pytest

from ondes.evaluation.bootstrap import Figure
from ondes.evaluation.gates import Gate, Row, markdown_table, shown, shown_figure

NAN = float("nan")


def row(value, low, high, gate):
    return Row("figure", "all", "-", Figure(value, low, high), gate)


@pytest.mark.parametrize(
    ("value", "gate", "text"),
    [
        (0.7999, Gate(">=", 0.8), "0.799"),
        (0.79999999999, Gate(">=", 0.8), "0.799"),
        (0.8, Gate(">=", 0.8), "0.800"),
        (0.1001, Gate("<=", 0.1), "0.101"),
        (0.9991, Gate("<", 1.0), "1.000"),
        (-0.9999, Gate("<=", -1.0), "-0.999"),
        (-1.0001, Gate("<=", -1.0), "-1.000"),
        (0.57, Gate(">=", 0.5), "0.570"),
        (0.7996, None, "0.800"),
        (NAN, None, "-"),
        (-math.inf, Gate("<=", -1.0), "-inf"),
    ],
)
def test_figures_are_rounded_away_from_their_gates(value, gate, text):
    assert shown(value, gate) == text


def test_a_verdict_is_of_the_value_before_rounding():
    assert row(0.79999, NAN, NAN, Gate(">=", 0.8)).verdict == "miss"
    assert row(0.8, NAN, NAN, Gate(">=", 0.8)).verdict == "pass"
    assert row(1.0, NAN, NAN, Gate("<", 1.0)).verdict == "miss"
    assert row(NAN, NAN, NAN, Gate("<", 1.0)).verdict == "not measured"
    assert row(0.3, 0.2, 0.4, None).verdict == "-"


def test_a_verdict_says_when_its_interval_holds_the_bound():
    assert row(0.85, 0.75, 0.9, Gate(">=", 0.8)).verdict == "pass, interval holds the bound"
    assert row(0.75, 0.7, 0.82, Gate(">=", 0.8)).verdict == "miss, interval holds the bound"
    assert row(0.85, 0.82, 0.9, Gate(">=", 0.8)).verdict == "pass"


def test_a_clear_gate_wants_the_whole_interval():
    gate = Gate("<", 1.0, clearly=True)
    assert row(0.9, 0.8, 0.99, gate).verdict == "pass"
    assert row(0.9, 0.8, 1.01, gate).verdict == "miss"
    assert row(0.9, NAN, NAN, gate).verdict == "miss"


def test_intervals_are_printed_beside_values():
    assert shown_figure(Figure(0.5, 0.4, 0.6)) == "0.500 [0.400, 0.600]"
    assert shown_figure(Figure(0.5, NAN, NAN)) == "0.500"


def test_json_keeps_all_digits_and_has_no_nan():
    entry = row(0.123456789, NAN, math.inf, Gate("<=", 0.2)).to_json()
    assert entry["value"] == {"value": 0.123456789, "low": None, "high": None}
    assert json.loads(json.dumps(entry, allow_nan=False))["gate"] == "≤ 0.2"


def test_tables_escape_bars():
    assert markdown_table(["a", "b"], [["|x|", "y"]]) == "| a | b |\n| --- | --- |\n| \\|x\\| | y |"
