"""`--config`: a file with the keys of the flags does what the flags do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sine_pipeline import Ondes, SinePipeline

from ondes.cli import composing, separating
from ondes.cli.yaml_options import _defaults

Orders = list[tuple[Any, ...]]


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Orders:
    """What composing and separating were asked to do, instead of doing it."""
    seen: Orders = []
    for module in (composing, separating):
        monkeypatch.setattr(
            module, "carry_out", lambda *words, **named: seen.append((words, sorted(named.items())))
        )
    monkeypatch.chdir(tmp_path)
    return seen


@pytest.mark.parametrize(
    ("command", "text", "words"),
    [
        (
            "compose",
            "n: 8\nnotes: 256\nkey: D minor\ntempo: 96.5\nmetre: 3/4\nfor: string quartet\nseed: 3\noutput: out\n",
            "-n 8 --notes 256 --key|D minor|--tempo 96.5 --metre 3/4 --for|string quartet|--seed 3 -o out",
        ),
        (
            "compose",
            "infill: song.mid\nbars: 9-12\ntrack: 2\no: new.mid\nsidecar: false",
            "--infill song.mid --bars 9-12 --track 2 -o new.mid --no-sidecar",
        ),
        (
            "compose",
            "{continue: intro.mid, bars: 4, scale: strict, temperature: 0.70}",
            "--continue intro.mid --bars 4 --scale strict --temperature 0.7",
        ),
        (
            "compose",
            "vary: song.mid\nkeep: [rhythm, pitch]\nstrength: .5\nseed: null\nsteps:\n",
            "--vary song.mid --keep rhythm --keep pitch --strength 0.5",
        ),
        (
            "compose",
            "vary: song.mid\nkeep: rhythm\nsynth-model: a",
            "--vary song.mid --keep rhythm --synth-model a",
        ),
        ("compose", "vary: song.mid\nsynth_model: a", "--vary song.mid --synth-model a"),
        (
            "separate",
            "score: mix.mid\ninto: violin 1, viola\npolyphony: 1,2\nallow_doubling: yes\nmethod: classifier",
            "mix.mid --into|violin 1, viola|--polyphony 1,2 --allow-doubling --method classifier",
        ),
        ("separate", "score: mix.mid\nranges: off\nkeep: true", "mix.mid --keep"),
        ("compose", "", ""),
    ],
)
def test_a_file_asks_for_what_flags_ask_for(
    command: str, text: str, words: str, ondes: Ondes, orders: Orders
) -> None:
    Path("run.yaml").write_text(text)
    typed = words.split("|") if "|" in words else [words]
    flags = [
        word for index, part in enumerate(typed) for word in (part.split() if index % 2 == 0 else [part])
    ]
    assert ondes(command, "--config", "run.yaml").status == 0
    assert ondes(command, *flags).status == 0
    assert orders[0] == orders[1]


def test_what_is_typed_wins(ondes: Ondes, orders: Orders) -> None:
    Path("run.yaml").write_text("vary: a.mid\nkeep: [rhythm, pitch]\nseed: 3\nsidecar: false\nsteps: 20")
    ondes("compose", "--seed", 4, "--config", "run.yaml", "--keep", "velocity", "--sidecar")
    ondes("compose", "--vary", "a.mid", "--keep", "velocity", "--seed", 4, "--steps", 20)
    assert orders[0] == orders[1]


def test_synth_plays_the_same_bytes_from_a_file(
    ondes: Ondes, sines: SinePipeline, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(song.parent)
    Path("play.yaml").write_text("score: song.mid\noutput: b.wav\nseed: 5\nsampler: dpm++\nguidance: 1.5\n")
    words = ["--seed", 5, "--sampler", "dpm++", "--guidance", 1.5]
    assert ondes("synth", "song.mid", "-o", "a.wav", *words).status == 0
    assert ondes("synth", "--config", "play.yaml").status == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    cards = [json.loads(Path(name).read_text()) for name in ("a.json", "b.json")]
    assert cards[0]["settings"] == cards[1]["settings"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "seed: 3\nsede: 4",
            "run.yaml, line 2: unknown key 'sede'; did you mean 'seed'? Allowed: audio, bars",
        ),
        ("config: run.yaml", "unknown key 'config'"),
        ("help: true", "unknown key 'help'"),
        ("seed: 1\nseed: 2", "line 2: 'seed' stands here a second time; keep one"),
        ("n: 1\ncount: 2", "line 2: 'count' stands here a second time"),
        ("seed: [1, 2]", "'seed' is a list; give it one value"),
        ("seed: {a: 1}", "'seed' holds further keys"),
        ("keep: [[rhythm]]", "'keep' holds further keys"),
        ("? [a]\n: 1", "a key is one word"),
        ("- seed", "run.yaml holds no keys; write one 'key: value' a line"),
        ("seed 3", "holds no keys"),
        ("seed: 3\n  steps: 4", "line 2 is not YAML (mapping values are not allowed here)"),
        ("a: *b", "line 1 is not YAML (found undefined alias"),
        ("\x00", "is not YAML"),
    ],
)
def test_what_a_file_may_not_say_is_one_line(text: str, words: str, ondes: Ondes, orders: Orders) -> None:
    Path("run.yaml").write_text(text)
    run = ondes("compose", "--config", "run.yaml")
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert words in run.err
    assert not orders


def test_a_file_must_be_there_and_be_text(ondes: Ondes, orders: Orders) -> None:
    Path("bytes.yaml").write_bytes(b"\xff\xfe\x00seed")
    for name, words in (
        ("none.yaml", "cannot be read (No such file"),
        (".", "cannot be read"),
        ("bytes.yaml", "YAML"),
    ):
        run = ondes("compose", "--config", name)
        assert (run.status, run.err.count("\n")) == (2, 1)
        assert words in run.err


def test_values_are_checked_as_flags_are(ondes: Ondes, orders: Orders) -> None:
    for text, words in (
        ("seed: -1", "Invalid value for '--seed'"),
        ("seed: 1e3", "valid integer"),
        ("scale: loose", "'loose' is not one of 'free', 'strict'"),
    ):
        Path("run.yaml").write_text(text)
        run = ondes("compose", "--config", "run.yaml")
        assert run.status == 2
        assert words in run.err


class _Flag:
    """As much of a flag as the file's reader asks for."""

    name = "word"
    multiple = False
    nargs = 1


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_quoted_words_arrive_letter_by_letter(tmp_path_factory: pytest.TempPathFactory, word: str) -> None:
    path = tmp_path_factory.getbasetemp() / "word.yaml"
    path.write_text(f"word: {json.dumps(word, ensure_ascii=False)}", encoding="utf-8")
    expected = {} if word in ("~", "null") else {"word": word}
    assert _defaults(path, {"word": _Flag()}) == expected
