"""`ondes evaluate separate` measures a stand-in on a folder of quartets, and refuses what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sine_pipeline import Ondes

from ondes.cli import evaluate, evaluate_separation
from ondes.evaluation import separation_report
from ondes.scores.notation import Page, to_midi

PROGRAMS = (40, 40, 41, 42)
MIDDLES = (84, 72, 60, 48)


def quartet(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    pages = [Page(f"part {number}", program) for number, program in enumerate(PROGRAMS)]
    for beat in range(20):
        for page, middle in zip(pages, MIDDLES, strict=True):
            page.note(float(beat), middle + int(random.integers(-4, 5)), 0.9, 80)
    return to_midi(pages, [(0.0, 60.0)])


class Separator:
    """Goes by register."""

    model_hash = "0" * 64
    classifier = None

    def __init__(self) -> None:
        self.seen: set[tuple[str, int | None]] = set()

    def defaults(self) -> dict[str, Any]:
        return {"steps": 8}

    def has(self, parts: Any) -> bool:
        return len(parts) == 4

    def __call__(
        self, score: Any, *, n: int, steps: int | None, method: str = "rolls", **_: Any
    ) -> SimpleNamespace:
        self.seen.add((method, steps))
        pitch = score.tracks[0].notes.numpy()["pitch"].astype(np.int64)
        labels = np.abs(pitch[:, None] - np.array(MIDDLES)).argmin(1)
        return SimpleNamespace(
            labels=np.tile(labels, (n, 1)), confidences=np.ones((n, len(pitch))), scores=[score] * n
        )


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Separator]:
    for folder, first in (("test", 0), ("train", 10)):
        (tmp_path / folder).mkdir()
        for number in range(first, first + 3):
            (tmp_path / folder / f"quartet {number}.mid").write_bytes(quartet(number))
    (tmp_path / "test" / "torn.mid").write_bytes(quartet(1)[:60])
    separator = Separator()
    monkeypatch.setattr(separation_report, "RESAMPLES", 20)
    monkeypatch.setattr(evaluate, "_machine", dict)
    monkeypatch.setattr(evaluate_separation, "load_separator", lambda *_: separator)
    monkeypatch.setattr(evaluate_separation, "_roll_model", lambda _: separator)
    return tmp_path, separator


def words(folder: Path, *more: object) -> list[object]:
    return ["evaluate", "separate", "--data", folder / "test", "--train", folder / "train", *more]


@pytest.mark.slow
def test_a_report_is_printed_and_written_with_its_pictures(
    ondes: Ondes, stage: tuple[Path, Separator]
) -> None:
    folder, separator = stage
    chosen = (
        "--groups",
        "string quartet, orchestra",
        "--notes",
        64,
        "-n",
        2,
        "--steps",
        7,
        "--roll-model",
        "x",
        "--roll-steps",
        12,
    )
    run = ondes(*words(folder, "-o", folder / "report", *chosen))
    assert run.status == 0, run.err
    assert (folder / "report" / "separation_report.md").read_text(encoding="utf-8") == run.out
    assert separator.seen == {("diffusion", 7), ("classifier", 7), ("rolls", 12)}
    assert "the data holds no orchestra" in run.err
    report = json.loads((folder / "report" / "separation_report.json").read_text(encoding="utf-8"))
    for name in ("ours", "Mixture2Music"):
        assert report["groups"]["string quartet"][name]["note accuracy"]["value"] == 1.0
    assert [song["notes"] for song in report["songs"]] == [64, 64, 64]
    assert "no classifier was given" in run.out
    for name in ("confusion.png", "string_quartet.png"):
        with Image.open(folder / "report" / name) as picture:
            assert len(set(picture.convert("RGB").resize((100, 100)).tobytes())) > 20


@pytest.mark.parametrize(
    ("groups", "words_of_error"),
    [("string quarted", "string quartet"), ("orchestra", "the data holds no orchestra to separate")],
)
def test_music_that_is_not_there_is_refused(
    ondes: Ondes, stage: tuple[Path, Separator], groups: str, words_of_error: str
) -> None:
    run = ondes(*words(stage[0], "--groups", groups))
    assert run.status == 2
    assert words_of_error in run.err
