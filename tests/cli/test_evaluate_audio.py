"""`ondes evaluate audio` measures a tiny model on a folder of audio, and refuses what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sine_pipeline import Ondes

from ondes.cli import evaluate, evaluate_audio
from ondes.evaluation import audio_rows
from ondes.evaluation.audio_run import AudioSubject
from ondes.evaluation.mel_statistics import MelStatistics
from ondes.pipelines.audio import AudioPipeline
from tiny_model import save_tiny_audio  # pyright: ignore[reportMissingImports]

HZ = 44_100


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two splits of noise that comes and goes."""
    monkeypatch.setattr(evaluate, "_machine", dict)
    monkeypatch.setattr(audio_rows, "FRECHET_DRAWS", 5)
    monkeypatch.setattr(
        evaluate_audio, "QUICK", {"clips": 2, "seconds": 6.0, "train_clips": 1, "long_pieces": 1}
    )
    monkeypatch.setattr(evaluate_audio, "LONG_S", 2.0)
    monkeypatch.setattr(evaluate_audio, "_embeddings", lambda *_: [MelStatistics()])
    random = np.random.default_rng(0)
    for split, number in (("train", 1), ("test", 4)):
        (tmp_path / "music" / split).mkdir(parents=True)
        for index in range(number):
            swell = np.abs(np.sin(np.arange(6 * HZ) / HZ * (2 + index)))[:, None]
            noise = 0.1 * swell * random.normal(size=(6 * HZ, 2))
            soundfile.write(tmp_path / "music" / split / f"{index}.wav", noise, HZ)
    return tmp_path / "music"


@pytest.mark.slow
def test_a_tiny_model_keeps_what_must_stay_and_is_reported(ondes: Ondes, music: Path, tmp_path: Path) -> None:
    model = save_tiny_audio(tmp_path / "tiny")
    words: list[Any] = ["evaluate", "audio", "--model", model, "--data", f"{music}:test", "--quick"]
    run = ondes(*words, "--rival", music / "train", "-o", tmp_path / "report")
    assert run.status == 0, run.err
    report = json.loads((tmp_path / "report" / "audio_report.json").read_text(encoding="utf-8"))
    assert report["settings"]["training set"] == f"{music}:train"
    rows = {(row["figure"], row["group"]): row for row in report["rows"]}
    for task in ("inpainting", "outpainting"):
        assert rows["largest change outside the regions", task]["value"]["value"] == 0.0
    assert ("Fréchet distance, log-mel", "rival train") in rows
    assert ("seam score, flux", "joins of windows in long pieces") in rows
    text = (tmp_path / "report" / "audio_report.md").read_text(encoding="utf-8")
    assert text.startswith(run.out.rstrip())


def test_a_subject_tells_where_its_windows_are_joined(tmp_path: Path) -> None:
    folder = save_tiny_audio(tmp_path / "tiny")
    subject, about = evaluate_audio.audio_subject(str(folder), 3)
    pipeline = AudioPipeline.from_pretrained(folder)
    assert isinstance(subject, AudioSubject)
    assert subject.joins_s is not None
    joins = subject.joins_s(2.0)
    assert len(joins) >= 2
    assert np.allclose(np.diff(joins * HZ / 512) % 1, 0)
    assert (about["steps"], about["model_hash"]) == (3, pipeline.model_hash)


def test_too_little_data_is_refused(ondes: Ondes, music: Path, tmp_path: Path) -> None:
    model = save_tiny_audio(tmp_path / "tiny")
    for path in sorted((music / "test").iterdir())[1:]:
        path.unlink()
    run = ondes("evaluate", "audio", "--model", model, "--data", f"{music}:test", "--quick")
    assert run.status == 2
    assert "gave 1 clips of 6 s; at least two of two sources each are needed" in run.err
