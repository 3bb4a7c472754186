"""What the page does for the person in front of it, in Chromium: typing, keys, errors, cancelling, comparing, again."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from page_bench import TITLES, Visit, duet, needs_chromium, take

from ondes.studio.views import write_notes

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, needs_chromium]

REGIONS = "document.querySelector('#inpaint-body ondes-source ondes-timeline').regions"


def test_regions_are_typed_drawn_and_made_by_keys_alike(visit: Visit, tmp_path: Path) -> None:
    body = visit.open("inpaint")
    visit.give("inpaint", take(tmp_path / "take.wav"))
    text = visit.box("inpaint", "regions")
    text.fill("0:01-1.5, 2.5-end")
    visit.page.wait_for_function(f"{REGIONS}.length === 2")
    assert visit.page.evaluate(REGIONS) == [[1, 1.5], [2.5, 3]]
    canvas = body.locator("ondes-source canvas.over")
    canvas.focus()
    canvas.press("Escape")
    visit.page.wait_for_function(
        "document.querySelector('#inpaint-regions textarea, #inpaint-regions input').value === ''"
    )
    canvas.press("Home")
    for _ in range(5):
        canvas.press("ArrowRight")
    for _ in range(3):
        canvas.press("Shift+ArrowRight")
    assert visit.page.evaluate(REGIONS) == [[0.5, 0.8]]
    assert text.input_value() == "0.5-0.8"
    canvas.press("Delete")
    assert text.input_value() == ""


def test_wrong_values_are_answered_beside_their_control(visit: Visit) -> None:
    visit.foreseen |= {"404"}  # the sound that the page listens to never comes
    body = visit.open("generate")
    visit.box("generate", "steps").fill("many")
    visit.page.click("#generate-run")
    wrong = visit.page.locator("#generate-steps .o-error")
    assert wrong.inner_text() == "Steps is “many”, which is no number; Steps goes from 1 to 1000."
    visit.box("generate", "steps").fill("2")
    body.locator("#generate-style input").fill("polka")
    body.locator("#generate-style input").press("Enter")
    visit.page.click("#generate-run")
    refused = body.locator(".o-error:not([hidden])").first
    refused.wait_for()
    assert "polka" in refused.inner_text()
    assert wrong.count() == 0


def test_wrong_files_are_answered_beside_the_drop_zone(visit: Visit, tmp_path: Path) -> None:
    visit.foreseen |= {"422"}  # the file is refused
    visit.open("vary")
    source = visit.page.locator("#vary-body ondes-source")
    (tmp_path / "notes.wav").write_bytes(b"no sound at all" * 100)
    source.locator("input[type=file]").set_input_files(tmp_path / "notes.wav")
    wrong = source.locator(".o-error:not([hidden])")
    wrong.wait_for()
    assert "notes.wav" in wrong.inner_text()
    source.locator("input[type=file]").set_input_files(duet(tmp_path / "duet.mid"))
    visit.page.wait_for_function(
        "document.querySelector('#vary-body ondes-source .o-error').textContent.startsWith('duet.mid is notes')"
    )
    visit.page.click("#vary-run")
    assert "Sound is missing" in wrong.inner_text()


def test_a_file_can_be_dropped(visit: Visit, tmp_path: Path) -> None:
    visit.open("vary")
    sound = list(take(tmp_path / "take.wav", 0.5).read_bytes())
    visit.page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.wav', { type: 'audio/wav' }));
            const zone = document.querySelector('#vary-body .o-zone');
            zone.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        sound,
    )
    visit.page.locator("#vary-body .o-facts", has_text="dropped.wav · 0:00.5 · 44100 Hz · stereo").wait_for()


def test_cancelling_stops_a_long_job_at_once(visit: Visit) -> None:
    body = visit.open("generate")
    visit.box("generate", "duration_s").fill("120")
    visit.box("generate", "steps").fill("50")
    visit.page.click("#generate-run")
    body.locator(".o-state", has_text="Making it").wait_for()
    body.get_by_role("button", name="Cancel").click()
    body.locator(".o-state", has_text="Cancelled.").wait_for(timeout=30_000)
    assert body.locator("progress").is_hidden()
    assert visit.page.evaluate("document.querySelector('#generate-body .o-result').dataset.job") is None


def test_result_and_source_are_switched_at_the_same_position(visit: Visit, tmp_path: Path) -> None:
    body = visit.open("vary")
    visit.give("vary", take(tmp_path / "take.wav"))
    visit.box("vary", "steps").fill("2")
    visit.run("vary")
    visit.played("vary")
    player = "document.querySelector('#vary-body .o-result ondes-player').mixer"
    assert visit.page.evaluate(f"{player}.levels") == [1, 0]
    visit.page.evaluate(f"{player}.seek(1.0)")
    visit.page.evaluate(f"{player}.play()")
    before, begun = visit.page.evaluate(f"{player}.nowS"), time.monotonic()
    body.get_by_text("Source: take.wav").click()
    assert visit.page.evaluate(f"{player}.levels") == [0, 1]
    moved = visit.page.evaluate(f"{player}.nowS") - before
    assert 0 < moved <= time.monotonic() - begun + 0.2
    assert visit.page.evaluate(f"{player}.isPlaying")


def test_the_same_seed_again_gives_the_same_bytes(visit: Visit) -> None:
    body = visit.open("generate")
    visit.box("generate", "duration_s").fill("1")
    visit.box("generate", "steps").fill("2")
    body.get_by_label("Listen while it is being made").uncheck()
    body.get_by_role("button", name="New seed").click()
    visit.page.wait_for_function("Number(document.querySelector('#generate-seed input').value) > 0")
    seed = visit.box("generate", "seed").input_value()
    first = visit.run("generate")
    visit.box("generate", "seed").fill("5")
    body.get_by_text("Seeds of earlier runs").click()
    body.get_by_role("button", name=f"Same again: seed {seed}").click()
    second = visit.finished("generate", first)
    jobs = [httpx.get(f"{visit.url}/v1/jobs/{job}").json() for job in (first, second)]
    assert [job["task"]["seed"] for job in jobs] == [int(seed)] * 2
    assert jobs[0]["files"][0]["sha256"] == jobs[1]["files"][0]["sha256"]
    assert visit.box("generate", "seed").input_value() == seed
    assert visit.page.evaluate("window.ondesStats === undefined"), "nobody listened meanwhile"


def test_music_is_heard_before_it_is_finished(visit: Visit) -> None:
    visit.foreseen |= {"stream", "ERR_"}  # the stream is cut off where the job is
    body = visit.open("synthesize")
    body.get_by_role("button", name="Example: band").click()
    body.locator("ondes-source .o-transport").wait_for()
    visit.box("synthesize", "steps").fill("2")
    visit.page.click("#synthesize-run")
    visit.page.wait_for_function("window.ondesStats?.first_sound_ms > 0")
    assert body.locator(".o-state").inner_text().startswith("Making it")
    visit.page.wait_for_function("window.ondesStats.received_s > 4")
    stats = visit.page.evaluate("window.ondesStats")
    assert (stats["sample_rate_hz"], stats["channels"]) == (44_100, 2)
    assert stats["first_sound_ms"] >= stats["first_block_ms"]
    body.get_by_role("button", name="Cancel").click()
    body.locator(".o-state", has_text="Cancelled.").wait_for()


def test_a_score_that_the_page_writes_keeps_notes_bars_and_metres(visit: Visit, tmp_path: Path) -> None:
    before = httpx.get(f"{visit.url}/v1/files/example:prelude/notes").json()
    written = visit.page.evaluate(
        "async (data) => [...(await import('/page/midi.js')).writeMidi(data)]", before
    )
    (tmp_path / "written.mid").write_bytes(bytes(written))
    write_notes(str(tmp_path / "written.mid"), str(tmp_path / "notes.json"))
    after = json.loads((tmp_path / "notes.json").read_text())
    assert after["metres"] == before["metres"]
    np.testing.assert_allclose(after["bars"], before["bars"], atol=1e-3)
    rows = [np.array(sorted(map(tuple, data["notes"]))) for data in (before, after)]
    np.testing.assert_array_equal(rows[1][:, 2:], rows[0][:, 2:])
    np.testing.assert_allclose(rows[1][:, :2], rows[0][:, :2], atol=2e-3)  # 480 ticks to a quarter


def test_two_people_do_not_see_each_others_work(visit: Visit, browser: Browser, studio_url: str) -> None:
    other = Visit.begin(browser, studio_url)
    for each, seed in ((visit, "11"), (other, "22")):
        each.open("generate")
        each.box("generate", "duration_s").fill("1")
        each.box("generate", "steps").fill("1")
        each.box("generate", "seed").fill(seed)
        each.page.click("#generate-run")
    jobs = [each.finished("generate") for each in (visit, other)]
    seeds = [httpx.get(f"{studio_url}/v1/jobs/{job}").json()["task"]["seed"] for job in jobs]
    assert seeds == [11, 22]
    rows = [each.page.locator("#generate-body .o-history li").all_text_contents() for each in (visit, other)]
    assert [len(row) for row in rows] == [1, 1]
    visit.reload()
    visit.open("generate")
    assert visit.finished("generate") == jobs[0]
    other.end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_named_focus_is_seen_and_400_pixels_are_enough(
    browser: Browser, studio_url: str, scheme: str
) -> None:
    narrow = Visit.begin(browser, studio_url, viewport={"width": 400, "height": 800}, color_scheme=scheme)
    assert ("dark" in (narrow.page.locator("body").get_attribute("class") or "")) == (scheme == "dark")
    for tab in TITLES:
        narrow.open(tab)
        assert narrow.page.evaluate("document.documentElement.scrollWidth") == 400
        nameless = narrow.page.evaluate(
            """() => [...document.querySelectorAll('input, textarea, select, button, canvas')]
                .filter((each) => each.checkVisibility() && each.getAttribute('aria-hidden') !== 'true')
                .filter((each) => !(each.labels?.length || each.textContent.trim() || each.title
                    || each.getAttribute('aria-label') || each.closest('label')))
                .map((each) => each.outerHTML.slice(0, 200))"""
        )
        assert nameless == [], tab
    run = narrow.page.locator("#chain-notes-run")
    run.focus()
    narrow.page.keyboard.press("Shift+Tab")
    narrow.page.keyboard.press("Tab")
    assert run.evaluate("(button) => getComputedStyle(button).outlineStyle") == "solid"
    narrow.end()
