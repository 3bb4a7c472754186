"""The long part of an evaluation: play every excerpt in every way and listen."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ondes.audio import Audio
from ondes.evaluation.excerpts import Excerpt
from ondes.evaluation.joins import Contrast, flux_contrast, jump_contrast
from ondes.evaluation.listening import Heard, fit, listen
from ondes.evaluation.onsets import onset_auc
from ondes.evaluation.spectra import log_mel, log_mel_distance
from ondes.evaluation.transcription import score_notes, transcribe
from ondes.evaluation.velocity import PROGRAMS, VELOCITIES, VelocityProbe, probe_velocities

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    Play = Callable[[ScoreTick], Audio]

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""

FIRST_BLOCKS = 3
PROBED = (tuple(PROGRAMS), VELOCITIES)
"""Programs and velocities of the probes."""


@dataclass(frozen=True)
class Subject:
    """What is evaluated.

    Attributes:
        render: A score in ticks becomes audio; None where only vocoders are looked at.
        vocoders: Stereo log-mels (2, 128, frames) become audio. The one called "vocoder" is gated, others
            stand beside it.
        joins_s: Where the segments of a piece of this length in seconds are joined.
        stream: Blocks of audio as they are made.
    """

    render: Play | None = None
    vocoders: Mapping[str, Callable[[np.ndarray], Audio]] = field(default_factory=dict)
    joins_s: Callable[[float], np.ndarray] | None = None
    stream: Callable[[ScoreTick], Iterator[Audio]] | None = None


@dataclass(eq=False)
class Findings:
    """What was heard, excerpt by excerpt; every list is in the order of `excerpts`.

    Attributes:
        excerpts: What was played.
        duration_s: Length of each.
        references: The SoundFont renders by name: "render", and "second" where there is one.
        ours: The subject.
        vocoded: (reference, vocoder) to pairs of note F1 and log-mel distance to the reference.
        render_joins: Flux and jump of the first reference at the subject's joins, where it has none.
        shuffled_auc: Onset measure of the subject's audio of another excerpt, for these notes.
        elapsed_s: Seconds from notes to a WAV file, and the seconds of audio in it.
        probes: Velocity probes by player: "ours", "render".
        first_block_s: Seconds until a stream gives its first block.
        peak_bytes: Minutes of music to peak memory of a process.
    """

    excerpts: list[Excerpt]
    duration_s: float
    references: dict[str, list[Heard]] = field(default_factory=dict)
    ours: list[Heard] = field(default_factory=list)
    vocoded: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    render_joins: list[tuple[Contrast, Contrast]] = field(default_factory=list)
    shuffled_auc: list[float] = field(default_factory=list)
    elapsed_s: list[tuple[float, float]] = field(default_factory=list)
    probes: dict[str, list[VelocityProbe]] = field(default_factory=dict)
    first_block_s: list[float] = field(default_factory=list)
    peak_bytes: dict[int, int] = field(default_factory=dict)


def evaluate_synth(
    subject: Subject,
    excerpts: Sequence[Excerpt],
    references: Mapping[str, Play],
    *,
    duration_s: float,
    seed: int = 0,
    progress: Progress = lambda *_: None,
) -> Findings:
    """Play every excerpt with the subject and with the references, and listen to all of it.

    Args:
        subject: What is evaluated.
        excerpts: What to play.
        references: SoundFont players. The first is called "render"; its velocity probes stand beside ours.
        duration_s: Length of the excerpts.
        seed: Of the onset measure's controls.
        progress: Told of each excerpt and probe.
    """
    findings = Findings(list(excerpts), duration_s)
    audio_of_ours: list[np.ndarray] = []
    for done, excerpt in enumerate(excerpts):
        progress("excerpts", done, len(excerpts))
        sound = _hear_references(findings, excerpt, references, subject, seed)
        if subject.render is not None:
            ours = _hear_subject(findings, excerpt, subject, sound, seed)
            audio_of_ours.append(ours.samples.astype(np.float16))
    progress("excerpts", len(excerpts), len(excerpts))
    if subject.render is not None:
        findings.shuffled_auc = _shuffled_auc(findings, audio_of_ours, seed)
        _probe(findings, subject.render, references, progress)
    if subject.stream is not None:
        findings.first_block_s = [
            first_block_s(subject.stream, excerpt.score) for excerpt in excerpts[-FIRST_BLOCKS:]
        ]
    return findings


def partner(excerpts: Sequence[Excerpt], index: int) -> int | None:
    """Another excerpt to compare with: the next of the same group from another source, else of any group.

    Returns:
        Its index, or None if every excerpt is from one source.
    """
    own = excerpts[index]
    turn = [(index + step) % len(excerpts) for step in range(1, len(excerpts))]
    foreign = [k for k in turn if excerpts[k].source != own.source]
    kin = [k for k in foreign if excerpts[k].group == own.group]
    return next(iter(kin + foreign), None)


def first_block_s(stream: Callable[[ScoreTick], Iterator[Audio]], score: ScoreTick) -> float:
    """Seconds until a stream has made its first block of audio."""
    began_s = time.perf_counter()
    blocks = stream(score)
    next(blocks)
    elapsed_s = time.perf_counter() - began_s
    close = getattr(blocks, "close", None)
    if close:
        close()
    return elapsed_s


def _hear_references(
    findings: Findings, excerpt: Excerpt, references: Mapping[str, Play], subject: Subject, seed: int
) -> Audio:
    """Listen to the SoundFonts and to what vocoders make of them; gives the first SoundFont's audio."""
    first: Audio | None = None
    for name, play in references.items():
        audio = fit(play(excerpt.score), findings.duration_s)
        first = first or audio
        heard = listen(audio, excerpt.notes, seed=seed)
        findings.references.setdefault(name, []).append(heard)
        target = log_mel(audio)
        for vocoder, decode in subject.vocoders.items():
            decoded = fit(decode(target), findings.duration_s)
            figures = (
                score_notes(transcribe(decoded), excerpt.notes).f1,
                log_mel_distance(log_mel(decoded), target),
            )
            findings.vocoded.setdefault((name, vocoder), []).append(figures)
    if first is None:
        raise ValueError("no references; give at least one player called 'render'")
    return first


def _hear_subject(findings: Findings, excerpt: Excerpt, subject: Subject, sound: Audio, seed: int) -> Audio:
    """Time the subject from notes to a file, and listen."""
    assert subject.render is not None
    with tempfile.TemporaryDirectory(prefix="ondes-") as folder:
        began_s = time.perf_counter()
        audio = subject.render(excerpt.score)
        audio.write(Path(folder, "excerpt.wav"))
        findings.elapsed_s.append((time.perf_counter() - began_s, audio.duration_s))
    joins = subject.joins_s(audio.duration_s) if subject.joins_s else np.zeros(0)
    audio = fit(audio, findings.duration_s)
    findings.ours.append(listen(audio, excerpt.notes, seed=seed, joins_s=joins, heard_in=sound))
    if len(joins):
        findings.render_joins.append((flux_contrast(sound, joins), jump_contrast(sound, joins)))
    return audio


def _shuffled_auc(findings: Findings, audio_of_ours: Sequence[np.ndarray], seed: int) -> list[float]:
    """The onset measure of audio that plays another excerpt."""
    figures = []
    for index, excerpt in enumerate(findings.excerpts):
        other = partner(findings.excerpts, index)
        if other is None:
            figures.append(float("nan"))
            continue
        audio = Audio(audio_of_ours[other].astype(np.float32), 44100)
        figures.append(onset_auc(audio, excerpt.notes, seed=seed))
    return figures


def _probe(findings: Findings, render: Play, references: Mapping[str, Play], progress: Progress) -> None:
    """Velocity probes of the subject, and of the SoundFont beside it."""
    players = {"ours": render, "render": next(iter(references.values()))}
    programs, velocities = PROBED
    total = len(players) * len(programs) * len(velocities)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        progress("velocity probes", done, total)

    for name, play in players.items():
        findings.probes[name] = probe_velocities(
            play, programs=programs, velocities=velocities, after_each=count
        )
