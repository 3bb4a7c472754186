"""Make the pictures of this folder: every tab, light and dark and on a narrow screen, with something in it.

`ondes studio --rate 0` must be at the address; Chromium, playwright and Pillow on this machine. About five
minutes on two processors: `python docs/studio/take_pictures.py http://127.0.0.1:7860`.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from ondes.studio.page_plan import TABS

HERE = Path(__file__).parent
SHAPES: tuple[tuple[str, int, Literal["light", "dark"]], ...] = (
    ("light", 1200, "light"),
    ("dark", 1200, "dark"),
    ("narrow", 400, "light"),
)
TITLES = {tab.name: tab.title for tab in TABS} | {"chain-notes": "Chain"}
TEXTS = {
    "compose": {"bars": "4", "ensemble": "string quartet"},
    "separate": {"into": "string quartet"},
    "synthesize": {"steps": "4"},
    "generate": {"duration_s": "6", "steps": "4"},
    "vary": {"steps": "4"},
    "interpolate": {"steps": "4"},
    "inpaint": {"regions": "1-2,4-4.75", "steps": "4"},
    "outpaint": {"after_s": "3", "steps": "4"},
    "chain-notes": {"bars": "4", "ensemble": "violin, cello"},
    "chain-parts": {"into": "violin, cello"},
    "chain-sound": {"steps": "4"},
    "chain-longer": {"after_s": "2", "steps": "4"},
}
"""Few steps: they are pictures of the page, not of the music."""
WAIT_MS = 120_000
TALLEST = 16_000
"""Pixels of a picture, of which WebP has no more."""


def take_all(url: str) -> None:
    """Fill every tab once, then look at each in every shape."""
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        page.wait_for_selector("ondes-job")
        # In this order what one tab makes is what the next works on.
        for tab in (
            "compose",
            "separate",
            "synthesize",
            "generate",
            "vary",
            "interpolate",
            "inpaint",
            "outpaint",
        ):
            fill(page, tab)
        fill(page, "chain-notes")
        for step in ("chain-parts", "chain-sound", "chain-longer"):
            run(page, step)
        for name, width, scheme in SHAPES:
            page.emulate_media(color_scheme=scheme)
            page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
            page.set_viewport_size({"width": width, "height": 900})
            for tab in TITLES:
                show(page, tab)
                page.wait_for_timeout(700)
                save(page.screenshot(full_page=True), HERE / f"{tab.split('-')[0]}_{name}.webp")
        browser.close()


def show(page: Page, tab: str) -> None:
    """Bring a tab to the front."""
    title = page.get_by_role("tab", name=TITLES[tab], exact=True)
    if not title.is_visible():
        page.locator(".overflow-menu > button").click()
        title = page.locator(".overflow-dropdown button", has_text=TITLES[tab])
    title.click()
    page.wait_for_selector(f"#{tab}-body ondes-job")


def fill(page: Page, tab: str) -> None:
    """Give a tab its inputs and run it."""
    show(page, tab)
    body = page.locator(f"#{tab}-body")
    sources = body.locator("ondes-source")
    for index in range(sources.count()):
        if tab in ("compose", "chain-notes") or (tab == "separate" and index):
            continue
        latest = sources.nth(index).get_by_role("button", name="Use my latest")
        (latest if latest.is_visible() else sources.nth(index).get_by_role("button").first).click()
        sources.nth(index).locator(".o-transport").wait_for()
    run(page, tab)


def run(page: Page, tab: str) -> None:
    """Choose the options of a tab that has its inputs, and wait for what it makes."""
    body = page.locator(f"#{tab}-body")
    for name, text in TEXTS.get(tab, {}).items():
        page.locator(f"#{tab}-{name} textarea, #{tab}-{name} input").first.fill(text)
    if tab == "synthesize":
        body.get_by_label("Parts as single files").check()
    listen = page.locator(f"#{tab}-listen input")
    if listen.count():
        listen.uncheck()
    page.click(f"#{tab}-run")
    page.wait_for_selector(f"#{tab}-body .o-result[data-job]")
    page.wait_for_function(
        "[...document.images].filter((each) => each.checkVisibility()).every((each) => each.complete)"
    )


def save(picture: bytes, path: Path) -> None:
    """Keep a picture small."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.crop((0, 0, image.width, min(image.height, TALLEST))).save(path, quality=60, method=6)


if __name__ == "__main__":
    take_all(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860")
