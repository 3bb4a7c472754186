"""`ondes evaluate compose` measures a stand-in on a folder of tunes, and refuses what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sine_pipeline import Ondes

from ondes.cli import composing, evaluate
from ondes.datasets.note_cache import build_note_cache
from ondes.evaluation import compose_report
from ondes.representations.ensembles import parse_ensemble
from ondes.score import read_score
from ondes.scores.notation import Page, to_midi

SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def tune(seed: int, *, notes: int = 48, programs: tuple[int, ...] = (0,)) -> bytes:
    random = np.random.default_rng(seed)
    pages = [Page(f"part {program}", program) for program in programs]
    for beat in range(notes):
        pages[beat % len(pages)].note(beat / 4, 60 + SCALE[random.integers(8)], 0.25, 80)
    return to_midi(pages, [(0.0, 60.0)])


class Composer:
    """Writes tunes, and infills with what was there."""

    model_hash = "0" * 64
    verbs: tuple[str, ...] = ("generate", "infill")

    def __init__(self) -> None:
        self.seen_steps: set[int | None] = set()

    def defaults(self) -> dict[str, Any]:
        return {"steps": 24, "temperature": 1.0}

    def generate(self, n: int, *, notes: int, seed: int, steps: int | None, **wishes: str) -> list[Any]:
        self.seen_steps.add(steps)
        parts = parse_ensemble(wishes.get("ensemble", "piano"))
        programs = tuple(sorted({part.instrument for part in parts}))
        return [read_score(tune(1000 + seed + k, notes=notes, programs=programs)) for k in range(n)]

    def infill(self, score: Any, **_: Any) -> Any:
        return score.copy()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Composer]:
    for folder, first in (("test", 0), ("train", 100)):
        (tmp_path / folder).mkdir()
        for number in range(first, first + 6):
            (tmp_path / folder / f"tune {number}.mid").write_bytes(tune(number))
    (tmp_path / "test" / "torn.mid").write_bytes(tune(1)[:60])
    composer = Composer()
    monkeypatch.setattr(compose_report, "RESAMPLES", 20)
    monkeypatch.setattr(
        evaluate, "_machine", dict
    )  # it imports torch and diffusers, and has its tests elsewhere
    monkeypatch.setattr(composing, "load_composer", lambda *_: composer)
    return tmp_path, composer


def words(folder: Path, *more: object) -> list[object]:
    fixed = ["evaluate", "compose", "--data", folder / "test", "--train", folder / "train"]
    return [*fixed, "--notes", 32, "--samples", 9, "--wishes", 3, "--infills", 2, "--workers", 1, *more]


@pytest.mark.slow
def test_a_report_is_printed_and_written_with_its_pictures(
    ondes: Ondes, stage: tuple[Path, Composer]
) -> None:
    folder, composer = stage
    run = ondes(*words(folder, "-o", folder / "report", "--steps", 7, "--rival", folder / "train"))
    assert run.status == 0, run.err
    assert (folder / "report" / "compose_report.md").read_text(encoding="utf-8") == run.out
    report = json.loads((folder / "report" / "compose_report.json").read_text(encoding="utf-8"))
    assert composer.seen_steps == {7}
    assert report["settings"]["steps"] == 7
    assert "held-out: 1 of 7 scores are damaged" in run.err
    rows = {(row["figure"], row["against"]): row for row in report["rows"]}
    assert rows["infill, share with the rest identical", "-"]["verdict"] == "pass"
    assert rows["infill, pitch note-F1", "-"]["value"]["value"] == 1.0
    assert rows["asked instruments = used", "-"]["value"]["value"] == 1.0
    assert len(report["windows"]["ours"]["sources"]) == 9
    assert len(report["batch_s"]) == 1
    for name in ("samples.png", "figures.png"):
        with Image.open(folder / "report" / name) as picture:
            assert len(set(picture.convert("RGB").resize((100, 100)).tobytes())) > 20


def test_quick_makes_do_with_less_and_says_so(
    ondes: Ondes, stage: tuple[Path, Composer], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ondes.cli import evaluate_compose  # noqa: PLC0415

    monkeypatch.setattr(evaluate_compose, "QUICK", evaluate_compose.QUICK | {"samples": 4, "train_songs": 3})
    run = ondes(*words(stage[0], "--quick"))
    assert run.status == 0, run.err
    assert "only 3 training scores" in run.out
    assert "Windows: ours 4, held-out 6, train 3" in run.out


def test_music_that_is_too_short_for_a_window_is_refused(ondes: Ondes, stage: tuple[Path, Composer]) -> None:
    run = ondes(*words(stage[0], "--notes", 500))
    assert run.status == 2
    assert "none of 7 scores has 500 notes" in run.err


def test_a_rival_without_music_is_refused_before_the_work(ondes: Ondes, stage: tuple[Path, Composer]) -> None:
    (stage[0] / "empty").mkdir()
    run = ondes(*words(stage[0], "--rival", stage[0] / "empty"))
    assert run.status == 2
    assert "holds no MIDI files" in run.err
    assert not stage[1].seen_steps


def test_a_model_that_only_writes_is_measured_by_what_it_writes(
    ondes: Ondes, stage: tuple[Path, Composer], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, composer = stage
    monkeypatch.setattr(composer, "verbs", ("generate",))
    monkeypatch.setattr(composer, "choices", ("notes", "seed", "steps"), raising=False)
    (folder / "rival").mkdir()
    (folder / "rival" / "config.json").write_text("{}")
    run = ondes(*words(folder, "--rival", folder / "rival", "--rival-steps", 5))
    assert run.status == 0, run.err
    assert composer.seen_steps == {None, 5}
    assert "| infill (none were asked for, or the model has none) |" in run.out
    assert "| wishes (none were asked for, or the model takes none) |" in run.out
    assert "rival 9" in run.out


@pytest.mark.slow
def test_notes_kept_for_training_are_read_instead_of_the_scores(
    ondes: Ondes, stage: tuple[Path, Composer]
) -> None:
    folder, _ = stage
    plain = ondes(*words(folder))
    build_note_cache(str(folder / "train"), folder / "cache")
    chosen = words(folder)
    chosen[chosen.index(folder / "train")] = folder / "cache"
    for file in (folder / "train").iterdir():
        file.unlink()
    cached = ondes(*chosen)
    assert cached.status == 0, cached.err
    tables = [run.out.split("## Beside real music and controls")[1] for run in (plain, cached)]
    columns = [[line.split("|")[4] for line in table.splitlines() if line.count("|") > 5] for table in tables]
    assert columns[0] == columns[1]
    assert len(columns[0]) > 10
