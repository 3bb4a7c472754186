"""The paper's protocol: what it plays, where it cuts, and figures that can be computed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation import paper_protocol
from ondes.evaluation.frechet import GaussianStatistics, frechet_distance
from ondes.evaluation.paper_protocol import (
    GROUPS,
    PaperSubject,
    Song,
    evaluate_paper,
    pipeline_subject,
    timed_stream,
    vocoder_ceiling,
)
from ondes.evaluation.paper_report import PaperReport
from ondes.evaluation.program_f1 import Listener
from ondes.models.griffin_lim import GriffinLim
from ondes.notes import Notes
from ondes.representations.framed_mel import to_framed_log_mel
from plain_notes import plain_notes

RATE_HZ = 400
WHOLE, CHUNKS = GROUPS


class TwoNumbers:
    """Mean and largest magnitude of each 1.28 s."""

    name, sample_rate_hz, dimension = "two numbers", RATE_HZ, 2

    def __call__(self, audio: Audio) -> np.ndarray:
        size = int(1.28 * audio.sample_rate_hz)
        rows = audio.samples[0][: audio.samples.shape[1] // size * size].reshape(-1, size)
        return np.stack([rows.mean(axis=1), np.abs(rows).max(axis=1)], axis=1)


def steps(notes: Notes, duration_s: float) -> Audio:
    """Audio that can be read back: at each onset, pitch / 128 for a tenth of a second."""
    samples = np.zeros((1, round(duration_s * RATE_HZ)), np.float32)
    for onset_s, pitch in zip(notes.onset_s, notes.pitch, strict=True):
        begin = round(onset_s * RATE_HZ)
        samples[0, begin : begin + RATE_HZ // 10] = pitch / 128
    return Audio(samples, RATE_HZ)


def hear(audio: Audio) -> Notes:
    samples = audio.samples[0]
    begins = np.flatnonzero((np.diff(samples, prepend=0) != 0) & (samples > 0))
    return plain_notes(
        [(k / RATE_HZ, k / RATE_HZ + 0.1, round(float(samples[k]) * 128), 80, 0) for k in begins]
    )


LISTENER = Listener("reader", hear, ("flat",), hears_drums=False)


def song(name: str, pitch: int, duration_s: float) -> Song:
    onsets = np.arange(0.5, duration_s - 0.3, 2.0)
    notes = plain_notes(
        [(t, t + 0.1, pitch + k % 5, 80, 0) for k, t in enumerate(onsets)], duration_s=duration_s
    )
    return Song(name, name, notes, lambda: steps(notes, duration_s))


SONGS = [song("a", 40, 130.0), song("b", 60, 70.0), song("c", 90, 30.0)]


def perfect(notes: Notes) -> Iterator[Audio]:
    audio = steps(notes, notes.duration_s)
    for samples in np.split(audio.samples, [RATE_HZ * 5], axis=1):
        yield Audio(samples, RATE_HZ)


@pytest.fixture(scope="module")
def report() -> PaperReport:
    findings = evaluate_paper(PaperSubject(perfect, lambda audio: audio), SONGS, TwoNumbers(), LISTENER)
    return PaperReport(findings, {"model": "steps"})


def test_a_perfect_player_is_at_no_distance_and_hears_every_note(report: PaperReport) -> None:
    for group in GROUPS:
        for player in ("model", "ground truth", "vocoder ceiling"):
            assert report.reconstruction(player, group) == [0.0, 0.0, 0.0]
            assert report.frechet(player, group) < 1e-6
            assert report.f1(player, group, "flat") == pytest.approx([1.0, 1.0, 1.0])


def test_controls_are_far_away(report: PaperReport) -> None:
    for group in GROUPS:
        assert report.f1("silence", group, "flat") == [0.0, 0.0, 0.0]
        assert report.f1("shuffled", group, "flat") == [0.0, 0.0, 0.0]
        assert min(report.reconstruction("silence", group)) > 0.2
        assert min(report.reconstruction("shuffled", group)) > 0.1
        assert report.frechet("silence", group) > 0.1
        assert np.isnan(report.frechet("shuffled", group))


def test_there_is_one_whole_chunk_at_each_minute(report: PaperReport) -> None:
    assert [found.minutes for found in report.findings.songs] == [[0, 1, 2], [0, 1], [0]]
    first = report.findings.songs[0]
    whole, chunks = (first.pieces["ground truth"][group] for group in GROUPS)
    assert len(whole) == 1
    assert len(whole[0].embedding) == int(130 / 1.28)
    assert [len(chunk.embedding) for chunk in chunks] == [4, 4, 4]
    truth = SONGS[0].record()
    third = Audio(truth.samples[:, 120 * RATE_HZ : 120 * RATE_HZ + 2048], RATE_HZ)
    np.testing.assert_array_equal(chunks[2].embedding, TwoNumbers()(third))
    np.testing.assert_allclose(first.written[CHUNKS][2].onset_s, [0.5, 2.5, 4.5])


def test_the_distances_are_those_of_all_frames_together() -> None:
    def louder(notes: Notes) -> Iterator[Audio]:
        for block in perfect(notes):
            yield Audio(2 * block.samples, RATE_HZ)

    found = PaperReport(evaluate_paper(PaperSubject(louder), SONGS, TwoNumbers(), LISTENER), {})
    vectors = [TwoNumbers()(item.record()) for item in SONGS]
    expected = [np.linalg.norm(rows, axis=1).mean() for rows in vectors]
    assert found.reconstruction("model", WHOLE) == pytest.approx(expected, rel=1e-5)
    one, other = (GaussianStatistics.of([k * rows for rows in vectors], 2) for k in (1, 2))
    assert found.frechet("model", WHOLE) == pytest.approx(frechet_distance(one, other), rel=1e-5)
    halves = [GaussianStatistics.of(vectors[k::2], 2) for k in (0, 1)]
    floor = found.floor(WHOLE)
    assert floor.distance == pytest.approx(frechet_distance(*halves), rel=1e-6)
    assert "vocoder ceiling" not in found.players


def test_songs_end_after_the_chunk_at_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_protocol, "MINUTES", (0, 1))
    monkeypatch.setattr(paper_protocol, "LONGEST_SONG_S", 60.0)
    monkeypatch.setattr(paper_protocol, "LONGEST_PLAYED_S", 65.12)
    asked = []

    def player(notes: Notes) -> Iterator[Audio]:
        asked.append((notes.duration_s, float(notes.onset_s.max())))
        return perfect(notes)

    found = evaluate_paper(PaperSubject(player), SONGS[:1], TwoNumbers(), LISTENER).songs[0]
    assert asked == [(65.12, 64.5)]
    assert len(found.pieces["model"][WHOLE][0].embedding) == int(60 / 1.28)
    assert len(found.written[WHOLE][0]) == 30
    assert found.minutes == [0, 1]


def test_speed_leaves_the_first_segment_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(paper_protocol, "time", SimpleNamespace(perf_counter=lambda: now_s))

    def slow_at_first() -> Iterator[Audio]:
        nonlocal now_s
        now_s += 0.3
        for _ in range(3):
            yield Audio(np.zeros((1, 80), np.float32), RATE_HZ)
            now_s += 0.01

    audio, timing = timed_stream(slow_at_first())
    assert audio.duration_s == pytest.approx(0.6)
    assert timing is not None
    assert timing == pytest.approx((0.03, 0.4))
    assert timed_stream(iter([audio]))[1] is None
    with pytest.raises(UserError, match="made no audio of a song"):
        timed_stream(iter([]))


def test_a_player_that_stops_early_is_filled_with_silence() -> None:
    def early(notes: Notes) -> Iterator[Audio]:
        yield Audio(steps(notes, notes.duration_s).samples[:, : RATE_HZ * 15], RATE_HZ)

    found = PaperReport(evaluate_paper(PaperSubject(early), SONGS[2:], TwoNumbers(), LISTENER), {})
    assert found.f1("model", WHOLE, "flat") == pytest.approx([2 * 8 / (8 + 15)])
    assert np.isnan(found.real_time_factor().value)
    assert np.isnan(found.reconstruction("shuffled", WHOLE)[0])
    assert "it needs two songs" in found.to_markdown()


def test_the_report_holds_every_row_and_is_strict_json(report: PaperReport, tmp_path: Path) -> None:
    markdown, data = report.write(tmp_path / "report")
    text = markdown.read_text("utf-8")
    for words in ("| model |", "| vocoder ceiling |", "| ground truth |", "| silence |", "| shuffled |"):
        assert text.count(words) == 2
    assert text.count("Clean floor of the Fréchet distance: ") == 2
    assert "it knows no instruments, so only flat F1 is given" in text
    assert "note F1, full" not in text
    read = json.loads(data.read_text())
    assert read["groups"][WHOLE]["audio"]["model"]["note_f1"]["flat"] == pytest.approx([1.0, 1.0, 1.0])
    assert read["groups"][WHOLE]["audio"]["shuffled"]["frechet"] is None
    assert read["groups"][CHUNKS]["clean_floor"] > 0
    assert "| 2 | 1 |" in text


def test_a_framed_vocoder_gets_the_official_log_mel_of_the_mean_channel() -> None:
    random = np.random.default_rng(0)
    samples = (0.1 * random.normal(size=(2, 16000))).astype(np.float32)
    given = []

    def vocoder(log_mel):
        given.append(log_mel)
        return log_mel.new_ones(len(log_mel) * 320)

    made = vocoder_ceiling(vocoder)(Audio(samples, 16000))
    import torch  # noqa: PLC0415

    expected = to_framed_log_mel(torch.tensor(samples.mean(axis=0))).clamp(max=4.0)
    torch.testing.assert_close(given[0], expected)
    assert made.samples.shape == (1, 16000)
    assert made.sample_rate_hz == 16000


def test_a_pipeline_is_asked_with_the_choices_and_its_vocoder_is_the_ceiling() -> None:
    asked = []

    def stream(notes: Notes, **choices: int) -> Iterator[Audio]:
        asked.append(choices)
        return perfect(notes)

    subject = pipeline_subject(
        SimpleNamespace(stream=stream, vocoder=GriffinLim(iterations=1)), seed=3, steps=2
    )
    next(subject.stream(SONGS[2].notes))
    assert asked == [{"seed": 3, "steps": 2}]
    assert subject.ceiling is not None
    tone = np.sin(np.arange(44100) * 0.05).astype(np.float32)[None]
    heard = subject.ceiling(Audio(tone, 44100))
    assert heard.samples.shape == (2, 44100 // 512 * 512)
    assert np.abs(np.fft.rfft(heard.samples[0])).argmax() == pytest.approx(0.05 * 44100 / (2 * np.pi), abs=12)
