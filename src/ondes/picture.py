"""Pictures: notes above the sound they became, piano rolls of several scores, histograms of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ondes.audio import Audio
from ondes.colours import PART_COLOURS, part_colour
from ondes.files import written_whole
from ondes.representations.mel import MEL, MelSpec, hz_to_mel
from ondes.representations.mel_stream import stream_log_mel
from ondes.score import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TICKS_HZ = (200, 500, 1000, 2000, 5000, 10_000, 20_000)
DB_PER_NEPER = 20 / np.log(10)
PEDAL_OPACITY = 0.25
MOST_NAMES = 8
MEL_BOX = (0.06, 0.16, 0.925, 0.8)
"""Where in the picture of `draw_mel` the spectrogram is, as shares of its size: left, bottom, width, height."""

RANGE_DB = 80.0
"""Softer than this below the loudest point is drawn black."""


def draw_rendering(path: Path, notes: Notes, audio: Audio, *, title: str) -> None:
    """Write a PNG with the piano roll over the mel spectrogram of its rendering.

    Args:
        path: The picture, written whole or not at all.
        notes: The score, in seconds.
        audio: Its rendering, at 44.1 kHz, from the same beginning.
        title: Stands above both.

    Raises:
        ValueError: If the audio has another rate, or is shorter than one frame.
    """
    figure = rendering_figure(notes, picture_mel(audio), title=title)
    with written_whole(path) as neighbour:
        figure.savefig(neighbour, dpi=110)


def draw_scores(path: Path, scores: Mapping[str, Notes]) -> None:
    """Write a PNG with a piano roll of each score, one above the other, coloured by part.

    Args:
        path: The picture, written whole or not at all.
        scores: Title to notes, in seconds; at least one.
    """
    figure = scores_figure(scores)
    with written_whole(path) as neighbour:
        figure.savefig(neighbour, dpi=110)


def scores_figure(scores: Mapping[str, Notes]) -> Figure:
    """The figure that `draw_scores` writes; each roll has its own time axis."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(14, 3.2 * len(scores)), layout="constrained")
    grid: Any = figure.subplots(len(scores), 1, squeeze=False)
    for axes, (title, notes) in zip(grid[:, 0], scores.items(), strict=True):
        axes.set_title(title, loc="left")
        _draw_roll(axes, notes)
        axes.set_xlim(0, max(notes.duration_s, 0.1))
    grid[-1, 0].set_xlabel("time (s)")
    return figure


def draw_histograms(path: Path, figures: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write a PNG with one histogram for each figure, of several sets of values over one another.

    Args:
        path: The picture, written whole or not at all.
        figures: Name to set to values; NaN is left out.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    columns = 3
    rows = -(-len(figures) // columns)
    canvas = Figure(figsize=(14, 3.2 * rows), layout="constrained")
    grid: Any = canvas.subplots(rows, columns, squeeze=False)
    for axes, (name, sets) in zip(grid.ravel(), figures.items(), strict=False):
        finite = {which: values[np.isfinite(values)] for which, values in sets.items()}
        pooled = np.concatenate(list(finite.values()))
        bins = np.histogram_bin_edges(pooled, bins=24) if len(pooled) else np.linspace(0, 1, 25)
        for colour, (which, values) in zip(PART_COLOURS, finite.items(), strict=False):
            weights = np.full(len(values), 1 / max(len(values), 1))
            axes.hist(
                values, bins, weights=weights, histtype="step", color=colour, label=which, linewidth=1.5
            )
        axes.set_title(name, loc="left")
        axes.set_ylabel("share of windows")
    for axes in grid.ravel()[len(figures) :]:
        axes.set_axis_off()
    grid[0, 0].legend(fontsize="small", frameon=False)
    with written_whole(path) as neighbour:
        canvas.savefig(neighbour, dpi=110)


def draw_confusions(path: Path, tables: Mapping[str, tuple[Sequence[str], np.ndarray]]) -> None:
    """Write a PNG with confusion matrices side by side: where the notes of each class went.

    Args:
        path: The picture, written whole or not at all.
        tables: Title to names of classes and counts by true and found class, whose last column is of none.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    canvas = Figure(figsize=(5.5 * len(tables), 5), layout="constrained")
    grid: Any = canvas.subplots(1, len(tables), squeeze=False)
    for axes, (title, (names, counts)) in zip(grid[0], tables.items(), strict=True):
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
        for row, column in np.ndindex(*shares.shape):
            if counts[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                text = f"{shares[row, column]:.2f}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")
        axes.set_xticks(range(len(names) + 1), [*names, "none"], rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set_title(title, loc="left")
        axes.set_xlabel("given to")
        axes.set_ylabel("written for")
    with written_whole(path) as neighbour:
        canvas.savefig(neighbour, dpi=110)


def draw_spectrograms(path: Path, sounds: Mapping[str, tuple[np.ndarray, Sequence[float]]]) -> None:
    """Write a PNG with a mel spectrogram of each sound, two beside each other, with lines at its borders.

    Args:
        path: The picture, written whole or not at all.
        sounds: Title to log-mel (bands, frames) in the package's own front end, and to times in seconds of borders.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    columns = 2
    rows = -(-len(sounds) // columns)
    canvas = Figure(figsize=(14, 2.6 * rows), layout="constrained")
    grid: Any = canvas.subplots(rows, columns, squeeze=False)
    for axes, (title, (log_mel, borders_s)) in zip(grid.ravel(), sounds.items(), strict=False):
        _draw_spectrum(axes, log_mel, MEL)
        axes.set_title(title, loc="left")
        for border_s in borders_s:
            axes.axvline(border_s, color="white", linestyle="--", linewidth=1)
    for axes in grid.ravel()[len(sounds) :]:
        axes.set_axis_off()
    with written_whole(path) as neighbour:
        canvas.savefig(neighbour, dpi=80)


def draw_mel(path: Path, log_mel: np.ndarray) -> None:
    """Write a PNG with one mel spectrogram over the whole width.

    Args:
        path: The picture, written whole or not at all.
        log_mel: As `picture_mel` gives it (bands, frames).
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    canvas = Figure(figsize=(14, 3.6))
    _draw_spectrum(canvas.add_axes(MEL_BOX), log_mel, MEL)
    with written_whole(path) as neighbour:
        canvas.savefig(neighbour, dpi=110)


def picture_mel(audio: Audio, *, spec: MelSpec = MEL) -> np.ndarray:
    """The log-mel spectrogram of the mean of all channels, computed piece by piece.

    Args:
        audio: At `spec.sample_rate_hz`.
        spec: The front end.

    Returns:
        Natural logarithms of magnitudes (bands, frames), equal to `to_log_mel` of the whole.

    Raises:
        ValueError: If the audio has another rate, or is shorter than one frame.
    """
    if audio.sample_rate_hz != spec.sample_rate_hz:
        raise ValueError(
            f"the picture needs {spec.sample_rate_hz} Hz, the audio has {audio.sample_rate_hz} Hz"
        )
    mono = audio.samples.mean(axis=0, keepdims=True)
    if mono.shape[1] < spec.hop_samples:
        raise ValueError(f"{mono.shape[1]} samples are too few for a picture")
    return np.concatenate(list(stream_log_mel([mono], spec=spec)), axis=-1)[0]


def rendering_figure(notes: Notes, log_mel: np.ndarray, *, title: str, spec: MelSpec = MEL) -> Figure:
    """The figure that `draw_rendering` writes, for those who want to add to it.

    Args:
        notes: The score, in seconds.
        log_mel: Natural logarithms of mel magnitudes (bands, frames).
        title: Stands above both.
        spec: The front end of the spectrogram.

    Returns:
        A matplotlib figure with two axes that share their time, and a colour bar. It belongs to no window.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(14, 7.5), layout="constrained")
    grid: Any = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.15])
    roll, spectrum = grid
    roll.set_title(title, loc="left")
    _draw_roll(roll, notes)
    image = _draw_spectrum(spectrum, log_mel, spec)
    # A bar beside both axes narrows both alike, so that a second stays as wide above as below.
    figure.colorbar(image, ax=[roll, spectrum], label="level (dB below the loudest)", pad=0.01, aspect=40)
    end_s = max(notes.duration_s, log_mel.shape[-1] / spec.frames_per_second)
    spectrum.set_xlim(0, max(end_s, 0.1))
    return figure


def _draw_roll(axes: Axes, notes: Notes) -> None:
    """Each note a bar while its key is down and a fainter one while the pedal holds it; louder ones are stronger."""
    from matplotlib.collections import PolyCollection  # noqa: PLC0415
    from matplotlib.colors import to_rgb  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    legend = []
    for index, part in enumerate(notes.parts):
        mine = notes.part == index
        if not mine.any():
            continue
        colour = part_colour(index, is_drum=part.is_drum)
        opacity = 0.35 + 0.65 * notes.velocity[mine] / 127
        onset_s, key_s, pitch = notes.onset_s[mine], notes.key_release_s[mine], notes.pitch[mine]
        spans = [(onset_s, key_s, opacity), (key_s, notes.release_s[mine], PEDAL_OPACITY * opacity)]
        for start_s, end_s, alpha in spans:
            colours = np.column_stack([np.tile(to_rgb(colour), (len(alpha), 1)), alpha])
            corners = _note_corners(start_s, end_s, pitch)
            axes.add_collection(PolyCollection(list(corners), facecolors=colours.tolist(), linewidths=0))
        # Between two dollar signs stands mathematics, which names of parts are not.
        label = (part.name or f"part {index + 1}").replace("$", r"\$")
        legend.append(Patch(color=colour, label=label))
    lowest, highest = (int(notes.pitch.min()), int(notes.pitch.max())) if len(notes) else (48, 84)
    octaves = range(lowest // 12, highest // 12 + 2)
    axes.set_ylim(lowest - 2, highest + 2)
    axes.set_yticks([12 * octave for octave in octaves if lowest - 2 <= 12 * octave <= highest + 2])
    axes.set_yticklabels([f"C{int(tick) // 12 - 1}" for tick in axes.get_yticks()])
    axes.set_ylabel("pitch")
    axes.grid(axis="y", alpha=0.3)
    if legend:
        axes.legend(
            handles=legend[:MOST_NAMES],
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=MOST_NAMES,
            fontsize="small",
            frameon=False,
        )


def _note_corners(onset_s: np.ndarray, release_s: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """The rectangles of notes: (notes, 4 corners, time and pitch)."""
    times = np.stack([onset_s, release_s, release_s, onset_s], axis=1)
    heights = pitch[:, None] + np.array([-0.45, -0.45, 0.45, 0.45])
    return np.stack([times, heights], axis=2)


def _draw_spectrum(axes: Axes, log_mel: np.ndarray, spec: MelSpec) -> Any:
    """The spectrogram in decibels below its loudest point, its mel axis labelled in Hz."""
    import torch  # noqa: PLC0415

    level_db = (log_mel - log_mel.max()) * DB_PER_NEPER
    seconds = log_mel.shape[-1] / spec.frames_per_second
    image = axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, -0.5, spec.bands - 0.5),
        vmin=-RANGE_DB,
        vmax=0.0,
        cmap="magma",
    )
    top_hz = torch.tensor([spec.sample_rate_hz / 2])
    scale = (spec.bands + 1) / hz_to_mel(top_hz)
    # Band b peaks (b + 1) / (bands + 1) of the way up the mel scale.
    axes.set_yticks((hz_to_mel(torch.tensor(TICKS_HZ, dtype=torch.float32)) * scale - 1).tolist())
    axes.set_yticklabels([f"{tick:,}".replace(",", " ") for tick in TICKS_HZ])
    axes.set_ylabel("frequency (Hz)")
    axes.set_xlabel("time (s)")
    return image
