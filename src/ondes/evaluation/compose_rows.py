"""From what was written to the lines of the report, each with its interval and its gate."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ondes.evaluation.bootstrap import (
    RESAMPLES,
    Figure,
    bootstrap,
    counted_bootstrap,
    mean_figure,
    ratio_figure,
)
from ondes.evaluation.compose_run import BATCH, ComposeFindings
from ondes.evaluation.gates import Gate, Row, shown
from ondes.evaluation.memorisation import GRAMS, Copied, Symbols, copied, to_symbols
from ondes.evaluation.symbolic import FIGURES
from ondes.evaluation.symbolic_controls import CONTROLS
from ondes.evaluation.symbolic_distributions import (
    Distribution,
    distributions,
    mean_difference,
    overlap_share,
)
from ondes.evaluation.symbolic_embedding import Encoder, distance
from ondes.evaluation.symbolic_windows import NoteWindows

GATES = {
    "pitch-class entropy": Gate("<=", 0.15),
    "scale consistency": Gate("<=", 0.03),
    "overlap": Gate(">=", 0.8),
    "far below": Gate("<=", 0.25),
    "rival": Gate("<", 1.0),
    "copied": Gate("<=", 1.05),
    "identical": Gate(">=", 1.0),
    "above": Gate(">", 0.0),
    "key": Gate(">=", 0.8),
    "instruments": Gate(">=", 1.0),
    "speed": Gate("<", 5.0),
}
"""The bounds of the third milestone; "far below" is our reading of it for the Fréchet distance over a control's."""

NAN = float("nan")
UNKNOWN = Figure(NAN, NAN, NAN)
BASELINES = ("previous bar", "random")


@dataclass(frozen=True, eq=False)
class ComposeTable:
    """Findings with all figures of every set of windows, computed once.

    Attributes:
        findings: What was written.
        seed: Of controls and intervals.
        resamples: Draws for each interval; a tenth of them for the Fréchet distance, with its eigenvalue problems.
    """

    findings: ComposeFindings
    seed: int = 0
    resamples: int = RESAMPLES

    @property
    def _draws(self) -> dict[str, Any]:
        return {"seed": self.seed, "resamples": self.resamples}

    @cached_property
    def sets(self) -> dict[str, NoteWindows]:
        """Windows by name: the model's, real music's, the controls', another model's."""
        found = self.findings
        sets = {"ours": found.samples, "held-out": found.held_out, "train": found.train}
        sets |= {name: control(found.held_out, seed=self.seed) for name, control in CONTROLS.items()}
        return sets | ({"rival": found.rival} if found.rival is not None else {})

    @cached_property
    def values(self) -> dict[str, dict[str, np.ndarray]]:
        """Figure to set to a value a window."""
        return {
            name: {which: figure(windows) for which, windows in self.sets.items()}
            for name, figure in FIGURES.items()
        }

    @cached_property
    def real(self) -> list[Distribution]:
        """Distributions of real music."""
        return distributions(self.findings.held_out, self.findings.train)

    @cached_property
    def vectors(self) -> dict[str, np.ndarray]:
        """Descriptions of each set's windows."""
        encode = Encoder(self.findings.train)
        return {name: encode(windows) for name, windows in self.sets.items()}

    @cached_property
    def copies(self) -> dict[str, Copied]:
        """What of each set stands in the training set; without the training set itself."""
        names = [name for name in self.sets if name != "train"]
        # All sets walk through the training set together, which takes as long as one.
        read = [to_symbols(self.sets[name]) for name in names]
        together = copied(Symbols.joined(read), self.findings.train_symbols)
        ends = np.cumsum([0, *(one.windows for one in read)]).tolist()
        return {
            name: together.part(a, b) for name, (a, b) in zip(names, itertools.pairwise(ends), strict=True)
        }

    def mean(self, name: str, which: str) -> Figure:
        """Mean of a figure over a set's windows."""
        return mean_figure(self.values[name][which], self.sets[which].sources, **self._draws)

    def overlap(self, distribution: Distribution, which: str) -> Figure:
        """Share of the overlap that real music has."""
        found = self.findings
        return overlap_share(
            distribution, self.sets[which], held_out=found.held_out, train=found.train, **self._draws
        )

    def frechet(self, which: str) -> Figure:
        """Fréchet distance of a set to held-out music."""
        return self._of_two(which, "held-out", distance)

    def frechet_over(self, which: str) -> Figure:
        """Our Fréchet distance over that of a set, without what real music has between songs."""
        target = self.vectors["held-out"]
        theirs = distance(self.vectors[which], target)
        return self._of_two("ours", "held-out", lambda one, other: distance(one, other) / theirs)

    def rate(self, length: int, which: str) -> Figure:
        """Share of a set's runs of symbols that the training set has."""
        copy = self.copies[which]
        sources = self.sets[which].sources
        return ratio_figure(copy.found[length], copy.possible[length], sources, **self._draws)

    def longest(self, which: str) -> Figure:
        """Mean over windows of the notes of the longest copied run."""
        return mean_figure(self.copies[which].longest_notes, self.sets[which].sources, **self._draws)

    def rate_over_held_out(
        self, over: Callable[[Copied], np.ndarray], under: Callable[[Copied], np.ndarray]
    ) -> Figure:
        """A ratio of sums of ours over that of held-out music; both are drawn from."""
        sides = [
            (over(self.copies[which]), under(self.copies[which]), self.sets[which].sources)
            for which in ("ours", "held-out")
        ]
        border = len(sides[0][0])

        def statistic(counts: np.ndarray) -> np.ndarray:
            parts = counts[:, :border], counts[:, border:]
            rates = [
                np.divide(part @ top, part @ bottom, out=np.full(len(part), NAN), where=part @ bottom > 0)
                for part, (top, bottom, _) in zip(parts, sides, strict=True)
            ]
            # Nothing is no more than nothing; something is infinitely more.
            none = np.where(rates[0] > 0, np.inf, np.where(np.isnan(rates[0] + rates[1]), NAN, 1.0))
            return np.divide(rates[0], rates[1], out=none, where=rates[1] > 0)

        sources = [(k, source) for k, (_, _, names) in enumerate(sides) for source in names]
        return counted_bootstrap(statistic, sources, strata=[k for k, _ in sources], **self._draws)

    def _of_two(self, one: str, other: str, figure: Callable[[np.ndarray, np.ndarray], float]) -> Figure:
        """A figure of two sets' descriptions, both drawn from.

        Sets with repeats lie farther apart than those they were drawn from, so the percentiles are only taken for the
        width of the interval, around the figure itself.
        """
        border = len(self.vectors[one])
        stacked = np.concatenate([self.vectors[one], self.vectors[other]])
        sources = [(k, source) for k, which in enumerate((one, other)) for source in self.sets[which].sources]

        def statistic(chosen: np.ndarray) -> float:
            return figure(stacked[chosen[chosen < border]], stacked[chosen[chosen >= border]])

        drawn = bootstrap(
            statistic,
            sources,
            strata=[k for k, _ in sources],
            seed=self.seed,
            resamples=max(2, self.resamples // 10),
        )
        half = (drawn.high - drawn.low) / 2
        return Figure(drawn.value, drawn.value - half, drawn.value + half)


def gate_rows(table: ComposeTable) -> list[Row]:
    """Every line of the table of gates, in the order of the milestone."""
    rows = [*_pitch_rows(table), *_overlap_rows(table), *_frechet_rows(table)]
    rows += _copy_rows(table)
    return [*rows, *_infill_rows(table), *_wish_rows(table), *_speed_rows(table)]


def _pitch_rows(table: ComposeTable) -> list[Row]:
    rows = []
    for name, unit in (("pitch-class entropy", " in bits"), ("scale consistency", "")):
        values = table.values[name]
        apart = mean_difference(
            values["ours"],
            table.sets["ours"],
            values["held-out"],
            table.sets["held-out"],
            seed=table.seed,
            resamples=table.resamples,
        )
        rows.append(Row(f"{name}, |difference of means|{unit}", "samples", "held-out", apart, GATES[name]))
    return rows


def _overlap_rows(table: ComposeTable) -> list[Row]:
    against = "held-out, share of train's"
    return [
        Row(f"{one.name}, overlapping area", "samples", against, table.overlap(one, "ours"), GATES["overlap"])
        for one in table.real
    ]


def _frechet_rows(table: ComposeTable) -> list[Row]:
    rows = [Row("Fréchet distance (own formulas)", "samples", "held-out", table.frechet("ours"))]
    for control in CONTROLS:
        share = table.frechet_over(control)
        rows.append(Row("Fréchet distance over a control's", "samples", control, share, GATES["far below"]))
    if "rival" in table.sets:
        share = table.frechet_over("rival")
        rows.append(Row("Fréchet distance over another model's", "samples", "rival", share, GATES["rival"]))
    else:
        note = "no samples of it: pass --rival"
        rows.append(
            Row("Fréchet distance over another model's", "samples", "rival", UNKNOWN, GATES["rival"], note)
        )
    return rows


def _copy_rows(table: ComposeTable) -> list[Row]:
    rows = []
    for n in GRAMS:
        share = table.rate_over_held_out(lambda copy, n=n: copy.found[n], lambda copy, n=n: copy.possible[n])
        ours, real = (table.rate(n, which).value for which in ("ours", "held-out"))
        note = f"{100 * ours:.2f} % against {100 * real:.2f} %"
        rows.append(
            Row(
                f"runs of {n} found in train, over held-out's",
                "samples",
                "held-out",
                share,
                GATES["copied"],
                note,
            )
        )
    share = table.rate_over_held_out(
        lambda copy: copy.longest_notes, lambda copy: np.ones(len(copy.longest_notes))
    )
    most = {name: copy.longest_notes.max() for name, copy in table.copies.items()}
    note = f"longest of all {most['ours']:.0f} notes against {most['held-out']:.0f}"
    rows.append(
        Row("longest copied run, mean, over held-out's", "samples", "held-out", share, GATES["copied"], note)
    )
    return rows


def _infill_rows(table: ComposeTable) -> list[Row]:
    found = table.findings.infills
    if not found:
        return [
            Row("infill", "-", "-", UNKNOWN, GATES["above"], "none were asked for, or the model has none")
        ]
    group = f"{len(found)} infills"
    sources = [outcome.source for outcome in found]
    same = mean_figure([float(not one.changes) for one in found], sources, seed=table.seed)
    rows = [Row("infill, share with the rest identical", group, "-", same, GATES["identical"])]
    for kind in ("pitch", "rhythm"):
        scores = {
            who: np.array([getattr(one, f"{kind}_f1")[who] for one in found], float)
            for who in ("ours", *BASELINES)
        }
        rows.append(
            Row(f"infill, {kind} note-F1", group, "-", mean_figure(scores["ours"], sources, seed=table.seed))
        )
        for who in BASELINES:
            own = mean_figure(scores[who], sources, seed=table.seed).value
            above = mean_figure(scores["ours"] - scores[who], sources, seed=table.seed)
            rows.append(
                Row(
                    f"infill, {kind} note-F1 above a baseline's",
                    group,
                    who,
                    above,
                    GATES["above"],
                    f"its own {shown(own)}",
                )
            )
    return rows


def _wish_rows(table: ComposeTable) -> list[Row]:
    wishes = table.findings.wishes
    if not wishes:
        return [
            Row("wishes", "-", "-", UNKNOWN, GATES["key"], "none were asked for, or the model takes none")
        ]
    group, singly = f"{len(wishes)} wishes", range(len(wishes))
    keys = mean_figure([float(wish.key == wish.heard_key) for wish in wishes], singly, seed=table.seed)
    used = mean_figure([float(wish.instruments == wish.used) for wish in wishes], singly, seed=table.seed)
    strange = mean_figure(
        [float(not wish.used <= wish.instruments) for wish in wishes], singly, seed=table.seed
    )
    agree = table.findings.keys_agree
    real = mean_figure(np.array(agree, float), table.findings.held_out.sources[: len(agree)], seed=table.seed)
    note = "key of a window = key of its piece, by the same ears"
    return [
        Row("asked key = detected key", group, "-", keys, GATES["key"]),
        Row("the same of real music", "held-out", "-", real, note=note),
        Row("asked instruments = used", group, "-", used, GATES["instruments"]),
        Row("samples with an instrument not asked for", group, "-", strange),
    ]


def _speed_rows(table: ComposeTable) -> list[Row]:
    batches = table.findings.batch_s
    name = f"{BATCH} samples, seconds (median)"
    if not batches:
        return [Row(name, "-", "-", UNKNOWN, GATES["speed"], f"fewer than {BATCH} samples")]
    value = Figure(float(np.median(batches)), float(np.min(batches)), float(np.max(batches)))
    return [Row(name, f"{len(batches)} batches", "-", value, GATES["speed"], "brackets: fastest, slowest")]
