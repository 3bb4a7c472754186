"""Loudness that follows velocity has a rank correlation of one; loudness that ignores it has none."""

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.evaluation.velocity import probe_score, probe_velocities, spearman
from ondes.score import to_notes


def crude(gain):
    """A synthesiser of one sine whose level is a function of velocity."""

    def render(score):
        (note,) = score.tracks[0].notes
        time_s = np.arange(3 * 44100) / 44100
        samples = gain(note.velocity) * np.sin(2 * np.pi * 440 * time_s) * (time_s < 1.0)
        return Audio(np.stack([samples, samples]).astype(np.float32), 44100)

    return render


def test_rank_correlation_by_hand():
    assert spearman([1, 2, 3, 4], [10, 20, 30, 25]) == pytest.approx(0.8)
    assert spearman([1, 2, 3], [3, 2, 1]) == -1.0
    assert spearman([1, 2, 3], [-np.inf, -40.0, -30.0]) == 1.0
    assert spearman([1, 2, 3], [5, 5, 5]) == 0.0


def test_a_synthesiser_that_follows_velocity_scores_one():
    probes = probe_velocities(crude(lambda v: (v / 127) ** 2), programs=[0, 40])
    assert [probe.rho for probe in probes] == [1.0, 1.0]
    assert np.diff(probes[0].loudness_lufs).min() > 0


def test_a_synthesiser_that_ignores_velocity_scores_zero():
    (probe,) = probe_velocities(crude(lambda _: 0.2), programs=[0])
    assert probe.rho == 0.0


def test_a_synthesiser_upside_down_scores_minus_one():
    (probe,) = probe_velocities(crude(lambda v: 0.5 - v / 300), programs=[73])
    assert probe.rho == -1.0


def test_a_probe_is_one_note_of_a_second():
    notes = to_notes(probe_score(40, 77))
    assert (notes.velocity.tolist(), notes.program.tolist()) == ([77], [40])
    assert notes.release_s[0] - notes.onset_s[0] == pytest.approx(1.0)
    assert notes.onset_s[0] == pytest.approx(0.1)


def test_progress_is_told_of_each_note():
    calls = []
    probe_velocities(
        crude(lambda _: 0.1), programs=[0, 1], velocities=[10, 60, 110], after_each=lambda: calls.append(1)
    )
    assert len(calls) == 6
