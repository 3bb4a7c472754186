"""The page: Gradio's tabs and controls, around pictures and players of our own. It speaks to the API alone.

No event of the page runs Python: its buttons call scripts that ask the API. So whoever uses it can do nothing that a
program cannot, all state belongs to one browser tab, and of Gradio's own routes only those stay open that show it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ondes.studio.page_options import control
from ondes.studio.page_plan import CHAIN, TABS, Slot, TabPlan, uses

if TYPE_CHECKING:
    import gradio as gr
    from gradio.themes import Base

ASSETS = Path(__file__).parent / "assets"
ASSETS_PATH = "/page"
"""Where the assets are served."""

SANS = ("system-ui", "-apple-system", "Segoe UI", "sans-serif")
MONO = ("ui-monospace", "Consolas", "monospace")
"""Fonts of the reader's own system: nothing is fetched from elsewhere."""

TITLE = """<h1>ondes</h1>
<p>Write, arrange, play and change music. Everything here is also an <a href="/openapi.json">API</a>.</p>"""

Models = Mapping[str, Sequence[str]]


def head() -> str:
    """What the page's head has of ours."""
    tag = f"?v={version('ondes')}"
    return (
        f'<link rel="stylesheet" href="{ASSETS_PATH}/page.css{tag}">'
        f'<script type="module" src="{ASSETS_PATH}/page.js{tag}"></script>'
    )


def theme() -> Base:
    """Plain, in the fonts of the reader's system."""
    from gradio.themes import Base  # noqa: PLC0415

    return Base(primary_hue="indigo", neutral_hue="slate", font=SANS, font_mono=MONO)


def build_page(models: Models) -> gr.Blocks:
    """The whole page.

    Args:
        models: Names of models by what they are: "audio", "composer", "separator", "synthesiser", "vocoder".
    """
    import gradio as gr  # noqa: PLC0415

    with gr.Blocks(title="ondes studio", analytics_enabled=False) as page:
        _html(TITLE, "o-title")
        plan = {"titles": _titles(), "uses": uses()}
        _html(_custom("ondes-tabs", plan=json.dumps(plan)))
        with gr.Tabs():
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.name):
                    _body(tab, models)
            with gr.Tab("Chain", id="chain"):
                _chain(models)
    page.space_id = None  # else a page on a Space would fetch the Hub's own header from elsewhere
    return page


def _titles() -> dict[str, str]:
    """The tab in which each plan is found."""
    return {tab.name: tab.title for tab in TABS} | {step.name: "Chain" for step in CHAIN}


def _custom(name: str, **attributes: str) -> str:
    """An element of ours; what it does is in the assets."""
    written = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items() if value)
    # Gradio's templates would read a dollar with a brace as script.
    return f"<{name} {written}></{name}>".replace("${", "$&#123;")


def _html(text: str, classes: str = "") -> None:
    """HTML without Gradio's own styles and margins."""
    import gradio as gr  # noqa: PLC0415

    gr.HTML(text, apply_default_css=False, elem_classes=["o-html", *classes.split()])


def _chain(models: Models) -> None:
    """Four steps below each other; each shows what it was given and can be done again before the next."""
    import gradio as gr  # noqa: PLC0415

    _html(
        "<p class='o-muted'>From noise to a long piece in four steps. Look at each result, change its options or give "
        "another file, and make it again, before the next step takes it.</p>"
    )
    for step in CHAIN:
        with gr.Column(elem_classes="o-step"):
            _html(f"<h2>{step.title}</h2>")
            _body(step, models)


def _body(tab: TabPlan, models: Models) -> None:
    """Inputs above; below options beside the result."""
    import gradio as gr  # noqa: PLC0415

    with gr.Column(elem_id=f"{tab.name}-body"):
        _html(f"<p class='o-muted'>{tab.sentence}</p>")
        if tab.slots:
            with gr.Row():
                for slot in tab.slots:
                    _source(tab, slot)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                _controls(tab, models)
            with gr.Column(scale=3, min_width=300):
                _html(_custom("ondes-job", plan=json.dumps(tab.to_plan())))


def _source(tab: TabPlan, slot: Slot) -> None:
    """A place to drop a file on."""
    import gradio as gr  # noqa: PLC0415

    element = _custom(
        "ondes-source",
        tab=tab.name,
        field=slot.field,
        accepts=slot.accepts,
        label=slot.label,
        selects=slot.selects,
    )
    verbs = ["o-verbs", *(f"o-verb-{verb}" for verb in slot.verbs)] if slot.verbs else []
    with gr.Column(min_width=300, elem_classes=verbs):
        _html(element)


def _controls(tab: TabPlan, models: Models) -> None:
    """Controls of all options, the button that runs, and the ways between them and the scripts."""
    import gradio as gr  # noqa: PLC0415

    options = {option.name: option for option in tab.options()}
    made: dict[str, Any] = {}
    for option in options.values():
        if option.name in tab.main and option.name != "seed":
            made[option.name] = control(option, tab.name, tab.kind, models)
    with gr.Row(elem_classes="o-seed"):
        made["seed"] = control(options["seed"], tab.name, tab.kind, models)
        dice = gr.Button("New seed", size="sm", elem_id=f"{tab.name}-dice", min_width=90, scale=0)
    with gr.Accordion("More options", open=False, elem_classes="o-more-options"):
        for option in options.values():
            if option.name not in tab.main:
                made[option.name] = control(option, tab.name, tab.kind, models)
    if tab.streams:
        words = "Listen while it is being made"
        gr.Checkbox(True, label=words, elem_id=f"{tab.name}-listen", interactive=True)
    run = gr.Button(tab.button, variant="primary", elem_id=f"{tab.name}-run")
    restore = gr.Button("Restore", visible="hidden", elem_id=f"{tab.name}-restore")
    every = [made[name] for name in options]
    run.click(None, every, None, js=f"(...values) => window.ondes.run('{tab.name}', ...values)")
    restore.click(None, None, every, js=f"() => window.ondes.restored('{tab.name}')")
    dice.click(None, None, made["seed"], js="() => window.ondes.newSeed()")
    if tab.regions:
        made[tab.regions].change(
            None, made[tab.regions], None, js=f"(text) => window.ondes.typed('{tab.name}', text)"
        )
    if "verb" in made:
        made["verb"].change(None, made["verb"], None, js=f"(verb) => window.ondes.verb('{tab.name}', verb)")
