"""The page's controls say what the tasks' fields say, and of Gradio only what shows the page is open."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ondes.studio.page_options import Option, options_of, styles
from ondes.studio.page_plan import CHAIN, TABS, uses
from ondes.studio.page_server import ReadOnly
from ondes.tasks.kinds import TASKS

PLANS = [*TABS, *CHAIN]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_a_tab_has_every_field_of_its_task_once(plan: Any) -> None:
    shown = [option.name for option in plan.options()] + [slot.field for slot in plan.slots]
    known = set(TASKS[plan.kind].model_fields) - {"kind"}
    if plan in CHAIN:
        known -= {"given"}
    assert sorted(shown) == sorted(known)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_what_a_tab_shows_at_first_is_what_the_task_takes_where_nothing_is_said(plan: Any) -> None:
    required = {slot.field: "example:prelude" for slot in plan.slots if not slot.optional}
    required |= {"regions": "1-2"} if plan.regions == "regions" else {}
    required |= {"after_s": 1.0} if plan.kind == "outpaint" else {}
    shown = {
        option.name: option.initial
        for option in plan.options()
        if option.initial not in ("", []) and option.name not in required
    }
    task = TASKS[plan.kind]
    assert task.model_validate(required | shown) == task.model_validate(required)


def test_bounds_and_help_come_from_the_fields() -> None:
    options = options_of(TASKS["generate"])
    steps = Option(
        "steps",
        "Steps",
        "Quality dial: more is slower.",
        "integer",
        None,
        "the model's",
        minimum=1,
        maximum=1000,
    )
    assert options["steps"] == steps
    assert (options["seed"].minimum, options["seed"].maximum) == (0, 2**32 - 1)
    assert options["sampler"].choices == ("euler", "heun", "dpm++", "unipc")
    assert options_of(TASKS["compose"])["strength"].verbs == ("vary",)
    assert options_of(TASKS["inpaint"])["regions"].required


def test_styles_are_those_of_the_bundled_models() -> None:
    assert "bach" in styles("composer")
    assert "strings" in styles("audio")
    assert styles("separator") == ()


def test_plans_can_be_written_into_the_page() -> None:
    for plan in PLANS:
        assert json.loads(json.dumps(plan.to_plan()))["task"] == plan.kind
    places = {(use["tab"], use["field"]) for use in uses()}
    assert ("inpaint", "audio") in places
    assert not any(tab == "generate" for tab, _ in places)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/assets/index.js", 200),
        ("HEAD", "/theme.css", 200),
        ("GET", "/gradio_api/heartbeat/abc", 200),
        ("POST", "/", 404),
        ("POST", "/gradio_api/upload", 404),
        ("GET", "/gradio_api/file=/etc/passwd", 404),
        ("GET", "/assets/../gradio_api/file=/etc/passwd", 404),
        ("POST", "/gradio_api/queue/join", 404),
        ("POST", "/gradio_api/component_server", 404),
        ("GET", "/gradio_api/info", 404),
        ("GET", "/proxy=http://example.org/", 404),
        ("GET", "/monitoring", 404),
    ],
)
def test_of_gradio_only_what_shows_the_page_is_open(method: str, path: str, status: int) -> None:
    found: list[int] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(ReadOnly(answer)(scope, receive, send))
    assert found == [status]
