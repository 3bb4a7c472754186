"""The report of the paper's protocol: Markdown for people, JSON with every song for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ondes.errors import UserError
from ondes.evaluation.bootstrap import RESAMPLES, Figure, mean_figure, ratio_figure
from ondes.evaluation.embeddings import embedding_distance
from ondes.evaluation.frechet import CleanFloor, GaussianStatistics, clean_floor, frechet_distance
from ondes.evaluation.gates import finite_or_none, markdown_table, shown, shown_figure
from ondes.evaluation.paper_protocol import GROUPS, MODEL, TRUTH, PaperFindings, Piece, SongFindings
from ondes.evaluation.program_f1 import score_programs
from ondes.files import written_whole

NAME = "paper_report"
SHUFFLED = "shuffled"
"""The model's audio of the next song of another work, against this song: what ignoring the score would reach."""

Judge = Callable[[int, str, Piece, int], float]


@dataclass(frozen=True, eq=False)
class PaperReport:
    """Findings as figures.

    Attributes:
        findings: What was heard.
        settings: Whatever makes the figures again.
        seed: Of the intervals.
    """

    findings: PaperFindings
    settings: dict[str, Any]
    seed: int = 0

    @property
    def players(self) -> list[str]:
        """Rows of every table."""
        names = list(self.findings.songs[0].pieces) if self.findings.songs else []
        return [*names, SHUFFLED]

    def reconstruction(self, player: str, group: str) -> list[float]:
        """Mean distance to the true audio's embedding, for each song (the mean over its stretches)."""
        truth = [song.pieces[TRUTH][group] for song in self.findings.songs]
        return self._per_song(
            player, group, lambda k, _, piece, i: embedding_distance(truth[k][i].embedding, piece.embedding)
        )

    def f1(self, player: str, group: str, granularity: Any, *, releases: bool = True) -> list[float]:
        """Note F1 against the score, for each song."""
        listener = self.findings.listener

        def judge(song: int, where: str, piece: Piece, index: int) -> float:
            written = self.findings.songs[song].written[where][index]
            score = score_programs(
                piece.heard, written, granularity, drums=listener.hears_drums, releases=releases
            )
            return score.f1 if len(written) else float("nan")

        return self._per_song(player, group, judge)

    def frechet(self, player: str, group: str) -> float:
        """Distance of all frames of a player to all frames of the true audio; NaN of the shuffled, the same frames."""
        if player == SHUFFLED or not self.findings.songs:
            return float("nan")
        one, other = (self._statistics(name, group) for name in (TRUTH, player))
        return frechet_distance(one, other) if one.count and other.count else float("nan")

    def floor(self, group: str) -> CleanFloor:
        """Distance between two halves of the true audio, dealt out by song."""
        whole = [
            np.concatenate([piece.embedding for piece in song.pieces[TRUTH][group]])
            for song in self.findings.songs
            if song.pieces[TRUTH][group]
        ]
        return clean_floor(whole, self.findings.dimension)

    def real_time_factor(self) -> Figure:
        """Seconds of work for each second of audio, the first segment left out."""
        timed = [(song, song.elapsed_s) for song in self.findings.songs if song.elapsed_s]
        return ratio_figure(
            [elapsed[0] for _, elapsed in timed],
            [elapsed[1] for _, elapsed in timed],
            [song.source for song, _ in timed],
            seed=self.seed,
        )

    def to_markdown(self) -> str:
        """The whole report."""
        listener = self.findings.listener
        sections = [
            f"# Evaluation of {self.settings.get('model', 'a synthesiser')}, whole songs",
            "\n".join(f"* {name}: {value}" for name, value in self.settings.items()),
            f"Brackets hold 95 % bootstrap intervals ({RESAMPLES} draws of whole works). The Fréchet distance takes "
            "all frames of all songs at once. Nobody needs to come nearer than the clean floor, the distance between "
            "two halves of the true recordings; it grows as frames get fewer.",
            f"Embedding: {self.findings.embedding} ({self.findings.dimension} numbers). Transcriber: {listener.name}"
            + ("" if listener.hears_drums else ", which hears no drums: they are not asked for")
            + (
                "."
                if len(listener.granularities) > 1
                else "; it knows no instruments, so only flat F1 is given."
            ),
        ]
        for group in GROUPS:
            sections += [f"## {group.capitalize()}", self._table(group), self._floor_line(group)]
        sections += ["## Distance minute by minute", self._minutes_table()]
        sections += [
            "## Speed",
            f"Real-time factor without the first segment: {shown_figure(self.real_time_factor())}",
        ]
        return "\n\n".join(sections) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Plain values, unrounded; NaN as null."""
        return {
            "settings": dict(self.settings),
            "embedding": self.findings.embedding,
            "listener": self.findings.listener.name,
            "real_time_factor": _plain(self.real_time_factor()),
            "groups": {group: self._group_json(group) for group in GROUPS},
            "songs": [
                {
                    "name": song.name,
                    "source": song.source,
                    "minutes": song.minutes,
                    "elapsed_s": song.elapsed_s,
                }
                for song in self.findings.songs
            ],
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both files, each whole or not at all.

        Returns:
            Paths of the Markdown and the JSON.

        Raises:
            UserError: If the folder cannot be written to.
        """
        texts = {
            ".md": self.to_markdown(),
            ".json": json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n",
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for suffix, text in texts.items():
                with written_whole(folder / f"{NAME}{suffix}") as file:
                    file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"{folder} cannot hold a report ({error.strerror}); choose another folder"
            ) from None
        return folder / f"{NAME}.md", folder / f"{NAME}.json"

    def _table(self, group: str) -> str:
        judged = self.findings.listener.granularities
        header = ["audio", "reconstruction distance", "Fréchet distance"]
        header += [f"note F1, {name}" for name in judged] + ["note F1, flat, onsets only"]
        lines = [
            [
                player,
                shown_figure(self._mean(self.reconstruction(player, group))),
                shown(self.frechet(player, group)),
                *(shown_figure(self._mean(self.f1(player, group, name))) for name in judged),
                shown_figure(self._mean(self.f1(player, group, "flat", releases=False))),
            ]
            for player in self.players
        ]
        return markdown_table(header, lines)

    def _floor_line(self, group: str) -> str:
        floor = self.floor(group)
        if math.isnan(floor.distance):
            return "Clean floor of the Fréchet distance: not measured, it needs two songs."
        return f"Clean floor of the Fréchet distance: {shown(floor.distance)} ({floor.frames[0]} against " + (
            f"{floor.frames[1]} frames)."
        )

    def _minutes_table(self) -> str:
        minutes = sorted({minute for song in self.findings.songs for minute in song.minutes})
        rows = []
        for minute in minutes:
            near = [song for song in self.findings.songs if minute in song.minutes]
            distances = [_chunk_distance(song, song.minutes.index(minute)) for song in near]
            figure = mean_figure(distances, [song.source for song in near], seed=self.seed)
            rows.append([str(minute), str(len(near)), shown_figure(figure)])
        return markdown_table(["minute", "songs", "reconstruction distance of the model"], rows)

    def _group_json(self, group: str) -> dict[str, Any]:
        floor = self.floor(group)
        judged = self.findings.listener.granularities
        return {
            "clean_floor": finite_or_none(floor.distance),
            "clean_floor_frames": list(floor.frames),
            "audio": {
                player: {
                    "reconstruction": [finite_or_none(v) for v in self.reconstruction(player, group)],
                    "frechet": finite_or_none(self.frechet(player, group)),
                    "note_f1": {n: [finite_or_none(v) for v in self.f1(player, group, n)] for n in judged},
                    "note_f1_onsets": [
                        finite_or_none(v) for v in self.f1(player, group, "flat", releases=False)
                    ],
                }
                for player in self.players
            },
        }

    def _per_song(self, player: str, group: str, judge: Judge) -> list[float]:
        """A figure for each song: the mean of its stretches that have one."""
        songs = self.findings.songs
        means = []
        for index in range(len(songs)):
            whose = index if player != SHUFFLED else _other(songs, index)
            pieces = (
                [] if whose is None else songs[whose].pieces[MODEL if player == SHUFFLED else player][group]
            )
            count = len(songs[index].written[group])
            values = [judge(index, group, piece, i) for i, piece in enumerate(pieces[:count])]
            known = [value for value in values if not math.isnan(value)]
            means.append(float(np.mean(known)) if known else float("nan"))
        return means

    def _statistics(self, player: str, group: str) -> GaussianStatistics:
        pieces = [piece.embedding for song in self.findings.songs for piece in song.pieces[player][group]]
        return GaussianStatistics.of(pieces, self.findings.dimension)

    def _mean(self, values: list[float]) -> Figure:
        return mean_figure(values, [song.source for song in self.findings.songs], seed=self.seed)


def _other(songs: list[SongFindings], index: int) -> int | None:
    """The next song of another work, or None."""
    turn = [(index + step) % len(songs) for step in range(1, len(songs))]
    return next((k for k in turn if songs[k].source != songs[index].source), None)


def _chunk_distance(song: SongFindings, index: int) -> float:
    pair = [song.pieces[name][GROUPS[1]][index].embedding for name in (TRUTH, MODEL)]
    return embedding_distance(*pair)


def _plain(figure: Figure) -> dict[str, Any]:
    return {name: finite_or_none(value) for name, value in vars(figure).items()}
