"""A task writes its files and a record from which `ondes replay` makes the same bytes."""

from __future__ import annotations

import logging
import threading
import warnings
from contextvars import copy_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_bench import Studio

from ondes.audio import Audio
from ondes.cli.main import main
from ondes.errors import UserError
from ondes.score import read_score
from ondes.tasks.kinds import read_task
from ondes.tasks.shelf import ModelShelf
from ondes.tasks.working import PACKAGE, remarks

RUNS: list[tuple[dict[str, Any], list[str]]] = [
    ({"kind": "synthesize", "score": "x"}, ["audio.wav"]),
    ({"kind": "synthesize", "score": "x", "stems": True}, ["mix.wav", "01-piano.wav", "02-bass.wav"]),
    ({"kind": "compose", "notes": 6, "n": 2, "key": "D minor"}, ["01.mid", "02.mid"]),
    ({"kind": "compose", "verb": "infill", "score": "x", "bars": [1, 1], "track": 2}, ["score.mid"]),
    ({"kind": "compose", "verb": "vary", "score": "x", "keep": ["rhythm"]}, ["score.mid"]),
    ({"kind": "separate", "score": "x", "into": "piano, cello", "given": "y", "n": 2}, ["01.mid", "02.mid"]),
    ({"kind": "generate", "duration_s": 0.5, "style": "piano", "format": "flac"}, ["audio.flac"]),
    ({"kind": "generate", "duration_s": 0.4, "n": 2}, ["01.wav", "02.wav"]),
    ({"kind": "vary", "audio": "x", "loudness_lufs": -20}, ["audio.wav"]),
    ({"kind": "interpolate", "first": "x", "second": "y", "method": "inversion"}, ["audio.wav"]),
    ({"kind": "inpaint", "audio": "x", "regions": "0.5-0.8"}, ["audio.wav"]),
    ({"kind": "inpaint", "audio": "x", "regions": "0.5-0.6", "score": "x"}, ["audio.wav"]),
    ({"kind": "outpaint", "audio": "x", "after_s": 0.3}, ["audio.wav"]),
]
LONGEST = ("stems", "track", "method")
"""Options of tasks that take long with nothing new to the record."""
MODELS = {"synthesize": "synth", "compose": "composer", "separate": "separator"}


def task_of(options: dict[str, Any], tiny: Studio) -> Any:
    kind = "synthesize" if options["kind"] == "inpaint" and "score" in options else options["kind"]
    model = tiny.folder / MODELS.get(kind, "audio")
    return read_task(options | {"model": str(model), "seed": 5})


def replayed(record: Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        main(["replay", str(record)])
    return int(leaving.value.code or 0)


@pytest.mark.parametrize(
    ("options", "files"),
    [
        pytest.param(
            *run, id=f"{run[0]['kind']}-{number}", marks=[pytest.mark.slow] * bool({*LONGEST} & {*run[0]})
        )
        for number, run in enumerate(RUNS)
    ],
)
@pytest.mark.filterwarnings("ignore:the score is separate")
def test_every_task_is_replayed_to_the_same_bytes(
    options: dict[str, Any], files: list[str], tiny: Studio
) -> None:
    made, outcome = tiny.run(task_of(options, tiny))
    names = [one.name for one in outcome.files]
    assert names[: len(files)] == files
    assert sorted(names) == sorted(path.name for path in made.iterdir())
    records = [one.name for one in outcome.files if one.kind == "record"]
    assert records == (
        ["01.json", "02.json"] if options.get("n") == 2 and options["kind"] == "generate" else ["record.json"]
    )
    for name in files:
        (made / name).rename(made / f"{name}.first")
    for record in records:
        assert replayed(made / record) == 0
    for name in files:
        assert (made / name).read_bytes() == (made / f"{name}.first").read_bytes()


def test_blocks_are_heard_while_they_are_made_and_make_up_the_file(tiny: Studio) -> None:
    heard: list[Audio] = []
    told: list[tuple[float, float, int]] = []
    made, _ = tiny.run(
        task_of({"kind": "synthesize", "score": "x"}, tiny),
        on_block=heard.append,
        progress=lambda done, total: told.append((done, total, len(heard))),
    )
    written = Audio.read(made / "audio.wav").samples
    whole = np.concatenate([block.samples for block in heard], 1)
    assert len(heard) >= 3
    assert whole.shape == written.shape
    assert np.abs(whole - written).max() < 2**-15
    assert told[0][2] < len(heard)
    assert [one[0] for one in told] == sorted(one[0] for one in told)
    assert told[-1][0] >= told[-1][1]


def test_the_mix_of_stems_is_heard(tiny: Studio) -> None:
    heard: list[Audio] = []
    made, _ = tiny.run(
        task_of({"kind": "synthesize", "score": "x", "stems": True}, tiny), on_block=heard.append
    )
    whole = np.concatenate([block.samples for block in heard], 1)
    assert np.abs(whole - Audio.read(made / "mix.wav").samples).max() < 2**-15


def test_progress_of_several_counts_them_all(tiny: Studio) -> None:
    told: list[tuple[float, float]] = []
    tiny.run(
        task_of({"kind": "generate", "duration_s": 0.4, "n": 2}, tiny), progress=lambda *one: told.append(one)
    )
    assert {round(total, 6) for _, total in told} == {0.8}
    assert told[-1][0] == pytest.approx(0.8)
    assert any(abs(done - 0.4) < 1e-9 for done, _ in told)


def test_a_stem_names_the_result_and_its_record(tiny: Studio) -> None:
    made, outcome = tiny.run(task_of({"kind": "generate", "duration_s": 0.3}, tiny), stem="night")
    assert [one.name for one in outcome.files] == ["night.wav", "night.json"]
    assert replayed(made / "night.json") == 0


def test_records_name_models_from_where_the_files_will_lie(tiny: Studio) -> None:
    home = tiny.folder / "elsewhere" / "deeper"
    made, _ = tiny.run(task_of({"kind": "generate", "duration_s": 0.3}, tiny), home=home)
    home.mkdir(parents=True)
    for path in made.iterdir():
        path.rename(home / path.name)
    assert '"../../audio"' in (home / "record.json").read_text()
    assert replayed(home / "record.json") == 0


@pytest.mark.slow
def test_separating_computes_on_one_thread_and_audio_on_those_of_the_shelf(tiny: Studio) -> None:
    before = torch.get_num_threads()
    two = Studio(tiny.folder, ModelShelf(2, threads=2))
    seen: dict[str, set[int]] = {}
    torch.set_num_threads(3)
    try:
        for options in (RUNS[5][0], RUNS[6][0]):
            found = seen.setdefault(options["kind"], set())
            two.run(
                task_of(options, tiny),
                progress=lambda *_, found=found: found.add(torch.get_num_threads()),
            )
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {"separate": {1}, "generate": {2}}


def test_what_ondes_warns_of_becomes_remarks_of_this_task_alone() -> None:
    log = logging.getLogger("ondes.somewhere")
    with remarks() as odd:
        log.warning("the sound is %s", "silent")
        log.warning("the sound is silent")
        log.info("all is well")
        warnings.warn_explicit("too loud", UserWarning, str(PACKAGE / "audio.py"), 1)
        others = threading.Thread(target=log.warning, args=("of somebody else",))
        others.start()
        others.join()
        helper = threading.Thread(target=copy_context().run, args=(log.warning, "of a helper"))
        helper.start()
        helper.join()
    log.warning("too late")
    assert odd == ["the sound is silent", "too loud", "of a helper"]


@pytest.mark.filterwarnings("ignore:the score is separate")
def test_the_page_of_a_separation_is_a_result(tiny: Studio) -> None:
    made, outcome = tiny.run(
        task_of({"kind": "separate", "score": "x", "into": "piano, bass, tuba", "report": True}, tiny)
    )
    assert [(one.name, one.kind) for one in outcome.files] == [
        ("parts.mid", "score"),
        ("report.html", "page"),
        ("record.json", "record"),
    ]
    assert "song.mid in parts" in (made / "report.html").read_text()
    assert read_score(made / "parts.mid").note_num() == 4
    assert any("no notes for" in one or "separate" in one for one in outcome.remarks)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "inpaint", "audio": "x", "regions": "1-9"}, "past the end of the sound"),
        ({"kind": "generate", "duration_s": 0.3, "style": "kazoo"}, "kazoo"),
        ({"kind": "synthesize", "score": "x", "continuation": "context"}, "no continuation"),
        ({"kind": "synthesize", "score": "x", "int8": True}, "8 bits"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_no_record(
    options: dict[str, Any], words: str, tiny: Studio
) -> None:
    with pytest.raises(UserError, match=words):
        tiny.run(task_of(options, tiny))
