"""Figures of separators over songs, with intervals, and the gates they should keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from ondes.evaluation import separation
from ondes.evaluation.bootstrap import RESAMPLES, Figure, counted_bootstrap
from ondes.evaluation.gates import Gate, Row
from ondes.evaluation.separation import Calibration, confusion, matched
from ondes.evaluation.separation_baselines import BASELINES
from ondes.evaluation.separation_run import Outcome, SeparationFindings
from ondes.evaluation.separation_songs import GROUPS, ORCHESTRA, Song
from ondes.representations.mixture_rolls import STEPS_PER_QUARTER

OURS, CLASSIFIER = "ours", "classifier"
ONE_STEP = "ours, every note by itself"
ROLLS = "Mixture2Music"
LARGEST_CALIBRATION_ERROR = 0.05
UNKNOWN = Figure(float("nan"), float("nan"), float("nan"))
PUBLISHED = ("the truth", "everything to the first part", "nothing to anybody")
"""What stands beside the separators in the table of the published figures."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""Of counts, one for each draw of songs, to a figure for each draw."""


class SeparationTable:
    """Every figure of every separator.

    Args:
        findings: What was separated.
        seed: Of the draws of songs.
        resamples: How many draws.
    """

    def __init__(self, findings: SeparationFindings, seed: int = 0, resamples: int = RESAMPLES) -> None:
        self.findings, self.seed, self.resamples = findings, seed, resamples
        self._pooled: dict[tuple[str, str, str], np.ndarray] = {}

    @property
    def groups(self) -> list[str]:
        """Groups that have songs."""
        present = {song.group for song in self.findings.songs}
        return [group for group in GROUPS if group in present]

    @property
    def separators(self) -> list[str]:
        """Ours first, baselines last."""
        return list(self.findings.outcomes)

    def separators_of(self, group: str) -> list[str]:
        """Those that separated any song of a group."""
        return [
            name
            for name in self.separators
            if any((one.labels >= 0).any() for one in self.outcomes(name, group))
        ]

    def outcomes(self, name: str, group: str | None = None) -> list[Outcome]:
        """Of a separator, of one group or of all."""
        return [one for one in self.findings.outcomes.get(name, []) if group in (None, one.song.group)]

    def roles(self, group: str) -> list[str]:
        """What the figures of a group are pooled under."""
        names = [role for song in self.findings.songs if song.group == group for role in song.roles]
        return list(dict.fromkeys(names))

    def role_counts(self, name: str, group: str) -> Int64[np.ndarray, "songs roles roles_and_none"]:
        """Confusions of roles, parts of one instrument matched; each song's."""
        key = name, group, "roles"
        if key not in self._pooled:
            roles = self.roles(group)
            self._pooled[key] = np.stack([_by_role(one, roles) for one in self.outcomes(name, group)])
        return self._pooled[key]

    def part_counts(
        self, name: str, group: str, *, as_named: bool = False
    ) -> Int64[np.ndarray, "songs one two"]:
        """Right and wrong notes of each song by part, laid out as confusions of one class."""
        key = name, group, "as named" if as_named else "parts"
        if key not in self._pooled:
            rows = []
            for one in self.outcomes(name, group):
                found = one.labels[0] if as_named else _matched(one.song, one.labels[0])
                right = int((found == one.song.true).sum())
                rows.append([[right, len(found) - right]])
            self._pooled[key] = np.array(rows, np.int64).reshape(-1, 1, 2)
        return self._pooled[key]

    def accuracy(self, name: str, group: str, *, as_named: bool = False) -> Figure:
        """Share of all notes that were given to their part."""
        return self._figure(separation.accuracy, self.part_counts(name, group, as_named=as_named))

    def by_role(self, statistic: Statistic, name: str, group: str) -> Figure:
        """A figure of confusions of roles."""
        return self._figure(statistic, self.role_counts(name, group))

    def gain(self, statistic: Statistic, ours: np.ndarray, theirs: np.ndarray) -> Figure:
        """A figure of ours less theirs, over the same draws of songs."""
        return counted_bootstrap(
            lambda counts: statistic(_summed(counts, ours)) - statistic(_summed(counts, theirs)),
            range(len(ours)),
            seed=self.seed,
            resamples=self.resamples,
        )

    def calibration(self, name: str, group: str | None = None) -> Figure:
        """Expected calibration error."""
        tables = self._calibrations(name, group)
        return UNKNOWN if not len(tables) else self._figure(separation.calibration_error, tables)

    def calibration_table(self, name: str) -> Float64[np.ndarray, "three bins"]:
        """Counts, confidences and right labels by bin, over all songs."""
        return self._calibrations(name, None).sum(0)

    def _calibrations(self, name: str, group: str | None) -> Float64[np.ndarray, "songs three bins"]:
        stated = [one for one in self.outcomes(name, group) if one.confidences is not None]
        tables = [
            Calibration.of(one.confidences[0], _matched(one.song, one.labels[0]) == one.song.true).table()
            for one in stated
            if one.confidences is not None
        ]
        return np.stack(tables) if tables else np.zeros((0, 3, separation.BINS))

    def best_counts(self, name: str, group: str) -> Int64[np.ndarray, "songs one two"]:
        """Right and wrong notes when the best alternative is taken in each stretch."""
        rows = []
        for one in self.outcomes(name, group):
            found = [_matched(one.song, labels) for labels in one.labels]
            right = int(separation.best_right(one.song.true, found).sum())
            rows.append([[right, len(one.song.piece) - right]])
        return np.array(rows, np.int64).reshape(-1, 1, 2)

    @cached_property
    def published(self) -> dict[str, tuple[float, float]]:
        """Consistency and diversity of each separator and of `PUBLISHED`, over all songs."""
        sums: dict[str, np.ndarray] = {}
        for number, song in enumerate(self.findings.songs):
            labels = {name: self.findings.outcomes[name][number].labels[0] for name in self.separators}
            labels |= dict(
                zip(PUBLISHED, (song.true, np.zeros_like(song.true), song.true * 0 - 1), strict=True)
            )
            for name, found in labels.items():
                if name in self.separators and (found < 0).all():
                    continue
                sums[name] = sums.get(name, np.zeros(4)) + _published(song, found)
        return {
            name: (float(one[0] / one[1]), float(one[2] / one[3])) for name, one in sums.items() if one[1] > 0
        }

    def notes_per_second(self, name: str) -> float:
        """Notes separated in a second, all alternatives counted; NaN if nothing was timed."""
        timed = [one for one in self.outcomes(name) if np.isfinite(one.seconds) and (one.labels >= 0).any()]
        seconds = sum(one.seconds for one in timed)
        return sum(one.labels.size for one in timed) / seconds if seconds > 0 else float("nan")

    def _figure(self, statistic: Statistic, tables: np.ndarray) -> Figure:
        return counted_bootstrap(
            lambda counts: statistic(_summed(counts, tables)),
            range(len(tables)),
            seed=self.seed,
            resamples=self.resamples,
        )


def gate_rows(table: SeparationTable) -> list[Row]:
    """What the separator must show."""
    rows: list[Row] = []
    for group in table.groups:
        rows += _over_baselines(table, group) + _over_classifier(table, group)
        rows.append(
            Row(
                "expected calibration error",
                group,
                f"{separation.BINS} bins",
                table.calibration(OURS, group),
                Gate("<=", LARGEST_CALIBRATION_ERROR),
            )
        )
    lost = float(sum(one.changed for one in table.outcomes(OURS)))
    rows.append(
        Row("notes invented or lost", "all", "the mixture", Figure(lost, lost, lost), Gate("<=", 0.0))
    )
    return rows


def _over_baselines(table: SeparationTable, group: str) -> list[Row]:
    """Ours less each baseline, where each is best."""
    rows = []
    for title, statistic, counts in _figures(table, group):
        values = {name: float(statistic(counts(name).sum(0))) for name in BASELINES}
        best = max(values, key=lambda name: values[name])
        rows.append(
            Row(
                f"{title}, gain over the best baseline",
                group,
                best,
                table.gain(statistic, counts(OURS), counts(best)),
                Gate(">", 0.0),
            )
        )
    return rows


def _over_classifier(table: SeparationTable, group: str) -> list[Row]:
    """Ours less the network of the same size that labels each note by itself."""
    there = CLASSIFIER in table.separators
    note = "" if there else "no classifier was given"
    rows = []
    for title, statistic, counts in _figures(table, group):
        value = table.gain(statistic, counts(OURS), counts(CLASSIFIER)) if there else UNKNOWN
        rows.append(
            Row(f"{title}, gain over the classifier", group, CLASSIFIER, value, Gate(">=", 0.0), note)
        )
    number = table.outcomes(OURS, group)[0].labels.shape[0]
    best = UNKNOWN
    if there:
        best = table.gain(
            separation.accuracy, table.best_counts(OURS, group), table.best_counts(CLASSIFIER, group)
        )
    rows.append(
        Row(
            f"note accuracy of the best of {number} in each {separation.BEST_NOTES} notes, gain",
            group,
            f"best of {number} draws of the classifier",
            best,
            Gate(">", 0.0),
            note,
        )
    )
    return rows


def _figures(table: SeparationTable, group: str) -> list[tuple[str, Statistic, Callable[[str], np.ndarray]]]:
    """Title, statistic and counts of the two figures that are compared."""

    def parts(name: str) -> np.ndarray:
        return table.part_counts(name, group)

    def roles(name: str) -> np.ndarray:
        return table.role_counts(name, group)

    each = "family" if group == ORCHESTRA else "part"
    found: list[tuple[str, Statistic, Callable[[str], np.ndarray]]] = [
        ("note accuracy", separation.accuracy, parts),
        (f"macro-F1 by {each}", separation.macro_f1, roles),
    ]
    if group == ORCHESTRA:
        found.insert(1, ("note accuracy by family", separation.accuracy, roles))
    return found


def _summed(counts: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Sum of tables of songs, each as often as it was drawn: (draws, *table)."""
    return np.tensordot(counts, tables, 1)


def _matched(song: Song, labels: np.ndarray) -> np.ndarray:
    return matched(song.true, labels, [instrument for instrument, _ in song.parts])


def _by_role(outcome: Outcome, roles: Sequence[str]) -> np.ndarray:
    song = outcome.song
    names = np.array([*(roles.index(role) for role in song.roles), -1])
    return confusion(names[song.true], names[_matched(song, outcome.labels[0])], len(roles))


def _published(song: Song, found: np.ndarray) -> np.ndarray:
    """Consistency and diversity of a song, each times its cells and the cells."""
    piece = song.piece
    onset = piece.onset_quarters - piece.onset_quarters.min()
    steps = int(np.ceil(((onset + piece.duration_quarters).max(initial=0.0) + 1) * STEPS_PER_QUARTER))

    def rolls(labels: np.ndarray) -> np.ndarray:
        return separation.part_rolls(
            onset, piece.duration_quarters, piece.pitch, labels, len(song.parts), steps
        )

    truth, ours = rolls(song.true), rolls(found)
    mixture = np.logical_or.reduce(truth)
    cells = np.array([mixture.size, mixture.size, truth.size, truth.size], np.float64)
    consistency, diversity = (
        separation.consistency(mixture, ours),
        separation.diversity(truth, ours, mixture),
    )
    return cells * [consistency, 1, diversity, 1]
