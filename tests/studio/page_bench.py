"""A person in front of the page in Chromium, and the files they bring along."""

from __future__ import annotations

import itertools
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from ondes.audio import Audio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which("chromium")
RATE_HZ = 44_100
PATIENCE_MS = 300_000
"""Longest wait for anything: models are opened meanwhile, on machines that do other things, too."""
GLIMPSE_MS = 2_000
"""First wait for something that is there or will not be: long enough for a click to land, where little else is done."""

TITLES = {
    "compose": "Compose",
    "separate": "Separate",
    "synthesize": "Synthesise",
    "generate": "Generate",
    "vary": "Vary",
    "interpolate": "Interpolate",
    "inpaint": "Inpaint",
    "outpaint": "Outpaint",
    "chain-notes": "Chain",
}

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def take(path: Path, duration_s: float = 3.0, *, hz: float = 220.0) -> Path:
    """A sound whose two channels differ, as a person would give it."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    swell = np.sin(np.pi * time_s / duration_s) ** 2
    left, right = (0.3 * swell * np.sin(2 * np.pi * each * time_s) for each in (hz, 1.5 * hz))
    Audio(np.stack([left, right]).astype(np.float32), RATE_HZ).write(path)
    return path


def duet(path: Path) -> Path:
    """A score of two bars of 4/4 in two parts with eight notes each."""
    from symusic import Note, Score, Tempo, TimeSignature, Track  # noqa: PLC0415

    score: Any = Score(480)
    score.tempos.append(Tempo(0, 120.0))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for name, program, lowest in (("Piano", 0, 60), ("Bass", 32, 36)):
        track: Any = Track(name, program)
        for step in range(8):
            track.notes.append(Note(480 * step, 400, lowest + (2, 4, 5, 7)[step % 4], 80))
        score.tracks.append(track)
    score.dump_midi(str(path))
    return path


def sooner_or_later(place: Locator) -> Any:
    """What a place shall show: scripts of the page write there after the click that a test made has come back."""
    from playwright.sync_api import expect  # noqa: PLC0415

    expect.set_options(timeout=PATIENCE_MS)
    return expect(place)


@dataclass
class Visit:
    """One person's browser tab.

    Attributes:
        page: As Playwright has it.
        url: Of the studio.
        outside: Requests that left this machine.
        errors: What the browser complained about.
        foreseen: Parts of complaints that the test is about. A complaint may come at any time until the tab is closed,
            so that it is only then known which were not foreseen.
    """

    page: Page
    url: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreseen: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, browser: Browser, url: str, **how: Any) -> Visit:
        """Open the page in a context of its own."""
        page = browser.new_context(accept_downloads=True, **how).new_page()
        page.set_default_timeout(PATIENCE_MS)
        visit = cls(page, url)
        page.on("request", visit._requested)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.on("console", lambda said: visit.errors.append(said.text) if said.type == "error" else None)
        page.goto(url)
        visit._built()
        return visit

    def _requested(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def _built(self) -> None:
        """Wait until the page's own elements stand."""
        self.page.wait_for_selector("ondes-job")

    def reload(self) -> None:
        """As F5 does, until the page stands again."""
        self.page.reload()
        self._built()

    def open(self, tab: str) -> Locator:
        """The body of a tab, brought to the front."""
        from playwright.sync_api import TimeoutError as Missed  # noqa: PLC0415

        deadline_s = time.monotonic() + PATIENCE_MS / 1000
        for attempt in itertools.count(1):
            try:
                self._bring_forward(tab, attempt * GLIMPSE_MS)
                break
            except Missed:
                if time.monotonic() > deadline_s:
                    raise
        self.page.wait_for_selector(f"#{tab}-body ondes-job")
        return self.page.locator(f"#{tab}-body")

    def _bring_forward(self, tab: str, glimpse_ms: float) -> None:
        """Click the title of a tab, or its entry in the menu of those for which there is no room.

        The page moves tabs into the menu and back while it is laid out: what was visible when it was asked for may be
        gone when it is clicked, and then the next attempt finds it in the other place.
        """
        title = self.page.get_by_role("tab", name=TITLES[tab], exact=True)
        more = self.page.locator(".overflow-menu > button")
        entry = self.page.locator(".overflow-dropdown button", has_text=TITLES[tab])
        title.or_(more).filter(visible=True).first.wait_for()
        if title.is_visible():
            title.click(timeout=glimpse_ms)
        else:
            if not entry.is_visible():  # an earlier attempt may have left the menu open
                more.click(timeout=glimpse_ms)
            entry.click(timeout=glimpse_ms)
        self.page.wait_for_selector(f"#{tab}-run", timeout=glimpse_ms)

    def ask(self, path: str) -> httpx.Response:
        """What the studio answers to a program; no refusal."""
        return httpx.get(self.url + path, timeout=PATIENCE_MS / 1000).raise_for_status()

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as the API tells of it."""
        return self.ask(f"/v1/jobs/{job_id}").json()

    def becomes(self, script: str, wanted: object) -> None:
        """Wait until a script gives a value.

        Raises:
            AssertionError: If it does not in all our patience; says what it gave instead.
        """
        deadline_s = time.monotonic() + PATIENCE_MS / 1000
        while (found := self.page.evaluate(script)) != wanted and time.monotonic() < deadline_s:
            self.page.wait_for_timeout(20)
        assert found == wanted, script

    def box(self, tab: str, name: str) -> Locator:
        """Where something is typed for an option."""
        return self.page.locator(f"#{tab}-{name} textarea, #{tab}-{name} input").first

    def give(self, tab: str, path: Path, index: int = 0) -> None:
        """Choose a file for one of a tab's inputs, and wait until it is drawn."""
        source = self.page.locator(f"#{tab}-body ondes-source").nth(index)
        source.locator("input[type=file]").set_input_files(path)
        source.locator(".o-transport").wait_for()

    def watch_states(self, tab: str) -> None:
        """From now on keep every sentence about how the job stands."""
        self.page.evaluate(
            """(tab) => {
                const place = document.querySelector(`#${tab}-body .o-state`);
                window.seen = [];
                new MutationObserver(() => window.seen.push(place.textContent))
                    .observe(place, { childList: true, characterData: true, subtree: true });
            }""",
            tab,
        )

    def run(self, tab: str) -> str:
        """Press the button, and wait for the result; returns the job's id."""
        before = self.page.evaluate(
            "(tab) => document.querySelector(`#${tab}-body .o-result`).dataset.job", tab
        )
        self.page.click(f"#{tab}-run")
        return self.finished(tab, before)

    def finished(self, tab: str, before: str | None = None) -> str:
        """Wait for a result other than the one before; returns its job's id."""
        handle = self.page.wait_for_function(
            """([tab, before]) => {
                const body = document.querySelector(`#${tab}-body`);
                const job = body.querySelector('.o-result').dataset.job;
                const wrong = [...body.querySelectorAll('.o-error:not([hidden])')].map((each) => each.textContent);
                return wrong.length ? 'wrong: ' + wrong.join(' ') : job !== before && job;
            }""",
            arg=[tab, before],
        )
        found = str(handle.json_value())
        assert not found.startswith("wrong"), found
        return found

    def played(self, tab: str) -> dict[str, Any]:
        """Press Play on a result, let it sound for a moment, and say what was heard."""
        player = f"#{tab}-body .o-result ondes-player"
        self.page.locator(f"{player} .o-play").first.click()
        # By the clock of the sound card and not by the position, which is 0 again when all has been played.
        self.page.wait_for_function(
            """(player) => {
                const { context, startedAt } = document.querySelector(player).mixer;
                return startedAt !== undefined && context.currentTime > startedAt + 0.05;
            }""",
            arg=player,
        )
        return self.page.evaluate(
            """(player) => {
                const { mixer } = document.querySelector(player);
                const { duration, sampleRate, numberOfChannels } = mixer.tracks[0].buffer;
                const samples = mixer.tracks[0].buffer.getChannelData(0);
                const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
                mixer.pause();
                return { duration, sampleRate, numberOfChannels, loudest };
            }""",
            player,
        )

    def downloaded(self, tab: str, name: str) -> tuple[str, bytes]:
        """What a link below the result gives: its address and its bytes."""
        link = self.page.locator(f"#{tab}-body .o-result").get_by_role("link", name=name, exact=True).first
        with self.page.expect_download() as waiting:
            link.click()
        return str(link.get_attribute("href")), Path(waiting.value.path()).read_bytes()

    def end(self) -> None:
        """Close the tab; nothing may have gone wrong or out."""
        self.page.context.close()
        assert self.outside == []
        assert [said for said in self.errors if not any(part in said for part in self.foreseen)] == []
