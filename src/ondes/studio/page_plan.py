"""Which tabs the page has, and which task, inputs and first options each of them shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ondes.studio.page_options import Option, options_of
from ondes.tasks.kinds import TASKS


@dataclass(frozen=True)
class Slot:
    """Where a file comes in.

    Attributes:
        field: Of the task.
        accepts: "score" or "audio".
        label: For people.
        selects: What can be selected on its picture: "seconds" or "bars"; nothing where empty.
        optional: Whether the task does without.
        verbs: Of Compose, where only they take it.
    """

    field: str
    accepts: str
    label: str
    selects: str = ""
    optional: bool = False
    verbs: tuple[str, ...] = ()


@dataclass(frozen=True)
class TabPlan:
    """One tab, or one step of the chain.

    Attributes:
        name: Prefix of the ids in the page.
        title: For people.
        kind: Of the task.
        sentence: What it does.
        button: What the button says.
        slots: Its inputs.
        main: Options that are always seen, in order; the others are folded away.
        regions: The option that holds what is selected on the picture of an input.
        then: The step that works on the result, and which of its inputs that is.
    """

    name: str
    title: str
    kind: str
    sentence: str
    button: str
    slots: tuple[Slot, ...] = ()
    main: tuple[str, ...] = ("seed",)
    regions: str = ""
    then: tuple[tuple[str, Slot], ...] = field(default=())

    def options(self) -> list[Option]:
        """All options, the main ones first."""
        known = options_of(TASKS[self.kind])
        return [known[name] for name in self.main] + [known[name] for name in known if name not in self.main]

    @property
    def streams(self) -> bool:
        """Whether its result is sound, which can be heard while it is made."""
        return self.kind not in ("compose", "separate")

    def to_plan(self) -> dict[str, Any]:
        """What the page's scripts need to know."""
        return {
            "tab": self.name,
            "task": self.kind,
            "regions": self.regions or None,
            "streams": self.streams,
            "fields": [option.to_plan() for option in self.options()],
            "sources": [
                {
                    "field": slot.field,
                    "label": slot.label,
                    "optional": slot.optional,
                    "verbs": list(slot.verbs) or None,
                }
                for slot in self.slots
            ],
            "then": [{"tab": tab, "field": slot.field, "accepts": slot.accepts} for tab, slot in self.then],
            "invitation": f"What you make appears here. {self.sentence}",
        }


SOUND = Slot("audio", "audio", "Sound")
SCORE = Slot("score", "score", "Score")
OPEN_SCORE = Slot(
    "score", "score", "Score", selects="bars", optional=True, verbs=("extend", "infill", "vary")
)

TABS = (
    TabPlan(
        "compose",
        "Compose",
        "compose",
        "Write a new piece from noise, or go on with, fill in or vary a score.",
        "Compose",
        (OPEN_SCORE,),
        ("verb", "ensemble", "bars", "track", "strength", "keep", "key", "style", "seed"),
        "bars",
    ),
    TabPlan(
        "separate",
        "Separate",
        "separate",
        "Give every note of a score its part, as when a piano piece becomes a quartet.",
        "Separate",
        (SCORE, Slot("given", "score", "Known parts (optional)", optional=True)),
        ("into", "method", "n", "seed"),
    ),
    TabPlan(
        "synthesize",
        "Synthesise",
        "synthesize",
        "Play a score as 44.1 kHz stereo audio.",
        "Synthesise",
        (SCORE,),
        ("stems", "steps", "format", "seed"),
    ),
    TabPlan(
        "generate",
        "Generate",
        "generate",
        "Make new music as sound, of any length.",
        "Generate",
        (),
        ("duration_s", "style", "steps", "n", "format", "seed"),
    ),
    TabPlan(
        "vary",
        "Vary",
        "vary",
        "Make variations of a sound.",
        "Vary",
        (SOUND,),
        ("strength", "style", "steps", "n", "format", "seed"),
    ),
    TabPlan(
        "interpolate",
        "Interpolate",
        "interpolate",
        "Make music between two sounds.",
        "Interpolate",
        (Slot("first", "audio", "First sound"), Slot("second", "audio", "Second sound")),
        ("ratio", "strength", "method", "steps", "format", "seed"),
    ),
    TabPlan(
        "inpaint",
        "Inpaint",
        "inpaint",
        "Make stretches of a sound anew; not one sample elsewhere changes.",
        "Inpaint",
        (
            Slot("audio", "audio", "Sound", selects="seconds"),
            Slot("score", "score", "Score to play there (optional)", optional=True),
        ),
        ("regions", "steps", "n", "format", "seed"),
        "regions",
    ),
    TabPlan(
        "outpaint",
        "Outpaint",
        "outpaint",
        "Make a sound longer at either end; not one of its samples changes.",
        "Outpaint",
        (SOUND,),
        ("before_s", "after_s", "steps", "n", "format", "seed"),
    ),
)

CHAIN = (
    TabPlan(
        "chain-notes",
        "1 · Notes",
        "compose",
        "Notes from noise, or your own score.",
        "Make the notes",
        (OPEN_SCORE,),
        ("verb", "ensemble", "bars", "track", "strength", "keep", "key", "style", "seed"),
        "bars",
        (("chain-parts", SCORE), ("chain-sound", SCORE)),
    ),
    TabPlan(
        "chain-parts",
        "2 · Parts",
        "separate",
        "Every note gets its part; leave it out, and the notes are played as they are.",
        "Make the parts",
        (SCORE,),
        ("into", "method", "seed"),
        then=(("chain-sound", SCORE),),
    ),
    TabPlan(
        "chain-sound",
        "3 · Sound",
        "synthesize",
        "The parts are played.",
        "Make the sound",
        (SCORE,),
        ("stems", "steps", "seed"),
        then=(("chain-longer", SOUND),),
    ),
    TabPlan(
        "chain-longer",
        "4 · Longer",
        "outpaint",
        "The music goes on.",
        "Make it longer",
        (SOUND,),
        ("before_s", "after_s", "steps", "seed"),
    ),
)
"""Steps of the chain: each takes what the one before made, or any other file."""


def uses() -> list[dict[str, str]]:
    """Where a result can be used next: the first input of every tab that has one."""
    found = [(plan.name, plan.title, plan.slots[0]) for plan in TABS if plan.slots]
    return [
        {"tab": tab, "title": title, "field": slot.field, "accepts": slot.accepts}
        for tab, title, slot in found
    ]
