"""Velocity probes: single notes, played softly to loudly; does the sound follow?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ondes.audio import Audio
from ondes.controls import Controls
from ondes.evaluation.extras import require
from ondes.evaluation.loudness import loudness_lufs
from ondes.score import Notes, Part, notes_to_score

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score

PROGRAMS = {0: 60, 11: 72, 24: 57, 33: 40, 40: 69, 48: 60, 56: 67, 73: 76}
"""Program and pitch of the probes: piano, vibraphone, guitar, bass, violin, strings, trumpet, flute."""

VELOCITIES = (16, 32, 48, 64, 80, 96, 112, 127)
ONSET_S = 0.1
LENGTH_S = 1.0
HEARD_S = 2.0


@dataclass(frozen=True)
class VelocityProbe:
    """What one program made of the velocities.

    Attributes:
        program: General MIDI program, 0..127.
        velocities: As written.
        loudness_lufs: Of each note; -inf of silence.
        rho: Spearman's rank correlation of the two; 0 where the loudness never changes.
    """

    program: int
    velocities: tuple[int, ...]
    loudness_lufs: tuple[float, ...]
    rho: float


def probe_velocities(
    render: Callable[[Score], Audio],
    *,
    programs: Sequence[int] = tuple(PROGRAMS),
    velocities: Sequence[int] = VELOCITIES,
    after_each: Callable[[], object] = lambda: None,
) -> list[VelocityProbe]:
    """Render one score a program and velocity, each a single note of a second, and rank the loudness.

    Args:
        render: Notes to sound.
        programs: General MIDI programs.
        velocities: At least three.
        after_each: Called after each note, for a progress bar.
    """
    probes = []
    for program in programs:
        loudness = []
        for velocity in velocities:
            loudness.append(_heard_lufs(render(probe_score(program, velocity))))
            after_each()
        probes.append(
            VelocityProbe(program, tuple(velocities), tuple(loudness), spearman(velocities, loudness))
        )
    return probes


def probe_score(program: int, velocity: int) -> Score:
    """A score of one note, a second long, which begins at 0.1 s."""
    onset_s = np.array([ONSET_S])
    note = Notes(
        onset_s=onset_s,
        release_s=onset_s + LENGTH_S,
        key_release_s=onset_s + LENGTH_S,
        pitch=np.array([PROGRAMS.get(program, 60)]),
        velocity=np.array([velocity]),
        program=np.array([program]),
        is_drum=np.array([False]),
        part=np.array([0]),
        parts=(Part("probe", program, False, Controls()),),
        duration_s=ONSET_S + LENGTH_S,
    )
    return notes_to_score(note)


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation with ties; 0 where either side is constant."""
    stats = require("scipy.stats")
    ranks = np.stack([stats.rankdata(np.nan_to_num(values, neginf=-1e9)) for values in (one, other)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    size = float(np.sqrt((ranks**2).sum(axis=1).prod()))
    return float((ranks[0] * ranks[1]).sum() / size) if size > 0 else 0.0


def _heard_lufs(audio: Audio) -> float:
    """Loudness of the first seconds, so that a tail of silence plays no part."""
    heard = audio.samples[:, : round(HEARD_S * audio.sample_rate_hz)]
    return loudness_lufs(Audio(heard, audio.sample_rate_hz))
