"""Music that stands in for a model passes every gate that noise fails; the report says the same in both forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from symbolic_notes import folk, windows_of

from ondes.errors import UserError
from ondes.evaluation import compose_report
from ondes.evaluation.compose_report import ComposeReport
from ondes.evaluation.compose_run import ComposeFindings, Wish, ask_wishes, windows_of_scores, write_samples
from ondes.evaluation.infill_report import InfillOutcome
from ondes.evaluation.memorisation import to_symbols
from ondes.evaluation.symbolic_controls import noise
from ondes.evaluation.symbolic_windows import NoteWindows
from ondes.representations.ensembles import parse_ensemble
from ondes.representations.keys import KEYS, Key, parse_key
from ondes.representations.note_sequence import BarTable, NoteSequence, from_note_sequence

MUSIC_GATES = ("difference", "overlapping area", "over a control's")
STRING_QUARTET = frozenset(part.instrument for part in parse_ensemble("string quartet"))
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12])


def findings(samples: NoteWindows) -> ComposeFindings:
    train = folk(60, 2)
    return ComposeFindings(samples, folk(40, 1), train, to_symbols(train))


@pytest.fixture(scope="module", autouse=True)
def few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose_report, "RESAMPLES", 100)
        yield


def report_of(samples: NoteWindows, **more: Any) -> ComposeReport:
    made = findings(samples)
    for name, value in more.items():
        setattr(made, name, value)
    return ComposeReport.of(made, {"model": "a stand-in", "seed": 0})


def outcome(name: str, ours: float, *, changes: tuple[str, ...] = ()) -> InfillOutcome:
    scores = {"ours": ours, "previous bar": 0.3, "random": 0.1}
    return InfillOutcome(name, (2, 3), changes, scores, {who: score / 2 for who, score in scores.items()})


@pytest.fixture(scope="module")
def music(few_draws: None) -> ComposeReport:
    key = parse_key("D minor")
    good = Wish(key, key, STRING_QUARTET, STRING_QUARTET)
    stray = Wish(key, parse_key("F major"), STRING_QUARTET, STRING_QUARTET | {0})
    return report_of(
        folk(40, 3),
        rival=noise(folk(20, 4)),
        wishes=[good, good, good, stray],
        infills=[outcome("a", 0.5), outcome("b", 0.4), outcome("c", 0.6, changes=("tempos changed",))],
        batch_s=[2.0, 3.0, 7.0],
        keys_agree=[True] * 30 + [False] * 10,
    )


@pytest.fixture(scope="module")
def nothing(few_draws: None) -> ComposeReport:
    return report_of(noise(folk(40, 3)))


def row(report: ComposeReport, start: str, against: str | None = None) -> Any:
    (found,) = [
        row
        for row in report.rows
        if row.figure.startswith(start) and (against is None or row.against == against)
    ]
    return found


def verdicts(report: ComposeReport) -> dict[tuple[str, str], str]:
    return {
        (row.figure, row.against): row.verdict
        for row in report.rows
        if any(words in row.figure for words in MUSIC_GATES)
    }


def test_other_music_passes_every_gate_of_music_and_noise_none(
    music: ComposeReport, nothing: ComposeReport
) -> None:
    passed, failed = verdicts(music), verdicts(nothing)
    assert len(passed) == 2 + 6 + 3
    assert {verdict.split(",")[0] for verdict in passed.values()} == {"pass"}
    assert {verdict.split(",")[0] for verdict in failed.values()} == {"miss"}


def test_the_distance_is_below_that_of_another_model_which_is_noise(
    music: ComposeReport, nothing: ComposeReport
) -> None:
    assert row(music, "Fréchet distance over another").verdict == "pass"
    assert row(nothing, "Fréchet distance over another").verdict == "not measured"


def test_copies_of_the_training_set_are_caught(music: ComposeReport) -> None:
    copies = report_of(folk(60, 2).select(list(range(30))))
    for start in ("runs of 8", "runs of 12", "longest copied"):
        assert row(copies, start).verdict.startswith("miss")
        assert row(copies, start).value.value > 1.5 * row(music, start).value.value
    assert "longest of all 64 notes" in row(copies, "longest copied").note


def test_windows_too_thin_for_a_run_say_nothing_of_copies() -> None:
    """Not even that nothing is copied."""
    chords = windows_of([[w, p, 0, 24, 60 + p] for w in range(4) for p in range(4)])
    assert row(report_of(chords), "runs of 4").verdict == "not measured"


def test_infills_stand_above_their_baselines_and_one_change_is_one_too_many(music: ComposeReport) -> None:
    above = row(music, "infill, pitch note-F1 above", "previous bar")
    assert above.value.value == pytest.approx(0.2)
    assert above.verdict == "pass"
    assert row(music, "infill, rhythm note-F1 above", "previous bar").value.value == pytest.approx(0.1)
    assert row(music, "infill, share").value.value == pytest.approx(2 / 3)
    assert row(music, "infill, share").verdict == "miss, interval holds the bound"
    assert "* c, bars 2-3: tempos changed" in music.to_markdown()


def test_wishes_and_speed_have_their_rows(music: ComposeReport) -> None:
    assert row(music, "asked key").value.value == 0.75
    assert row(music, "asked instruments").value.value == 0.75
    assert row(music, "samples with an instrument").value.value == 0.25
    assert row(music, "the same of real music").value.value == 0.75
    assert row(music, "8 samples").value.value == 3.0
    assert row(music, "8 samples").verdict == "pass, interval holds the bound"


def test_real_music_and_controls_stand_beside(music: ComposeReport) -> None:
    entropy = music.beside["pitch-class entropy, mean"]
    assert list(entropy) == ["ours", "held-out", "train", "noise", "random pitch", "shuffled", "rival"]
    assert entropy["noise"].low > entropy["held-out"].high
    assert "train" not in music.beside["runs of 4 found in train"]
    assert music.beside["durations, overlap with held-out, share of train's"]["train"].value == pytest.approx(
        1
    )


def test_both_files_say_the_same(music: ComposeReport, tmp_path: Path) -> None:
    markdown, plain = music.write(tmp_path / "new")
    assert markdown.read_text(encoding="utf-8") == music.to_markdown()
    data = json.loads(plain.read_text(encoding="utf-8"))
    assert [one["verdict"] for one in data["rows"]] == [one.verdict for one in music.rows]
    for one in music.rows:
        assert f"| {one.verdict} |" in music.to_markdown()
    values = np.array(data["windows"]["ours"]["pitch-class entropy"])
    assert values.mean() == pytest.approx(music.beside["pitch-class entropy, mean"]["ours"].value)
    assert data["wishes"][3] == {
        "key": "D minor",
        "heard_key": "F major",
        "instruments": sorted(STRING_QUARTET),
        "used": sorted(STRING_QUARTET | {0}),
    }


def in_key(key: Key, instruments: list[int], notes: int) -> Any:
    """A walk up and down the scale, ending on the tonic chord, dealt out to the instruments."""
    scale = MAJOR if key.mode == "major" else np.array([0, 2, 3, 5, 7, 8, 10, 12])
    pitch = 60 + key.tonic + scale[np.arange(notes) % 8]
    duration = np.where(np.isin((pitch - key.tonic) % 12, (0, 3, 4, 7)), 24, 6)
    position = np.arange(notes) * 6
    zeros = np.zeros(notes, np.int64)
    sequence = NoteSequence(
        bar=position // 96,
        position=position % 96,
        offset=zeros,
        pitch=pitch.astype(np.int64),
        duration_steps=duration.astype(np.int64),
        velocity=zeros,
        instrument=np.array(instruments, np.int64)[np.arange(notes) % len(instruments)],
        part_number=zeros,
        track=zeros,
        index=zeros,
        bars=BarTable.constant(notes * 6 // 96 + 1),
    )
    return from_note_sequence(sequence)


def obedient(n: int, *, notes: int, seed: int, key: str = "C", ensemble: str = "piano") -> list[Any]:
    instruments = sorted({part.instrument for part in parse_ensemble(ensemble)})
    return [in_key(parse_key(key), instruments, notes - (seed + k == 5)) for k in range(n)]


def test_wishes_are_asked_in_every_key_and_judged_by_the_notes() -> None:
    wishes = ask_wishes(obedient, count=24, notes=48)
    assert {wish.key for wish in wishes} == set(KEYS)
    assert all(wish.key == wish.heard_key and wish.used == wish.instruments for wish in wishes)

    def stubborn(n: int, *, notes: int, seed: int, **_: str) -> list[Any]:
        return obedient(n, notes=notes, seed=seed)

    heard = ask_wishes(stubborn, count=24, notes=48)
    assert sum(wish.key == wish.heard_key for wish in heard) == 1
    assert sum(wish.used == wish.instruments for wish in heard) == 4


def test_samples_come_in_batches_of_their_own_seeds_and_short_ones_are_counted() -> None:
    asked = []

    def noted(n: int, *, notes: int, seed: int) -> list[Any]:
        asked.append((n, seed))
        return obedient(n, notes=notes, seed=seed)

    windows, shown, batch_s, short = write_samples(noted, count=19, notes=32, seed=3)
    assert asked == [(8, 3), (8, 11), (3, 19)]
    assert (len(windows), len(shown), len(batch_s), short) == (19, 4, 2, 1)
    assert windows.counts().tolist() == [32, 32, 31] + [32] * 16


def test_pieces_without_notes_are_refused() -> None:
    empty = from_note_sequence(
        NoteSequence(*(np.zeros(0, np.int64) for _ in range(10)), bars=BarTable.constant(1))
    )
    with pytest.raises(UserError, match="none of 2 pieces has notes"):
        windows_of_scores([empty, empty])
