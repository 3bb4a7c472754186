"""What a perfect editor, a careless one and a copyist look like in the report."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation.audio_clips import Clip, deal, holds_audio, read_clips, training_mels
from ondes.evaluation.audio_report import AudioReport
from ondes.evaluation.audio_rows import GATES
from ondes.evaluation.audio_run import (
    FLOOR,
    OURS,
    REAL,
    AudioSubject,
    evaluate_audio,
    noise_like,
    shuffled,
)
from ondes.evaluation.mel_statistics import MelStatistics
from ondes.evaluation.spectra import log_mel

HZ = 44_100
SECONDS = 6.5


def tune(seed: int, seconds: float = SECONDS, *, sides: float = 0.5, level: float = 0.1) -> Audio:
    """Decaying tones at random times; `sides` says how much left and right differ."""
    random = np.random.default_rng(seed)
    mono = np.zeros((2, round(seconds * HZ)), np.float32)
    for onset_s in np.sort(random.uniform(0, seconds - 0.2, round(4 * seconds))):
        first = round(onset_s * HZ)
        time_s = np.arange(min(HZ // 2, mono.shape[1] - first), dtype=np.float32) / HZ
        tone = np.exp(-5 * time_s) * np.sin(2 * np.pi * 220 * 2 ** (random.integers(30) / 12) * time_s)
        mono[:, first : first + len(time_s)] += level * tone
    noise = 0.01 * level * random.normal(size=mono.shape).astype(np.float32)
    return Audio(mono + sides * noise, HZ)


CLIPS = [Clip(f"piece {index}", 0.0, tune(index)) for index in range(6)]


def careless(audio: Audio, start_s: float, stop_s: float, _: int) -> Audio:
    """Puts a click and noise into the gap, and touches a sample beside it."""
    samples = audio.samples.copy()
    first, last = round(start_s * HZ), round(stop_s * HZ)
    samples[:, first:last] = 0.3 + 0.2 * np.random.default_rng(0).normal(size=(2, last - first))
    samples[0, first - 500] += 0.125
    return Audio(samples, HZ)


@pytest.fixture(scope="module")
def reports() -> dict[str, AudioReport]:
    """A subject that gives back what was there, and one that does everything wrong."""
    real, other = deal(CLIPS)
    training = [log_mel(tune(seed)) for seed in (100, 101)]

    def restored(kept: Audio, before_s: float, after_s: float, _: int) -> Audio:
        taken = round(before_s * HZ)
        return next(
            clip.audio
            for clip in other
            if np.array_equal(clip.audio.samples[:, taken : taken + 50], kept.samples[:, :50])
        )

    def clumsy(kept: Audio, before_s: float, after_s: float, _: int) -> Audio:
        ends = [round(seconds * HZ) for seconds in (before_s, after_s)]
        return Audio(np.pad(0.5 * kept.samples, ((0, 0), tuple(ends))), HZ)

    subjects = {
        "perfect": AudioSubject(
            generate=lambda seconds, seed: tune(200 + seed, seconds),
            inpaint=lambda audio, *_: audio,
            outpaint=restored,
            joins_s=lambda seconds: np.arange(1.0, seconds - 1, 0.7),
        ),
        "careless": AudioSubject(
            generate=lambda seconds, seed: Audio(0.25**seed * tune(100 + seed % 2, seconds).samples, HZ),
            inpaint=careless,
            outpaint=clumsy,
        ),
    }
    return {
        name: AudioReport.of(
            evaluate_audio(
                subject,
                real,
                other,
                [MelStatistics()],
                duration_s=SECONDS,
                rivals={"rival": lambda seed: noise_like(tune(seed), seed)},
                training=iter(training),
                long_s=SECONDS,
                long_pieces=1,
            ),
            {"model": name},
        )
        for name, subject in subjects.items()
    }


def verdicts(report: AudioReport) -> dict[str, str]:
    return {
        f"{row.figure} | {row.group} | {row.against}": row.verdict.split(",")[0]
        for row in report.rows
        if row.gate is not None
    }


@pytest.mark.slow
def test_an_editor_that_restores_what_was_there_passes(reports: dict[str, AudioReport]):
    found = verdicts(reports["perfect"])
    missed = {name for name, verdict in found.items() if verdict != "pass" and "seam" not in name}
    assert missed == set()
    # Borders before and after editing are then the same, whatever chance puts there.
    for task in ("inpainting", "outpainting"):
        values = [r.value.value for r in reports["perfect"].rows if "flux" in r.figure and task in r.group]
        assert values[0] == values[1]


@pytest.mark.slow
def test_a_careless_editor_misses(reports: dict[str, AudioReport]):
    found = verdicts(reports["careless"])
    expected = (
        "largest change outside the regions | inpainting",
        "largest change outside the regions | outpainting",
        "seam score, jump | inpainting",
        "loudness spread of 3, LU | ours",
        "log-mel distance less that of a baseline | gaps | linear fade",
        "distance to the nearest training stretch, smallest",
    )
    for beginning in expected:
        names = [name for name in found if name.startswith(beginning)]
        assert names, beginning
        assert {found[name] for name in names} == {"miss"}, beginning
    largest = next(row for row in reports["careless"].rows if row.group == "inpainting")
    assert largest.value.value == pytest.approx(0.125)


@pytest.mark.slow
def test_distances_put_the_floor_below_the_controls(reports: dict[str, AudioReport]):
    for figures in reports["perfect"].table.distances.values():
        assert figures[FLOOR].value < figures["noise"].value
        assert figures[FLOOR].value < figures["silence"].value
        assert figures[OURS].value < figures["rival"].value


@pytest.mark.slow
def test_every_kind_of_music_is_looked_for_in_the_training_set(reports: dict[str, AudioReport]):
    findings = reports["careless"].findings
    assert sorted(own.min() for own in findings.sets[OURS].distances)[1] < 0.2
    assert min(own.min() for own in findings.sets[FLOOR].distances) > 0.5
    assert len(findings.copies) > 0


@pytest.mark.slow
def test_the_report_is_written_with_pictures_and_sounds(reports: dict[str, AudioReport], tmp_path: Path):
    paths = reports["perfect"].write(tmp_path)
    assert {path.suffix for path in paths} == {".md", ".json", ".png", ".flac"}
    assert all(path.stat().st_size for path in paths)
    told = json.loads((tmp_path / "audio_report.json").read_text())
    assert {row["gate"] for row in told["rows"]} >= {str(GATES["seam"]), str(GATES["outside"])}
    assert len(told["clips"][REAL]) == 3
    text = (tmp_path / "audio_report.md").read_text()
    assert "![spectrograms](spectrograms.png)" in text
    assert "| largest change outside the regions | inpainting | the recording | 0.000 | ≤ 0 | pass |" in text


def test_halves_share_no_source():
    clips = [Clip(f"piece {index // 3}", index, CLIPS[0].audio) for index in range(17)]
    first, second = deal(clips)
    assert len(first) + len(second) == 17
    assert abs(len(first) - len(second)) <= 3
    assert {clip.source for clip in first}.isdisjoint(clip.source for clip in second)


def test_shuffled_audio_keeps_its_quarters_and_noise_its_power():
    audio = CLIPS[0].audio
    length = HZ // 4
    quarters = {audio.samples[:, k * length : (k + 1) * length].tobytes() for k in range(26)}
    mixed = shuffled(audio, 1).samples
    assert {mixed[:, k * length : (k + 1) * length].tobytes() for k in range(26)} == quarters
    assert not np.array_equal(mixed, audio.samples)
    power = np.sqrt(np.mean(audio.samples**2))
    assert np.std(noise_like(audio, 0).samples) == pytest.approx(power, rel=0.01)


def test_clips_of_a_folder_are_of_their_split_and_do_not_overlap(tmp_path: Path):
    for split in ("train", "test"):
        for index in range(2):
            path = tmp_path / split / f"{index}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, tune(index, 7.0).samples.T, HZ)
    (tmp_path / "test" / "broken.wav").write_text("no audio")
    assert holds_audio(f"{tmp_path}:test")
    clips = read_clips(f"{tmp_path}:test", count=20, duration_s=3.0, renderer=None)
    assert {clip.source for clip in clips} == {"test/0.wav", "test/1.wav"}
    assert len(clips) == 4
    for source in ("test/0.wav", "test/1.wav"):
        starts = sorted(clip.start_s for clip in clips if clip.source == source)
        assert np.diff(starts).min() >= 3.0
    whole = Audio.read(tmp_path / clips[0].source)
    first = round(clips[0].start_s * HZ)
    np.testing.assert_array_equal(clips[0].audio.samples, whole.samples[:, first : first + 3 * HZ])
    assert len(read_clips(f"{tmp_path}:test", count=3, duration_s=3.0, renderer=None)) == 3
    levels = list(training_mels(f"{tmp_path}:train", count=2, duration_s=3.0, renderer=None))
    assert [level.shape for level in levels] == [(2, 128, 258)] * 2


def test_scores_need_a_renderer(tmp_path: Path):
    (tmp_path / "a.mid").touch()
    assert not holds_audio(str(tmp_path))
    with pytest.raises(UserError, match="pass --soundfont"):
        read_clips(str(tmp_path), count=1, duration_s=3.0, renderer=None)


@pytest.mark.slow
def test_without_a_training_set_the_search_is_not_measured():
    real, other = deal(CLIPS[:4])
    findings = evaluate_audio(
        AudioSubject(generate=lambda seconds, seed: tune(seed, seconds)),
        real,
        other,
        [],
        duration_s=SECONDS,
    )
    report = AudioReport.of(findings, {})
    row = next(row for row in report.rows if "nearest training stretch" in row.figure)
    assert row.verdict == "not measured"
    assert math.isnan(row.value.value)
    assert "pass --train" in report.to_markdown()
