"""Controls of the page, made from the fields of the tasks: bounds, defaults and help are written there."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ondes.pipelines.bundled import bundled_models
from ondes.tasks.composing import BELONGS

if TYPE_CHECKING:
    from gradio.components import Component

    from ondes.tasks.task import Task

LABELS = {
    "after_s": "Seconds after",
    "allow_doubling": "Notes may play in several parts",
    "before_s": "Seconds before",
    "duration_s": "Length in seconds",
    "ensemble": "For",
    "guidance_interval": "Guidance between",
    "guidance_scale": "Guidance",
    "int8": "8-bit layers",
    "into": "Parts",
    "loudness_lufs": "Loudness (LUFS)",
    "n": "How many",
    "no_crossing": "Parts do not cross",
    "playable_hands": "Playable by two hands",
    "polyphony": "Most notes at once",
    "ranges": "Parts keep to their compass",
    "report": "A page of the alternatives, too",
    "stems": "Parts as single files",
    "verb": "What to do",
}
"""Where the name of a field is no good name of a control."""

CHOICES = {
    "generate": "a new piece",
    "extend": "go on with a score",
    "infill": "fill in bars",
    "vary": "vary a score",
}
"""How the page says values of choices."""

MODEL_KINDS = {"compose": "composer", "separate": "separator", "synthesize": "synthesiser"}
"""Which bundled models a task can use; audio models where nothing is said."""

FEW = 4
"""So many choices are shown side by side; more are folded away."""


@dataclass(frozen=True)
class Option:
    """An option of a task as the page shows it.

    Attributes:
        name: Of the field.
        label: For people.
        help: What it means.
        type: "flag", "choice", "many", "words" (some of many names), "integer", "number", "bars", "counts" or "text".
        default: Of the field.
        blank: What an empty box means; empty where a value is needed.
        minimum, maximum: Bounds of numbers.
        choices: Values of choices.
        verbs: With which verbs of Compose it has a meaning; with all where empty.
    """

    name: str
    label: str
    help: str
    type: str
    default: Any
    blank: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    required: bool = False

    @property
    def initial(self) -> Any:
        """What the control shows at first."""
        if self.default is None:
            return [] if self.type in ("many", "words") else ""
        return list(self.default) if isinstance(self.default, tuple) else self.default

    def to_plan(self) -> dict[str, Any]:
        """What the page's scripts need to know of it."""
        known = {
            name: getattr(self, name) for name in ("name", "label", "help", "type", "minimum", "maximum")
        }
        return known | {"verbs": list(self.verbs) or None, "required": self.required, "initial": self.initial}


def options_of(task: type[Task]) -> dict[str, Option]:
    """The options of a task that are no inputs, by name."""
    schema = task.model_json_schema()
    inputs = {name for name in ("score", "audio", "first", "second", "given") if name in schema["properties"]}
    left_out = {"kind", *inputs}
    required = set(schema.get("required", ()))
    return {
        name: _option(name, field, is_required=name in required)
        for name, field in schema["properties"].items()
        if name not in left_out
    }


def _option(name: str, field: Mapping[str, Any], *, is_required: bool) -> Option:
    """One field of a JSON schema."""
    kinds = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
    words, blank = _explained(field.get("description", ""))
    default = field.get("default")
    return Option(
        name=name,
        label=LABELS.get(name, name.replace("_", " ").capitalize()),
        help=words,
        type=_type(name, kinds),
        default=default,
        blank=blank if default is None else "",
        minimum=kinds[0].get("minimum", kinds[0].get("exclusiveMinimum")),
        maximum=kinds[0].get("maximum"),
        choices=tuple(kinds[0].get("enum", kinds[0].get("items", {}).get("enum", ()))),
        verbs=BELONGS.get(name, ()),
        required=is_required,
    )


def _explained(text: str) -> tuple[str, str]:
    """What an option means, and apart from it what is taken where it is missing."""
    if not text.endswith("if missing.") or ";" not in text:
        return text, ""
    words, _, missing = text.rpartition("; ")
    return f"{words}.", missing.removesuffix(" if missing.")


def _type(name: str, kinds: Sequence[Mapping[str, Any]]) -> str:
    """What kind of control a field needs."""
    first = kinds[0]
    if len(kinds) > 1:
        return "bars" if name == "bars" else "counts"
    if "enum" in first:
        return "choice"
    if first["type"] == "array":
        return "many" if "enum" in first["items"] else "words"
    return {"boolean": "flag", "integer": "integer", "number": "number"}.get(first["type"], "text")


def control(option: Option, tab: str, kind: str, models: Mapping[str, Sequence[str]]) -> Component:
    """The control of an option.

    Args:
        option: What it sets.
        tab: Prefix of its id in the page.
        kind: Of the task.
        models: Names of models by what they are: "audio", "composer", "vocoder", ...
    """
    import gradio as gr  # noqa: PLC0415

    verbs = ["o-verbs", *(f"o-verb-{verb}" for verb in option.verbs)] if option.verbs else []
    place: dict[str, Any] = {
        "label": option.label,
        "info": option.help or None,
        "elem_id": f"{tab}-{option.name}",
        "elem_classes": verbs,
    }
    names = _names(option, kind, models)
    if option.type == "flag":
        return gr.Checkbox(option.default, **place)
    if option.type == "many":
        return gr.CheckboxGroup(list(option.choices), value=option.initial, **place)
    if option.type == "words":
        return gr.Dropdown(names, value=[], multiselect=True, allow_custom_value=True, **place)
    if option.type == "choice" and option.default is not None and len(option.choices) <= FEW:
        choices: Any = [(CHOICES.get(each, each), each) for each in option.choices]
        return gr.Radio(choices, value=option.default, **place)
    if names:
        known = (
            names if option.default is not None else [(option.blank or "any", ""), *((n, n) for n in names)]
        )
        return gr.Dropdown(known, value=option.initial, **place)
    return _box(option, place)


def _box(option: Option, place: dict[str, Any]) -> Component:
    """A slider, a number or a line of text; text where empty means something, as no number box can be empty."""
    import gradio as gr  # noqa: PLC0415

    if option.default is None or option.type not in ("integer", "number"):
        return gr.Textbox("", placeholder=option.blank, max_lines=1, **place)
    low, high = option.minimum, option.maximum
    if low is not None and high is not None and high - low <= 1:
        return gr.Slider(low, high, option.default, step=0.01, **place)
    whole = 0 if option.type == "integer" else None
    return gr.Number(option.default, precision=whole, minimum=low, maximum=high, **place)


def _names(option: Option, kind: str, models: Mapping[str, Sequence[str]]) -> list[str]:
    """What can be chosen for an option by name; nothing where it is free."""
    wanted = MODEL_KINDS.get(kind, "audio")
    if option.name == "model":
        return list(models.get(wanted, ())) or [option.default]
    if option.name == "vocoder":
        return [*models.get("vocoder", ()), "griffin-lim"]
    if option.name == "style":
        return list(styles(wanted))
    return list(option.choices)


@functools.cache
def styles(kind: str) -> tuple[str, ...]:
    """The styles that the bundled models of a kind know, in their order."""
    found: dict[str, None] = {}
    for model in bundled_models():
        config = model.path / "network" / "config.json"
        if model.kind == kind and config.is_file():
            found |= dict.fromkeys(json.loads(config.read_text(encoding="utf-8")).get("styles") or ())
    return tuple(found)
