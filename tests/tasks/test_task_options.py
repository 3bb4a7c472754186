"""Tasks are data: they go through JSON and back, and refuse wrong options in one sentence, as the commands do."""

from __future__ import annotations

import importlib
import math
from enum import StrEnum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ondes.errors import UserError
from ondes.pipelines.bundled import bundled_models
from ondes.tasks.compose import Compose
from ondes.tasks.editing import Inpaint, Interpolate
from ondes.tasks.generate import Generate
from ondes.tasks.kinds import TASKS, read_task
from ondes.tasks.separate import Separate
from ondes.tasks.synthesize import Synthesize
from ondes.tasks.task import Reference

WHOLE: list[dict[str, Any]] = [
    {"kind": "synthesize", "score": "a", "sampler": "heun", "guidance_interval": "0.1-0.8", "stems": True},
    {"kind": "compose", "n": 3, "bars": 8, "key": "D minor", "chords": "C | Am", "scale": "strict"},
    {"kind": "compose", "verb": "infill", "score": "a", "bars": [9, 12], "track": 2, "ensemble": "cello"},
    {"kind": "compose", "verb": "vary", "score": "a", "strength": 0.25, "keep": ["rhythm", "pitch"]},
    {"kind": "separate", "score": "a", "into": "string quartet", "given": "b", "polyphony": [1, 0, 2, 1]},
    {"kind": "separate", "score": "a", "polyphony": 1, "method": "classifier", "report": True},
    {"kind": "generate", "duration_s": 12.5, "style": ["piano", "strings"], "loudness_lufs": -14},
    {"kind": "vary", "audio": "a", "strength": 0.6, "n": 4, "format": "flac"},
    {"kind": "interpolate", "first": "a", "second": "b", "walk": 5, "method": "inversion"},
    {"kind": "inpaint", "audio": "a", "regions": "1.5-2,1:03-end", "temperature": 0.9},
    {"kind": "outpaint", "audio": "a", "before_s": 1.5, "vocoder": "griffin-lim"},
]


@pytest.mark.parametrize("options", WHOLE, ids=lambda options: options["kind"])
def test_a_task_goes_through_json_and_back(options: dict[str, Any]) -> None:
    task = read_task(options)
    assert read_task(task.model_dump_json()) == task
    assert read_task(task.model_dump(mode="json")) == task
    told = task.model_dump(mode="json")
    assert {name: told[name] for name in options} == options


@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 1000), duration_s=st.floats(0.05, 86_400))
def test_every_allowed_number_comes_back_as_it_was(seed: int, steps: int, duration_s: float) -> None:
    task = Generate(seed=seed, steps=steps, duration_s=duration_s)
    assert read_task(task.model_dump_json()) == task


def test_every_kind_has_its_name_and_a_bundled_model() -> None:
    bundled = {model.name for model in bundled_models()}
    for kind, task in TASKS.items():
        assert task.model_fields["kind"].default == kind
        assert task.model_fields["model"].default in bundled


def test_references_are_the_inputs_that_are_given() -> None:
    assert read_task(WHOLE[4]).references() == {
        "score": Reference("a", "score"),
        "given": Reference("b", "score"),
    }
    assert Compose().references() == {}
    assert Interpolate(first="x", second="y").references() == {
        "first": Reference("x", "audio"),
        "second": Reference("y", "audio"),
    }


def test_whoever_runs_a_task_knows_its_models_and_how_much_audio_it_asks_for() -> None:
    assert read_task(WHOLE[10]).models() == ("audio-small", "griffin-lim")
    assert Generate(duration_s=12.5, n=4).asked_s() == 50
    assert read_task(WHOLE[10]).asked_s() == 1.5
    assert Inpaint(audio="a", regions="0-1").asked_s() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "synthesise"}, "no task 'synthesise': did you mean 'synthesize'"),
        ({"kind": "synthesize"}, "score is missing; give one"),
        ({"kind": "generate", "sede": 1}, "no option 'sede': did you mean 'seed'"),
        (
            {"kind": "generate", "seed": 2**32},
            "seed is 4294967296: 4294967295 or less is allowed; give another",
        ),
        (
            {"kind": "generate", "seed": 2**32 - 1, "n": 2},
            "goes beyond the last seed, 4294967295; begin lower",
        ),
        ({"kind": "generate", "steps": 0}, "steps is 0: 1 or more is allowed"),
        ({"kind": "generate", "steps": 1.5}, "steps is 1.5: whole numbers are allowed"),
        ({"kind": "generate", "duration_s": math.nan}, "duration_s is nan"),
        ({"kind": "generate", "temperature": "hot"}, "temperature is 'hot': numbers are allowed"),
        ({"kind": "generate", "sampler": "ddim"}, "'heun'"),
        ({"kind": "synthesize", "score": "a", "stems": True, "format": "mp3"}, "leave out stems or format"),
        ({"kind": "synthesize", "score": "a", "guidance_interval": "0.8-0.1"}, "no guidance interval"),
        (
            {"kind": "synthesize", "score": "a", "guidance_interval": "0-1", "guidance_scale": 1},
            "guides nowhere",
        ),
        ({"kind": "compose", "key": "X minor"}, "X minor"),
        ({"kind": "compose", "chords": "C | Q"}, "Q"),
        ({"kind": "compose", "verb": "extend"}, "the verb extend works on a score, and none is given"),
        ({"kind": "compose", "score": "a"}, "a new piece needs no score"),
        ({"kind": "compose", "notes": 3, "bars": 3}, "notes and bars both say how long; give one of them"),
        ({"kind": "compose", "bars": [1, 2]}, "to generate one number is allowed, as 16"),
        ({"kind": "compose", "bars": 0}, "bars is 0: 1 or more is allowed"),
        ({"kind": "compose", "verb": "infill", "score": "a"}, "add bars 9-12, or track 2, or both"),
        ({"kind": "compose", "verb": "infill", "score": "a", "bars": 9}, r"as \[9, 12\]"),
        ({"kind": "compose", "verb": "infill", "score": "a", "bars": [9, 8]}, "the first before the last"),
        (
            {"kind": "compose", "verb": "vary", "score": "a", "tempo": 90},
            "tempo belongs to a new piece; the verb vary keeps the score's own",
        ),
        ({"kind": "separate", "score": "a", "into": "kazoo choir"}, "kazoo choir"),
        ({"kind": "inpaint", "audio": "a", "regions": "2-1"}, "runs backwards"),
        ({"kind": "interpolate", "first": "a", "second": "b", "walk": 3, "ratio": 0.5}, "leave out ratio"),
        ({"kind": "outpaint", "audio": "a"}, "add nothing"),
        ("[1]", "the task is no object"),
        ("{", "the task is no JSON"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(options: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as refusal:
        read_task(options)
    assert "\n" not in str(refusal.value)
    assert "pydantic" not in str(refusal.value)


COMMANDS = {"synthesize": "synth", "compose": "compose", "separate": "separate"}
NAMES = {"guidance": "guidance_scale", "lufs": "loudness_lufs", "count": "n", "sampling_steps": "steps"}


@pytest.mark.parametrize("kind", TASKS)
def test_options_have_the_bounds_and_words_of_the_command(kind: str) -> None:
    command = COMMANDS.get(kind, kind)
    function = getattr(importlib.import_module(f"ondes.cli.{command}"), command)
    fields = TASKS[kind].model_json_schema()["properties"]
    compared = set()
    for option, hint in get_type_hints(function, include_extras=True).items():
        name = NAMES.get(option, option)
        if name not in fields or get_origin(hint) is not Annotated:
            continue
        told, asked = get_args(hint)
        least, most, words = _limits(fields[name])
        if asked.min is not None or asked.max is not None:
            assert (least, most) == (asked.min, asked.max), name
            compared.add(name)
        for choice in (told, *get_args(told), *(get_args(told) and get_args(get_args(told)[0]))):
            if isinstance(choice, type) and issubclass(choice, StrEnum):
                assert words == [word.value for word in choice], name
                compared.add(name)
    assert {"seed", "steps"} <= compared


def _limits(field: dict[str, Any]) -> tuple[float | None, float | None, list[str]]:
    """Bounds and words of a field, which may be missing or a list."""
    kinds = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
    inner = kinds[0].get("items", kinds[0])
    return inner.get("minimum"), inner.get("maximum"), inner.get("enum", [])


def test_a_style_may_be_one_word() -> None:
    assert read_task({"kind": "generate", "style": "piano"}) == Generate(style=("piano",))


def test_a_task_does_not_change() -> None:
    task = Separate(score="a")
    with pytest.raises(ValueError, match="frozen"):
        task.seed = 3
    assert hash(task) == hash(Separate(score="a"))
    assert task != Synthesize(score="a")
