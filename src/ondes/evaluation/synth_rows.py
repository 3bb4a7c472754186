"""From what was heard to the lines of the report, each with its interval and its gate."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ondes.evaluation.bootstrap import Figure, bootstrap, mean_figure, ratio_figure
from ondes.evaluation.gates import Gate, Row
from ondes.evaluation.joins import Contrast, pooled_ratio
from ondes.evaluation.listening import Heard
from ondes.evaluation.spectra import log_mel_distance, mean_spectrum, silence_spectrum
from ondes.evaluation.synth_run import Findings, partner
from ondes.evaluation.transcription import score_notes

GATES = {
    "note F1 share": Gate(">=", 0.80),
    "onset share": Gate(">=", 0.9),
    "vocoder F1 share": Gate(">=", 0.95),
    "log-mel": Gate("<", 1.0, clearly=True),
    "velocity": Gate(">=", 0.8),
    "coherence": Gate("<=", 0.1),
    "loudness": Gate("<=", 0.1),
    "true peak": Gate("<=", -1.0),
    "joins": Gate("<=", 1.1),
    "real-time factor": Gate("<", 1.0),
    "first block": Gate("<", 2.0),
    "memory": Gate("<", 2.0),
    "memory growth": Gate("<=", 1.05),
}
"""The bounds of the first milestone; memory in GB (10^9 bytes), growth from 2 to 10 minutes."""

BASELINES = ("silence", "mean spectrum", "shuffled excerpt")
UNKNOWN = Figure(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Tabulation:
    """Findings as arrays over excerpts, with the bootstrap that fits them."""

    findings: Findings
    seed: int = 0

    @cached_property
    def groups(self) -> list[str]:
        """Groups in order of first appearance."""
        return list(dict.fromkeys(excerpt.group for excerpt in self.findings.excerpts))

    def members(self, group: str) -> np.ndarray:
        """Indices of a group's excerpts, or of all."""
        names = [excerpt.group for excerpt in self.findings.excerpts]
        return np.array([k for k, name in enumerate(names) if group in ("all", name)], int)

    def mean(self, values: Sequence[float], group: str = "all") -> Figure:
        """A mean over a group with its interval."""
        chosen = self.members(group)
        return mean_figure(np.asarray(values, float)[chosen], **self._design(chosen))

    def ratio(self, over: Sequence[float], under: Sequence[float], group: str = "all") -> Figure:
        """One mean over another in a group, with its interval."""
        chosen = self.members(group)
        top, bottom = (np.asarray(values, float)[chosen] for values in (over, under))
        return ratio_figure(top, bottom, **self._design(chosen))

    def pooled(self, statistic: Callable[[np.ndarray], float]) -> Figure:
        """Any statistic of all excerpts' indices, with its interval."""
        return bootstrap(statistic, **self._design(self.members("all")))

    def _design(self, chosen: np.ndarray) -> dict:
        own = [self.findings.excerpts[k] for k in chosen]
        return {
            "sources": [excerpt.source for excerpt in own],
            "strata": [excerpt.group for excerpt in own],
            "seed": self.seed,
        }

    def partners(self) -> list[int | None]:
        """The excerpt that stands for other notes, for each."""
        return [partner(self.findings.excerpts, k) for k in range(len(self.findings.excerpts))]

    def shuffled_f1(self, heard: Sequence[Heard]) -> list[float]:
        """Note F1 of audio that plays another excerpt."""
        return [
            float("nan") if other is None else score_notes(heard[other].transcript, excerpt.notes).f1
            for excerpt, other in zip(self.findings.excerpts, self.partners(), strict=True)
        ]

    def mel_distances(self, reference: str) -> dict[str, list[float]]:
        """Log-mel distance to a reference's renders: of ours, of three baselines, of other SoundFonts."""
        target = [heard.log_mel for heard in self.findings.references[reference]]
        flat = {"silence": silence_spectrum(), "mean spectrum": mean_spectrum(target)}
        distances = {
            name: [log_mel_distance(mel, spectrum) for mel in target] for name, spectrum in flat.items()
        }
        distances["shuffled excerpt"] = [
            float("nan") if other is None else log_mel_distance(target[other], mel)
            for mel, other in zip(target, self.partners(), strict=True)
        ]
        players = {f"SoundFont {k}": heard for k, heard in self.findings.references.items() if k != reference}
        if self.findings.ours:
            players["ours"] = self.findings.ours
        for name, heard in players.items():
            distances[name] = [log_mel_distance(h.log_mel, mel) for h, mel in zip(heard, target, strict=True)]
        return distances


def f1_of(heard: Sequence[Heard]) -> list[float]:
    """Note F1 of each."""
    return [item.notes.f1 for item in heard]


def gate_rows(table: Tabulation) -> list[Row]:
    """Every line of the table of gates, in the order of the table."""
    findings = table.findings
    rows: list[Row] = []
    for reference in findings.references:
        if findings.ours:
            rows += _note_rows(table, reference) + _onset_rows(table, reference)
        rows += _vocoder_rows(table, reference)
        if findings.ours:
            rows += _mel_rows(table, reference)
    if "second" not in findings.references:
        why = "not given: pass --second-soundfont"
        rows.append(Row("everything above", "all", "second SoundFont", UNKNOWN, GATES["note F1 share"], why))
    if findings.ours:
        rows += [*_velocity_rows(table), *_sound_rows(table), *_join_rows(table), *_speed_rows(table)]
        rows += _memory_rows(table) + _control_rows(table)
    return rows


def _note_rows(table: Tabulation, reference: str) -> list[Row]:
    ours, theirs = (f1_of(heard) for heard in (table.findings.ours, table.findings.references[reference]))
    return [
        Row(
            "note F1, share of the render's",
            group,
            reference,
            table.ratio(ours, theirs, group),
            GATES["note F1 share"],
        )
        for group in (*table.groups, "all")
    ]


def _onset_rows(table: Tabulation, reference: str) -> list[Row]:
    ours = [heard.onset_auc for heard in table.findings.ours]
    theirs = [heard.onset_auc for heard in table.findings.references[reference]]
    return [
        Row(
            "onset AUC over the render's",
            group,
            reference,
            table.ratio(ours, theirs, group),
            GATES["onset share"],
        )
        for group in (*table.groups, "all")
    ]


def _vocoder_rows(table: Tabulation, reference: str) -> list[Row]:
    theirs = f1_of(table.findings.references[reference])
    rows = []
    for (source, vocoder), figures in table.findings.vocoded.items():
        if source != reference:
            continue
        gate = GATES["vocoder F1 share"] if vocoder == "vocoder" else None
        share = table.ratio([f1 for f1, _ in figures], theirs)
        rows.append(Row(f"{vocoder} alone: note F1 share", "all", reference, share, gate))
    if not rows:
        rows.append(
            Row(
                "vocoder alone: note F1 share",
                "all",
                reference,
                UNKNOWN,
                GATES["vocoder F1 share"],
                "no vocoder",
            )
        )
    return rows


def _mel_rows(table: Tabulation, reference: str) -> list[Row]:
    distances = table.mel_distances(reference)
    return [
        Row(
            "log-mel distance over a baseline's",
            "all",
            f"{reference}, {baseline}",
            table.ratio(distances["ours"], distances[baseline]),
            GATES["log-mel"],
        )
        for baseline in BASELINES
    ]


def _velocity_rows(table: Tabulation) -> list[Row]:
    rows = []
    for player, probes in table.findings.probes.items():
        gate = GATES["velocity"] if player == "ours" else None
        mean = mean_figure(
            [probe.rho for probe in probes], [probe.program for probe in probes], seed=table.seed
        )
        name = "velocity and loudness, Spearman rho"
        rows.append(Row(name, f"{len(probes)} programs", "-" if gate else "the render's own", mean, gate))
    return rows


def _sound_rows(table: Tabulation) -> list[Row]:
    ours, render = table.findings.ours, table.findings.references["render"]
    apart = [abs(one.coherence - other.coherence) for one, other in zip(ours, render, strict=True)]
    louder = np.array([one.lufs - other.lufs for one, other in zip(ours, render, strict=True)])
    peaks = np.array([heard.peak_dbtp for heard in ours])
    return [
        Row(
            "left/right coherence, mean |difference|", "all", "render", table.mean(apart), GATES["coherence"]
        ),
        Row(
            "loudness, |mean difference| in LU",
            "all",
            "render",
            table.pooled(lambda chosen: abs(float(louder[chosen].mean()))),
            GATES["loudness"],
            f"signed mean {louder.mean():+.3f}",
        ),
        Row("loudness, mean |difference| in LU", "all", "render", table.mean(np.abs(louder).tolist())),
        Row(
            "true peak, largest, dBTP",
            "all",
            "-",
            table.pooled(lambda chosen: float(peaks[chosen].max())),
            GATES["true peak"],
        ),
    ]


def _join_rows(table: Tabulation) -> list[Row]:
    rows = []
    for which, (name, label) in enumerate((("flux", "spectral flux"), ("jump", "sample jump"))):
        found: list[Contrast | None] = [getattr(heard, name) for heard in table.findings.ours]
        title = f"joins: {label} over elsewhere"
        if not any(found):
            rows.append(Row(title, "all", "-", UNKNOWN, GATES["joins"], "no joins are known"))
            continue
        note = f"{sum(contrast.at_count for contrast in found if contrast)} joins"
        rows.append(Row(title, "all", "-", _pooled(table, found), GATES["joins"], note))
        if len(table.findings.render_joins) == len(found):
            unjoined = [contrasts[which] for contrasts in table.findings.render_joins]
            note = "control: the render, which has no joins, at the same times"
            rows.append(Row(title, "all", "-", _pooled(table, unjoined), None, note))
    return rows


def _pooled(table: Tabulation, found: Sequence[Contrast | None]) -> Figure:
    return table.pooled(lambda chosen: pooled_ratio(c for k in chosen if (c := found[k])))


def _speed_rows(table: Tabulation) -> list[Row]:
    elapsed, length = zip(*table.findings.elapsed_s, strict=True)
    first = table.findings.first_block_s
    block = Figure(float(np.median(first)), min(first), max(first)) if first else UNKNOWN
    note = f"median and range of {len(first)}" if first else "no stream"
    return [
        Row(
            "real-time factor, notes to WAV",
            "all",
            "-",
            table.ratio(elapsed, length),
            GATES["real-time factor"],
        ),
        Row("first block of a stream, s", "all", "-", block, GATES["first block"], note),
    ]


def _memory_rows(table: Tabulation) -> list[Row]:
    peaks = table.findings.peak_bytes
    if not peaks:
        why = "not asked for"
        return [Row("peak memory, GB", "10 minutes", "-", UNKNOWN, GATES["memory"], why)]
    shortest, longest = min(peaks), max(peaks)
    gigabytes, growth = peaks[longest] / 1e9, peaks[longest] / peaks[shortest]
    nan = float("nan")
    rows = [
        Row("peak memory, GB", f"{longest} minutes", "-", Figure(gigabytes, nan, nan), GATES["memory"]),
        Row(
            "peak memory, growth",
            f"{longest} minutes",
            f"{shortest} minutes",
            Figure(growth, nan, nan),
            GATES["memory growth"],
        ),
    ]
    return rows if longest > shortest else rows[:1]


def _control_rows(table: Tabulation) -> list[Row]:
    players = {"ours": table.findings.ours, **table.findings.references}
    rows = [
        Row("control, note F1 of audio of other notes", "all", name, table.mean(table.shuffled_f1(heard)))
        for name, heard in players.items()
    ]
    own = table.mean(f1_of(table.findings.ours))
    auc = table.mean(table.findings.shuffled_auc)
    return [
        Row("note F1 of ours", "all", "-", own),
        *rows,
        Row("control, onset AUC of audio of other notes", "all", "ours", auc, note="chance is 0.5"),
    ]


def columns(table: Tabulation, group: str) -> dict[str, Figure]:
    """Mean note F1 in a group: ours, the references, vocoders, and the control."""
    findings = table.findings
    figures: dict[str, Figure] = {}
    if findings.ours:
        figures["ours"] = table.mean(f1_of(findings.ours), group)
    for name, heard in findings.references.items():
        figures[name] = table.mean(f1_of(heard), group)
    for (reference, vocoder), pairs in findings.vocoded.items():
        figures[f"{vocoder} of {reference}"] = table.mean([f1 for f1, _ in pairs], group)
    shuffled = {"ours": findings.ours} if findings.ours else {}
    for name, heard in itertools.chain(shuffled.items(), findings.references.items()):
        figures[f"{name}, other notes"] = table.mean(table.shuffled_f1(heard), group)
    return figures
