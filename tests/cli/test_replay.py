from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sine_pipeline import Ondes, SinePipeline

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def rendered(ondes: Ondes, sines: SinePipeline, song: Path) -> Path:
    """The sidecar of a rendering of the song."""
    assert ondes("synth", song, "-o", song.with_suffix(".flac"), "--seed", 5).status == 0
    return song.with_suffix(".json")


def _edit(sidecar: Path, change: Edit) -> None:
    card = json.loads(sidecar.read_text())
    change(card)
    sidecar.write_text(json.dumps(card))


def test_a_replay_makes_the_same_bytes(ondes: Ondes, rendered: Path) -> None:
    audio = rendered.with_suffix(".flac")
    before = audio.read_bytes()
    audio.unlink()
    run = ondes("replay", rendered)
    assert run.status == 0
    assert "same bytes" in run.err
    assert audio.read_bytes() == before


def test_ogg_is_replayed_to_the_byte_too(ondes: Ondes, sines: SinePipeline, song: Path) -> None:
    ondes("synth", song, "-o", song.with_suffix(".ogg"))
    assert ondes("replay", song.with_suffix(".json"), "-o", song.with_name("again.ogg")).status == 0
    assert song.with_name("again.ogg").read_bytes() == song.with_suffix(".ogg").read_bytes()


def test_stems_are_replayed_to_the_byte(ondes: Ondes, sines: SinePipeline, song: Path) -> None:
    folder = song.with_name("out")
    ondes("synth", song, "-o", folder, "--stems", "--seed", 2)
    before = {file.name: file.read_bytes() for file in folder.glob("*.wav")}
    again = song.with_name("again")
    assert ondes("replay", folder / "mix.json", "-o", again).status == 0
    assert {file.name: file.read_bytes() for file in again.iterdir()} == before


def test_a_changed_score_is_refused(ondes: Ondes, rendered: Path, song: Path) -> None:
    song.write_bytes(song.read_bytes().replace(b"Bass", b"Base"))
    run = ondes("replay", rendered)
    assert run.status == 2
    assert "song.mid is not the one that was played" in run.err


def test_a_score_that_moved_is_given_by_hand(ondes: Ondes, rendered: Path, song: Path) -> None:
    moved = song.rename(song.with_name("moved.mid"))
    assert "pass --score" in ondes("replay", rendered).err
    assert ondes("replay", rendered, "--score", moved).status == 0


def test_another_model_is_refused(
    ondes: Ondes, sines: SinePipeline, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sines, "model_hash", "ab" * 32)
    run = ondes("replay", rendered)
    assert run.status == 2
    assert "model synth-small is not the one that was played" in run.err


def test_other_versions_are_mentioned(ondes: Ondes, rendered: Path) -> None:
    _edit(rendered, lambda card: card["versions"].update(torch="2.6.0"))
    run = ondes("replay", rendered)
    assert run.status == 0
    assert "torch was 2.6.0 and is" in run.err


def test_other_bytes_leave_the_rendering_alone_and_fail(ondes: Ondes, rendered: Path) -> None:
    audio = rendered.with_suffix(".flac")
    before = audio.read_bytes()
    _edit(rendered, lambda card: card["settings"].update(seed=6))
    run = ondes("replay", rendered)
    assert run.status == 1
    assert "bytes differ" in run.err
    assert audio.read_bytes() == before
    assert (audio.parent / "song.replay.flac").read_bytes() != before


def test_an_edited_rendering_is_not_overwritten(ondes: Ondes, rendered: Path) -> None:
    rendered.with_suffix(".flac").write_bytes(b"mastered")
    run = ondes("replay", rendered)
    assert run.status == 2
    assert "has changed since it was rendered" in run.err


def test_another_format_is_refused(ondes: Ondes, rendered: Path) -> None:
    assert "another file format" in ondes("replay", rendered, "-o", rendered.with_suffix(".wav")).err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("ondes_sidecar"), "is not a sidecar"),
        (lambda card: card.update(ondes_sidecar=99), "format 99"),
        (lambda card: card.pop("score"), "no field 'score'"),
        (lambda card: card["settings"].update(sede=1), "unknown field 'sede', did you mean 'seed'"),
        (lambda card: card["settings"].update(seed="seven"), "seed is 'seven'"),
        (lambda card: card["settings"].pop("seed"), "seed"),
        (lambda card: card["output"].update(file="../../song.flac"), "not a plain file name"),
        (lambda card: card.update(model=3), "where an object belongs"),
    ],
)
def test_a_damaged_sidecar_is_explained(change: Edit, message: str, ondes: Ondes, rendered: Path) -> None:
    _edit(rendered, change)
    run = ondes("replay", rendered)
    assert run.status == 2
    assert run.err.count("\n") == 1
    assert message in run.err


def test_a_sidecar_must_be_there_and_be_json(ondes: Ondes, song: Path) -> None:
    assert "No such file" in ondes("replay", song.with_name("none.json")).err
    assert "is not JSON" in ondes("replay", song).err
