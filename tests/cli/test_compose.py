"""`ondes compose`: its options, files, records, replays and refusals; the composer itself is a stand-in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sine_pipeline import Ondes, SinePipeline
from symusic.core import NoteTick, ScoreTick, TrackTick

from ondes.cli import composing
from ondes.score import read_score


class ScaleComposer:
    """Writes scales whose first note is the seed, and remembers what it was asked."""

    model_hash = "c0" * 32
    verbs = ("generate", "extend", "infill", "vary")

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.interrupt = False

    def defaults(self) -> dict[str, Any]:
        return {"steps": 9}

    def generate(self, n: int, **choices: Any) -> list[ScoreTick]:
        return self._made("generate", [ScoreTick(480)] * n, choices)

    def extend(self, scores: list[ScoreTick], **choices: Any) -> list[ScoreTick]:
        return self._made("extend", scores, choices)

    def infill(self, scores: list[ScoreTick], **choices: Any) -> list[ScoreTick]:
        return self._made("infill", scores, choices)

    def vary(self, scores: list[ScoreTick], **choices: Any) -> list[ScoreTick]:
        return self._made("vary", scores, choices)

    def _made(self, verb: str, scores: list[ScoreTick], choices: dict[str, Any]) -> list[ScoreTick]:
        progress = choices.pop("progress")
        self.asked.append((verb, choices))
        progress(1.0, 2.0)
        if self.interrupt:
            raise KeyboardInterrupt
        made = [score.copy() for score in scores]
        for item, score in enumerate(made):
            score.tracks.append(TrackTick("scale", 3))
            for step in range(5):
                score.tracks[-1].notes.append(
                    NoteTick(step * 240, 240, 40 + choices["seed"] + item + step, 80)
                )
        return made


@pytest.fixture
def composer(monkeypatch: pytest.MonkeyPatch) -> ScaleComposer:
    made = ScaleComposer()
    monkeypatch.setattr(composing, "load_composer", lambda *_: made)
    return made


def first_pitch(path: Path) -> int:
    return read_score(path).tracks[-1].notes[0].pitch


def test_a_piece_is_written_with_its_record(ondes: Ondes, composer: ScaleComposer, tmp_path: Path) -> None:
    run = ondes("compose", "-o", tmp_path / "piece.mid", "--seed", 3, "--key", "D minor", "--steps", 7)
    assert (run.status, run.out) == (0, "")
    assert "piece.mid: 5 notes in" in run.err
    assert first_pitch(tmp_path / "piece.mid") == 43
    assert composer.asked == [("generate", {"seed": 3, "key": "D minor", "steps": 7})]
    record = json.loads((tmp_path / "piece.json").read_text())
    assert record["choices"] == {"steps": 7, "seed": 3, "key": "D minor"}
    assert (record["verb"], record["count"], record["score"]) == ("generate", 1, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["piece.json", "piece.mid"]


def test_every_wish_reaches_the_composer(ondes: Ondes, composer: ScaleComposer, tmp_path: Path) -> None:
    words = ["--notes", 256, "--key", "D minor", "--tempo", 96, "--metre", "3/4", "--for", "string quartet"]
    words += ["--density", 2.5, "--style", "bach", "--chords", "Dm | A", "--scale", "strict"]
    words += ["--temperature", 0.9, "--guidance", 2, "--seed", 3]
    assert ondes("compose", "-n", 8, "-o", tmp_path / "out", *words).status == 0
    ((verb, choices),) = composer.asked
    assert verb == "generate"
    assert choices == {
        "notes": 256,
        "key": "D minor",
        "tempo": 96.0,
        "metre": "3/4",
        "ensemble": "string quartet",
        "density": 2.5,
        "style": "bach",
        "chords": "Dm | A",
        "scale": "strict",
        "temperature": 0.9,
        "guidance_scale": 2.0,
        "seed": 3,
    }
    names = [f"{number:02}.mid" for number in range(1, 9)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [*names, "composition.json"]
    assert [first_pitch(tmp_path / "out" / name) for name in names] == list(range(43, 51))


@pytest.mark.parametrize(
    ("words", "verb", "choices", "name"),
    [
        (["--continue", "{}", "--notes", 128], "extend", {"notes": 128}, "song.continued.mid"),
        (["--infill", "{}", "--bars", "9-12"], "infill", {"bars": (9, 12)}, "song.infilled.mid"),
        (["--infill", "{}", "--bars", "9"], "infill", {"bars": (9, 9)}, "song.infilled.mid"),
        (["--infill", "{}", "--track", 2], "infill", {"track": 2}, "song.infilled.mid"),
        (
            ["--vary", "{}", "--strength", 0.4, "--keep", "rhythm"],
            "vary",
            {"strength": 0.4, "keep": ("rhythm",)},
            "song.varied.mid",
        ),
    ],
)
def test_a_score_is_edited_and_the_edit_replayed(
    ondes: Ondes,
    composer: ScaleComposer,
    song: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[Any],
    verb: str,
    choices: dict[str, Any],
    name: str,
) -> None:
    monkeypatch.chdir(song.parent)
    assert ondes("compose", *[song if word == "{}" else word for word in words]).status == 0
    assert composer.asked == [(verb, {"seed": 0} | choices)]
    before = (song.parent / name).read_bytes()
    (song.parent / name).unlink()
    run = ondes("replay", Path(name).with_suffix(".json"))
    assert (run.status, composer.asked[1]) == (0, (verb, {"seed": 0, "steps": 9} | choices))
    assert "The same bytes again" in run.err
    assert (song.parent / name).read_bytes() == before


def test_a_replay_of_several_scores_notices_what_differs(
    ondes: Ondes, composer: ScaleComposer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    assert ondes("compose", "-n", 2, "-o", folder).status == 0
    assert ondes("replay", folder / "composition.json", "-o", tmp_path / "again").status == 0
    assert (tmp_path / "again" / "02.mid").read_bytes() == (folder / "02.mid").read_bytes()
    written = composing.run

    def other(*order: Any, **label: Any) -> list[ScoreTick]:
        return list(reversed(written(*order, **label)))

    monkeypatch.setattr(composing, "run", other)
    run = ondes("replay", folder / "composition.json")
    assert run.status == 1
    assert "the bytes differ" in run.err
    composer.model_hash = "00" * 32
    assert "is not the one that was played" in ondes("replay", folder / "composition.json").err


def test_the_score_of_a_replay_has_to_be_the_same(
    ondes: Ondes, composer: ScaleComposer, song: Path, tmp_path: Path
) -> None:
    assert ondes("compose", "--vary", song, "-o", tmp_path / "new.mid").status == 0
    song.write_bytes(song.read_bytes() + b"\0")
    run = ondes("replay", tmp_path / "new.json")
    assert run.status == 2
    assert "pass the original with --score" in run.err


def test_music_goes_straight_through_the_synthesiser(
    ondes: Ondes, composer: ScaleComposer, sines: SinePipeline, tmp_path: Path
) -> None:
    run = ondes("compose", "-o", tmp_path / "piece.mid", "--audio", tmp_path / "piece.wav")
    assert run.status == 0
    names = ["piece.json", "piece.mid", "piece.wav", "piece.wav.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    (tmp_path / "piece.wav").unlink()
    assert ondes("replay", tmp_path / "piece.wav.json").status == 0
    run = ondes("compose", "-n", 2, "-o", tmp_path / "out", "--audio", tmp_path / "out")
    assert run.status == 0
    assert {"01.wav", "02.wav", "01.wav.json"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_a_stop_leaves_nothing(ondes: Ondes, composer: ScaleComposer, tmp_path: Path) -> None:
    composer.interrupt = True
    assert ondes("compose", "-n", 2, "-o", tmp_path / "out").status == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--key", "H blunt major"], "H blunt major"),
        pytest.param(["--metre", "4/5"], "no 1/5 note", marks=pytest.mark.slow),
        pytest.param(["--for", "violinn"], "did you mean 'violin'", marks=pytest.mark.slow),
        pytest.param(["--chords", "C | Xm"], "Xm", marks=pytest.mark.slow),
        (["--notes", 3, "--bars", 2], "both say how long"),
        pytest.param(["--bars", "9-12"], "no number of bars", marks=pytest.mark.slow),
        (["--track", 2], "--track belongs to --infill"),
        pytest.param(["--keep", "rhythm"], "--keep belongs to --vary", marks=pytest.mark.slow),
        (["--continue", "{}", "--tempo", 90], "--continue keeps the score's own"),
        pytest.param(
            ["--continue", "{}", "--vary", "{}"],
            "--continue and --vary are different",
            marks=pytest.mark.slow,
        ),
        (["--infill", "{}"], "needs to know what"),
        pytest.param(["--infill", "{}", "--bars", "12-9"], "no range of bars", marks=pytest.mark.slow),
        (["--infill", "{}", "--bars", 3, "--for", "cello"], "add --track"),
        pytest.param(
            ["--infill", "{}", "--track", 1, "--notes", 9], "--infill takes none", marks=pytest.mark.slow
        ),
        pytest.param(["--infill", "nowhere.mid", "--track", 1], "does not exist", marks=pytest.mark.slow),
        (["-o", "piece.wav"], "no MIDI suffix"),
        pytest.param(["-o", "piece.mid", "-n", 2], "looks like a file", marks=pytest.mark.slow),
        (["--audio", "piece.xyz"], "xyz"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    ondes: Ondes,
    composer: ScaleComposer,
    song: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[Any],
    message: str,
) -> None:
    monkeypatch.chdir(song.parent)
    run = ondes("compose", *[song if word == "{}" else word for word in words])
    assert run.status == 2
    assert message in " ".join(run.err.split())
    assert composer.asked == []
    assert [path.name for path in song.parent.iterdir()] == [song.name]


def test_somebodys_own_json_is_not_overwritten(ondes: Ondes, composer: ScaleComposer, tmp_path: Path) -> None:
    (tmp_path / "piece.json").write_text('{"mine": true}')
    run = ondes("compose", "-o", tmp_path / "piece.mid")
    assert run.status == 2
    assert "is no record of ondes; pass --no-sidecar or another -o" in run.err
    assert ondes("compose", "-o", tmp_path / "piece.mid", "--no-sidecar").status == 0
    (tmp_path / "new.wav.json").write_text('{"mine": true}')
    run = ondes("compose", "-o", tmp_path / "new.mid", "--audio", tmp_path / "new.wav")
    assert run.status == 2
    assert "new.wav.json exists and is no record of ondes; pass --no-sidecar or another --audio" in run.err
    assert not (tmp_path / "new.mid").exists()


def test_the_record_of_a_sound_stays_when_a_score_of_its_name_is_composed(
    ondes: Ondes, composer: ScaleComposer, tmp_path: Path
) -> None:
    (tmp_path / "piece.json").write_text('{"ondes_audio": 1, "output": {"file": "piece.wav"}}')
    for _ in range(2):
        assert ondes("compose", "-o", tmp_path / "piece.mid").status == 0
    names = ["piece.json", "piece.mid", "piece.mid.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert "ondes_audio" in (tmp_path / "piece.json").read_text()
    assert ondes("replay", tmp_path / "piece.mid.json").status == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ondes_composition": 99}, "composition format 99"),
        pytest.param({"count": "two"}, "damaged composition", marks=pytest.mark.slow),
        ({"extra": 1}, "damaged composition"),
        pytest.param({"outputs": {"../piece.mid": "0"}}, "no plain file name", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_record_is_refused(
    ondes: Ondes, composer: ScaleComposer, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    assert ondes("compose", "-o", tmp_path / "piece.mid").status == 0
    path = tmp_path / "piece.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    run = ondes("replay", path)
    assert run.status == 2
    assert message in " ".join(run.err.split())
