"""A batch finds its files, knows what is finished, and never takes half a result for a whole one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stand_in import Reverse, plan, write_scores

from ondes.cli.main import main
from ondes.errors import UserError
from ondes.files import file_sha256
from ondes.scores.notation import Page, to_midi
from ondes.tasks.batch import ERRORS, RECORD, Done, Worker, find_items, fingerprint, make_plan, write_errors
from ondes.tasks.kinds import TASKS
from tiny_model import save_tiny_model


def work(folder: Path, out: Path, **options: Any) -> dict[str, Done]:
    """What one worker makes of every file."""
    worker = Worker(plan(**options))
    return {item.name: worker.work(item) for item in find_items(folder, out, "score")}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_gets_a_folder_with_results_and_a_record(tmp_path):
    scores = write_scores(tmp_path / "in", song="abc", deep__er__tune="xyz")
    found = work(scores, tmp_path / "out", times=2)
    assert {name: done.status for name, done in found.items()} == {
        "song.mid": "made",
        "deep/er/tune.mid": "made",
    }
    assert (tmp_path / "out" / "song" / "song.txt").read_text() == "cbacba"
    assert (
        tmp_path / "out" / "deep" / "er" / "tune" / "record.json"
    ).read_text() == "../../../../in/deep/er/tune.mid"
    record = json.loads((tmp_path / "out" / "song" / RECORD).read_text())
    assert record == {
        "ondes_batch": 1,
        "options": {"kind": "reverse", "seed": 0, "times": 2, "words": []},
        "models": {},
        "threads": 1,
        "input": {"name": "song.mid", "sha256": file_sha256(scores / "song.mid")},
        "files": {name: file_sha256(tmp_path / "out/song" / name) for name in ("song.txt", "record.json")},
        "remarks": ["odd"],
    }


def test_finished_files_are_kept_and_what_changed_is_made_again(tmp_path):
    scores, out = write_scores(tmp_path / "in", a="aaa", b="bbb", c="ccc", d="ddd"), tmp_path / "out"
    work(scores, out)
    before = contents(out)
    assert {done.status for done in work(scores, out).values()} == {"kept"}
    (scores / "a.mid").write_text("new")
    (out / "b" / "b.txt").write_text("meddled")
    (out / "c" / RECORD).write_text("{")
    (out / "d" / "record.json").unlink()
    found = work(scores, out)
    assert {name: done.status for name, done in found.items()} == {
        "a.mid": "made",
        "b.mid": "made",
        "c.mid": "failed",
        "d.mid": "made",
    }
    assert "already exists" in found["c.mid"].reason
    assert (out / "a" / "a.txt").read_text() == "wen"
    assert contents(out / "b") | contents(out / "d") == {
        name.partition("/")[2]: data for name, data in before.items() if name[0] in "bd"
    }


@pytest.mark.parametrize("change", [{"times": 2}, {"seed": 1}, {"words": ("a",)}])
def test_other_options_make_everything_again(tmp_path, change):
    scores, out = write_scores(tmp_path / "in", a="aaa"), tmp_path / "out"
    work(scores, out)
    assert work(scores, out, **change)["a.mid"].status == "made"
    assert work(scores, out, **change)["a.mid"].status == "kept"


def test_another_model_under_the_same_name_makes_everything_again(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "reverse", Reverse)
    model = tmp_path / "model"
    write_scores(model, weights="1")  # any files do
    scores, out = write_scores(tmp_path / "in", a="aaa"), tmp_path / "out"

    def status() -> str:
        chosen = make_plan("reverse", {"model": [str(model)]})
        return Worker(chosen).work(find_items(scores, out, chosen.input_kind)[0]).status

    assert [status(), status()] == ["made", "kept"]
    write_scores(model, weights="2")
    assert [status(), status()] == ["made", "kept"]


def test_failures_are_sentences_and_leave_nothing(tmp_path):
    scores = write_scores(tmp_path / "in", bad="refuse", good="abc", worse="defect")
    out = tmp_path / "out"
    found = work(scores, out)
    assert [done.status for done in found.values()] == ["failed", "made", "failed"]
    assert found["bad.mid"].reason == "../../in/bad.mid is refused; give another"
    assert found["worse.mid"].reason == "KeyError: 'defect'"
    assert sorted(path.name for path in out.iterdir()) == ["good"]
    write_scores(out / ".ondes-good", half="of an earlier worker")
    assert work(scores, out, times=2)["good.mid"].status == "made"
    assert sorted(path.name for path in out.iterdir()) == ["good"]
    place = out / ERRORS
    assert write_errors(out, [found["worse.mid"], found["bad.mid"]]) == place
    rows = [json.loads(line) for line in place.read_text().splitlines()]
    assert [row["input"] for row in rows] == ["bad.mid", "worse.mid"]
    assert write_errors(out, []) is None
    assert not place.exists()


def test_files_of_one_name_keep_their_suffix(tmp_path):
    scores = write_scores(tmp_path / "in", a="1", b="2", b__c="3", d="4")
    (scores / "a.MXL").write_text("5")
    (scores / ".hidden.mid").write_text("6")
    (scores / "notes.txt").write_text("7")
    out = scores / "results"
    write_scores(out, old="8")
    targets = {
        item.name: item.target.relative_to(out).as_posix() for item in find_items(scores, out, "score")
    }
    assert targets == {"a.MXL": "a.MXL", "a.mid": "a.mid", "b.mid": "b.mid", "b/c.mid": "b/c", "d.mid": "d"}


def test_folders_without_files_are_refused(tmp_path):
    scores = write_scores(tmp_path / "in", a="1")
    with pytest.raises(UserError, match="holds no audio files"):
        find_items(scores, tmp_path / "out", "audio")
    with pytest.raises(UserError, match="is no folder"):
        find_items(scores / "a.mid", tmp_path / "out", "score")
    with pytest.raises(UserError, match="give results another folder"):
        find_items(scores, scores, "score")


def test_words_become_the_options_of_the_task():
    chosen = make_plan("synth", {"steps": ["4"], "stems": ["true"], "model": ["synth-small"]})
    assert chosen.kind == "synthesize"
    assert chosen.asked()["options"]["steps"] == 4
    assert chosen.models == {"model": fingerprint("synth-small")}
    assert len(chosen.models["model"]) == 64
    keep = make_plan("compose", {"verb": ["vary"], "keep": ["rhythm"]})
    assert keep.asked()["options"]["keep"] == ["rhythm"]
    assert make_plan("infill", {"bars": ["2", "4"]}).asked()["options"]["bars"] == [2, 4]
    assert make_plan("extend", {}).asked()["options"]["verb"] == "extend"
    assert make_plan("inpaint", {"regions": ["1-2"]}).input_kind == "audio"


@pytest.mark.parametrize(
    ("kind", "words", "message"),
    [
        ("synt", {}, "did you mean 'synth"),
        ("generate", {}, "a batch of 'generate' is impossible"),
        ("interpolate", {}, "a batch of 'interpolate' is impossible"),
        ("compose", {}, "new pieces need no files"),
        ("synth", {"score": ["a.mid"]}, "leave score out"),
        ("separate", {"given": ["a.mid"]}, "leave given out"),
        ("synth", {"step": ["4"]}, "did you mean 'steps'"),
        ("synth", {"steps": ["0"]}, "steps is '0': 1 or more"),
        ("synth", {"steps": ["4", "5"]}, "steps"),
    ],
)
def test_what_no_batch_can_do_is_refused(kind, words, message):
    with pytest.raises(UserError, match=message):
        make_plan(kind, words)


@pytest.mark.slow
def test_a_score_that_is_called_like_anything_gets_what_the_command_makes(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    scores, out = tmp_path / "in", tmp_path / "out"
    scores.mkdir()
    pages = [Page("Piano", 0)]
    pages[0].note(0, 60, 0.5, 90)
    for name in ("batch", "errors"):
        (scores / f"{name}.mid").write_bytes(to_midi(pages, [(0.0, 120.0)]))
    chosen = make_plan("synth", {"model": [str(model)], "steps": ["1"], "seed": ["3"]})
    worker = Worker(chosen)
    items = find_items(scores, out, "score")
    assert [worker.work(item).status for item in items] == ["made", "made"]
    assert [worker.work(item).status for item in items] == ["kept", "kept"]
    words = ["synth", scores / "batch.mid", "-o", tmp_path / "alone.wav", "--model", model]
    with pytest.raises(SystemExit):
        main([*map(str, words), "--steps", "1", "--seed", "3", "--threads", "1"])
    assert file_sha256(out / "batch" / "batch.wav") == file_sha256(tmp_path / "alone.wav")
    assert json.loads((out / "batch" / "batch.json").read_text())["model"]["name"] == "../../model"
