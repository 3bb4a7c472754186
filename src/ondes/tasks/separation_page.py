"""A page about a separation, whole in one file: coloured rolls of the alternatives, and how sure each note is."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.colours import DRUM_COLOUR, PART_COLOURS
from ondes.files import written_whole
from ondes.tempo import TempoMap

if TYPE_CHECKING:
    import symusic.core

    from ondes.pipelines.separation import Separation

MOST_LISTED = 200
"""Notes in the table of those that are least sure."""
LINE_S = 40.0
"""Of music in a line of a roll; longer in pieces that would have too many lines."""
MOST_LINES = 30
UNSURE = 0.5
GREY = "#999999"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
img { width: 100%; } table { border-collapse: collapse; } td, th { padding: .1em .8em; text-align: right; }
figure { margin: .8em 0; } figcaption { color: #555; }
td:first-child, th:first-child { text-align: left; } .dot { display: inline-block; width: .8em; height: .8em; }
"""


def write_page(path: Path, title: str, score: symusic.core.ScoreTick, made: Separation) -> None:
    """Write the page, whole or not at all.

    Args:
        path: An HTML file.
        title: Name of the score.
        score: What was separated.
        made: Its parts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as neighbour:
        neighbour.write_text(page(title, score, made), encoding="utf-8")


def page(title: str, score: symusic.core.ScoreTick, made: Separation) -> str:
    """The page as HTML; it needs no other file and no network."""
    spans_s = _spans_s(score, made)
    colours = [
        DRUM_COLOUR if part.instrument == 128 else PART_COLOURS[index % len(PART_COLOURS)]
        for index, part in enumerate(made.parts)
    ]
    grey = [GREY] * len(made.notes)
    sections = [
        f"<h1>{html.escape(title)} in parts</h1>",
        f"<p>{len(made.notes)} notes, {len(made.parts)} parts, {len(made.scores)} alternatives.</p>",
        "<h2>Before</h2>",
        _picture(spans_s, made.notes.pitch, grey, np.ones(len(made.notes)), "All notes"),
    ]
    for number, (labels, sure) in enumerate(zip(made.labels, made.confidences, strict=True), start=1):
        own = [colours[label] for label in labels.tolist()]
        sections += [
            f"<h2>Alternative {number}</h2>",
            _parts_table(made, labels, sure, colours, made.labels[0]),
            _picture(spans_s, made.notes.pitch, own, np.ones(len(sure)), "Parts by colour"),
            _picture(spans_s, made.notes.pitch, own, sure, "Confidence: paler notes are less sure"),
        ]
    sections += ["<h2>Least sure notes of the first alternative</h2>", _notes_table(spans_s, made)]
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)} in parts</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _spans_s(score: symusic.core.ScoreTick, made: Separation) -> np.ndarray:
    """Beginnings and ends of the notes in seconds (notes, 2)."""
    tempo = TempoMap.of(score)
    return np.stack(
        [tempo.to_seconds(made.notes.time), tempo.to_seconds(made.notes.time + made.notes.duration)], 1
    )


def _picture(
    spans_s: np.ndarray, pitch: np.ndarray, colours: Sequence[str], sure: np.ndarray, words: str
) -> str:
    """A piano roll as an image in the page, line below line; opacity is how sure a note is."""
    from matplotlib.collections import PolyCollection  # noqa: PLC0415
    from matplotlib.colors import to_rgb  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    length_s = max(float(spans_s.max()), 0.1)
    lines = min(max(math.ceil(length_s / LINE_S), 1), MOST_LINES)
    height = 0.4 + 3 * lines
    figure = Figure(figsize=(14, height))
    figure.subplots_adjust(0.04, 0.5 / height, 0.995, 1 - 0.1 / height, hspace=0.15)
    rows: Any = figure.subplots(lines, squeeze=False)[:, 0]
    faces = np.column_stack([np.array([to_rgb(colour) for colour in colours]), 0.15 + 0.85 * sure])
    begin, end = spans_s.T
    x = np.stack([begin, end, end, begin], 1)
    y = pitch[:, None] + np.array([-0.45, -0.45, 0.45, 0.45])
    borders = np.linspace(0, length_s, lines + 1)
    for axes, left, right in zip(rows, borders[:-1], borders[1:], strict=True):
        here = (begin < right) & (end > left)
        axes.add_collection(
            PolyCollection(list(np.stack([x, y], 2)[here]), facecolors=faces[here].tolist(), linewidths=0)
        )
        axes.set_xlim(left, right)
        axes.set_ylim(int(pitch.min()) - 2, int(pitch.max()) + 2)
        axes.set_ylabel("pitch (MIDI)")
        axes.grid(axis="y", alpha=0.3)
    rows[-1].set_xlabel("time (s)")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{html.escape(words)}" src="data:image/png;base64,{data}">'
    return f"<figure><figcaption>{html.escape(words)}</figcaption>{image}</figure>"


def _parts_table(
    made: Separation, labels: np.ndarray, sure: np.ndarray, colours: Sequence[str], first: np.ndarray
) -> str:
    """Notes, certainty and compass of each part, and how many notes are elsewhere than in the first alternative."""
    rows = ["<tr><th>part</th><th>notes</th><th>mean confidence</th><th>below 50 %</th><th>compass</th></tr>"]
    for index, part in enumerate(made.parts):
        own = labels == index
        cells = ["-"] * 3
        if own.any():
            pitch = made.notes.pitch[own]
            cells = [
                f"{sure[own].mean():.1%}",
                str(int((sure[own] < UNSURE).sum())),
                f"{pitch.min()}-{pitch.max()}",
            ]
        dot = f'<span class="dot" style="background:{colours[index]}"></span> {html.escape(part.name)}'
        rows.append(_row(dot, str(int(own.sum())), *cells))
    moved = int((labels != first).sum())
    words = f"<p>{moved} notes lie in other parts than in the first alternative.</p>" if moved else ""
    return f"<table>{''.join(rows)}</table>{words}"


def _notes_table(spans_s: np.ndarray, made: Separation) -> str:
    """The notes that the network knew least about, and what the alternatives say of them."""
    order = np.argsort(made.confidences[0], kind="stable")[:MOST_LISTED]
    head = "<th>others say</th>" if len(made.labels) > 1 else ""
    rows = [f"<tr><th>part</th><th>confidence</th><th>time (s)</th><th>pitch</th>{head}</tr>"]
    for note in order.tolist():
        label = int(made.labels[0, note])
        others = sorted(
            {made.parts[other].name for other in made.labels[1:, note].tolist() if other != label}
        )
        cells = [
            html.escape(made.parts[label].name),
            f"{made.confidences[0, note]:.1%}",
            f"{spans_s[note, 0]:.2f}",
            str(int(made.notes.pitch[note])),
        ]
        rows.append(_row(*cells, *([html.escape(", ".join(others))] if head else [])))
    return f"<table>{''.join(rows)}</table>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
