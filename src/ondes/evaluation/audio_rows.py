"""From what was heard of a model of audio to the lines of its report, each with its interval and its gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ondes.evaluation.audio_gaps import BASELINES, Fit
from ondes.evaluation.audio_run import FLOOR, MEASURES, OURS, REAL, AudioFindings, Edits, HeardSet
from ondes.evaluation.audio_seams import SeamPoints, seam_score
from ondes.evaluation.bootstrap import Figure, bootstrap, counted_bootstrap, mean_figure, ratio_figure
from ondes.evaluation.frechet import GaussianStatistics, frechet_distance
from ondes.evaluation.gates import Gate, Row
from ondes.evaluation.kernel_distance import Similarities, cubic_kernel, gaussian_kernel, median_bandwidth

GATES = {
    "outside": Gate("<=", 0.0),
    "seam": Gate("<=", 1.1),
    "coherence": Gate("<=", 0.05),
    "loudness": Gate("<=", 6.0),
    "better": Gate(">", 0.0),
    "softer": Gate("<", 0.0),
}
"""The bounds of the audio milestone; distances have none but those to rivals and controls."""

SPREAD_PIECES = 16
FRECHET_DRAWS = 100
"""Each takes the eigenvalues of two large matrices."""
KERNEL_SCALE = 1000.0
"""Kernel distances are given in thousandths."""
UNKNOWN = Figure(float("nan"), float("nan"), float("nan"))
CONTROLS = ("shuffled data", "noise", "silence")


@dataclass(frozen=True, eq=False)
class AudioTable:
    """Findings with the bootstrap that fits them: clips are drawn by source, the reference stays as it is."""

    findings: AudioFindings
    seed: int = 0

    @property
    def made(self) -> list[str]:
        """Sets that are compared with the data: ours, rivals, the floor, controls."""
        others = [name for name in self.findings.sets if name not in (REAL, OURS, FLOOR, *CONTROLS)]
        return [OURS, *others, FLOOR, *CONTROLS]

    @property
    def rivals(self) -> list[str]:
        """Other models."""
        return [name for name in self.made if name not in (OURS, FLOOR, *CONTROLS)]

    @cached_property
    def distances(self) -> dict[tuple[str, str], dict[str, Figure]]:
        """By embedding and kind of distance: of each set to the data."""
        found: dict[tuple[str, str], dict[str, Figure]] = {}
        for embedding, dimension in self.findings.dimensions.items():
            real = self.findings.sets[REAL].vectors[embedding]
            gaussian = gaussian_kernel(median_bandwidth(np.concatenate(real)))
            for name in self.made:
                heard = self.findings.sets[name]
                figures = {
                    "Fréchet distance": self._frechet(heard, embedding, real, dimension),
                    "kernel distance (KID)": self._kernel(heard, embedding, real, cubic_kernel),
                    "kernel distance (KAD)": self._kernel(heard, embedding, real, gaussian),
                }
                for kind, figure in figures.items():
                    found.setdefault((embedding, kind), {})[name] = figure
        return found

    def _frechet(self, heard: HeardSet, embedding: str, real: Sequence[np.ndarray], dimension: int) -> Figure:
        reference = GaussianStatistics.of(list(real), dimension)
        own = [GaussianStatistics.of([piece], dimension) for piece in heard.vectors[embedding]]

        def statistic(indices: np.ndarray) -> float:
            drawn = GaussianStatistics(dimension)
            for index in indices:
                drawn.merge(own[index])
            return frechet_distance(drawn, reference)

        return bootstrap(statistic, heard.sources, seed=self.seed, resamples=FRECHET_DRAWS)

    def _kernel(
        self, heard: HeardSet, embedding: str, real: Sequence[np.ndarray], kernel: Callable
    ) -> Figure:
        sums = Similarities.of(heard.vectors[embedding], real, kernel)

        def statistic(counts: np.ndarray) -> np.ndarray:
            return KERNEL_SCALE * sums.distance(counts)

        return counted_bootstrap(statistic, heard.sources, seed=self.seed)

    def mean_apart(self, name: str, values: Callable[[HeardSet], Sequence[float]]) -> Figure:
        """|mean over a set less mean over the data|; sources of both are drawn."""
        sets = [self.findings.sets[name], self.findings.sets[REAL]]
        pooled = np.concatenate([np.asarray(values(heard), float) for heard in sets])
        first = len(sets[0])

        def statistic(indices: np.ndarray) -> float:
            means = [
                np.nanmean(part) if np.isfinite(part).any() else np.nan
                for part in (pooled[indices[indices < first]], pooled[indices[indices >= first]])
            ]
            return float(abs(means[0] - means[1]))

        sources = [*sets[0].sources, *sets[1].sources]
        strata = [0] * first + [1] * len(sets[1])
        return bootstrap(statistic, sources, strata=strata, seed=self.seed)

    def mean(self, name: str, values: Sequence[float]) -> Figure:
        """The mean of one value a clip of a set."""
        return mean_figure(values, self.findings.sets[name].sources, seed=self.seed)


def gate_rows(table: AudioTable) -> list[Row]:
    """Every line of the table of gates, in the order of the issue of what audio models must show."""
    findings = table.findings
    rows: list[Row] = []
    for task, edits in (("inpainting", findings.inpainting), ("outpainting", findings.outpainting)):
        if edits is not None:
            rows += _edit_rows(table, task, edits)
    rows += _join_rows(table) + _stereo_rows(table) + _loudness_rows(table) + _distance_rows(table)
    if findings.inpainting is not None:
        rows += _gap_rows(table, findings.inpainting)
    return rows + _neighbour_rows(table) + _speed_rows(table)


def _edit_rows(table: AudioTable, task: str, edits: Edits) -> list[Row]:
    largest = max(edits.outside, default=float("nan"))
    figure = Figure(largest, float("nan"), float("nan"))
    rows = [Row("largest change outside the regions", task, "the recording", figure, GATES["outside"])]
    for measure in MEASURES:
        rows.append(
            Row(
                f"seam score, {measure}",
                task,
                "elsewhere",
                _seam(edits.seams[measure], edits.sources, table.seed),
                GATES["seam"],
            )
        )
        control = _seam(edits.control[measure], edits.sources, table.seed)
        rows.append(Row(f"seam score, {measure}", f"{task}, before editing", "elsewhere", control))
    return rows


def _seam(parts: Sequence[SeamPoints], sources: Sequence[str], seed: int) -> Figure:
    def statistic(indices: np.ndarray) -> float:
        return seam_score([parts[index] for index in indices])

    return bootstrap(statistic, sources, seed=seed, resamples=FRECHET_DRAWS)


def _join_rows(table: AudioTable) -> list[Row]:
    return [
        Row(
            f"seam score, {measure}",
            "joins of windows in long pieces",
            "elsewhere",
            _seam(parts, [str(index) for index in range(len(parts))], table.seed),
            GATES["seam"],
        )
        for measure, parts in table.findings.joins.items()
    ]


def _stereo_rows(table: AudioTable) -> list[Row]:
    rows = []
    for name in (OURS, *table.rivals, FLOOR):
        gate = GATES["coherence"] if name == OURS else None
        note = f"{np.nanmean(table.findings.sets[name].coherence):.3f}"
        note += f" against {np.nanmean(table.findings.sets[REAL].coherence):.3f}"
        apart = table.mean_apart(name, lambda heard: heard.coherence)
        rows.append(Row("left/right coherence, 50 Hz to 8 kHz, |difference|", name, REAL, apart, gate, note))
    return rows


def _loudness_rows(table: AudioTable) -> list[Row]:
    rows = []
    for name in (OURS, *table.rivals, FLOOR):
        heard = table.findings.sets[name]
        lufs = np.array(heard.lufs[:SPREAD_PIECES])
        finite = lufs[np.isfinite(lufs)]
        spread = float(np.ptp(finite)) if len(finite) > 1 else float("nan")
        if len(finite) < len(lufs):
            spread = float("inf")
        figure = Figure(spread, float("nan"), float("nan"))
        gate = GATES["loudness"] if name == OURS else None
        note = f"median {np.median(finite):.1f} LUFS" if len(finite) else "silent"
        rows.append(Row(f"loudness spread of {len(lufs)}, LU", name, "-", figure, gate, note))
    return rows


def _distance_rows(table: AudioTable) -> list[Row]:
    """Ours must be below every rival; where there is none, below music whose pieces are shuffled is no gate."""
    rows = []
    for (embedding, kind), figures in table.distances.items():
        for name, figure in figures.items():
            against = min((figures[rival].value for rival in table.rivals), default=None)
            gate = Gate("<", against) if name == OURS and against is not None else None
            note = "without a rival there is no gate" if name == OURS and against is None else ""
            rows.append(Row(f"{kind}, {embedding}", name, REAL, figure, gate, note))
    return rows


def _gap_rows(table: AudioTable, edits: Edits) -> list[Row]:
    ours, rows = edits.fits[OURS], []
    values = {name: [fit.log_mel for fit in fits] for name, fits in edits.fits.items()}
    agreements = {name: [fit.chroma for fit in fits] for name, fits in edits.fits.items()}
    for name in (OURS, *BASELINES):
        fits = edits.fits[name]
        figures = (
            (
                "log-mel distance in the gap, nepers",
                mean_figure(values[name], edits.sources, seed=table.seed),
            ),
            ("onset F1 in the gap", _onset_f1(fits, edits.sources, table.seed)),
            (
                "chroma agreement in the gap",
                mean_figure(agreements[name], edits.sources, seed=table.seed),
            ),
        )
        rows += [Row(what, name, "what was there", figure) for what, figure in figures]
    for name in BASELINES:
        apart = np.subtract(values[OURS], values[name])
        closer = np.subtract(agreements[OURS], agreements[name])
        rows += [
            Row(
                "log-mel distance less that of a baseline",
                "gaps",
                name,
                mean_figure(apart, edits.sources, seed=table.seed),
                GATES["softer"],
            ),
            Row(
                "onset F1 less that of a baseline",
                "gaps",
                name,
                _onset_f1(ours, edits.sources, table.seed, less=edits.fits[name]),
                GATES["better"],
            ),
            Row(
                "chroma agreement less that of a baseline",
                "gaps",
                name,
                mean_figure(closer, edits.sources, seed=table.seed),
                GATES["better"],
            ),
        ]
    return rows


def _onset_f1(
    fits: Sequence[Fit], sources: Sequence[str], seed: int, *, less: Sequence[Fit] | None = None
) -> Figure:
    """F1 over the onsets of all gaps, less that of something else."""

    def pooled(parts: Sequence[Fit], indices: np.ndarray) -> float:
        counts = [parts[index].onsets for index in indices]
        total = sum(count.true + count.made for count in counts)
        return 2 * sum(count.shared for count in counts) / total if total else float("nan")

    def statistic(indices: np.ndarray) -> float:
        return pooled(fits, indices) - (pooled(less, indices) if less is not None else 0.0)

    return bootstrap(statistic, sources, seed=seed)


def _neighbour_rows(table: AudioTable) -> list[Row]:
    """The nearest that anything made comes to the training set, against copies and against music it never saw."""
    copies = table.findings.copies
    if not len(copies):
        return [
            Row(
                "distance to the nearest training stretch, smallest",
                OURS,
                "copies",
                UNKNOWN,
                note="pass --train",
            )
        ]
    bound = float(np.percentile(copies, 95))
    rows = []
    for name in (OURS, *table.rivals, FLOOR, "shuffled data"):
        distances = table.findings.sets[name].distances
        smallest = [float(own.min(initial=np.inf)) for own in distances]
        typical = [float(np.median(own)) if len(own) else float("nan") for own in distances]
        least = Figure(min(smallest, default=float("nan")), float("nan"), float("nan"))
        gate = Gate(">", bound) if name == OURS else None
        what = "distance to the nearest training stretch"
        rows.append(Row(f"{what}, smallest, nepers", name, f"copies (95 % below {bound:.3f})", least, gate))
        rows.append(Row(f"{what}, typical, nepers", name, "-", table.mean(name, typical)))
    return rows


def _speed_rows(table: AudioTable) -> list[Row]:
    elapsed = table.findings.elapsed_s
    if not elapsed:
        return []
    spent, made = np.array(elapsed).T
    sources = [str(index) for index in range(len(elapsed))]
    figure = ratio_figure(spent, made, sources, seed=table.seed)
    return [Row("seconds to make a second of music", OURS, "-", figure)]
