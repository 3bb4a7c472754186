"""What the page does for the person in front of it, in Chromium: typing, keys, errors, cancelling, comparing, again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from page_bench import TITLES, Visit, duet, needs_chromium, sooner_or_later, take

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
    visit.becomes(REGIONS, [[1, 1.5], [2.5, 3]])
    canvas = body.locator("ondes-source canvas.over")
    canvas.focus()
    canvas.press("Escape")
    sooner_or_later(text).to_have_value("")
    canvas.press("Home")
    for _ in range(5):
        canvas.press("ArrowRight")
    for _ in range(3):
        canvas.press("Shift+ArrowRight")
    visit.becomes(REGIONS, [[0.5, 0.8]])
    sooner_or_later(text).to_have_value("0.5-0.8")
    canvas.press("Delete")
    sooner_or_later(text).to_have_value("")


def test_what_is_drawn_fast_is_not_undone_by_what_the_box_says_of_it_later(
    visit: Visit, tmp_path: Path
) -> None:
    visit.open("inpaint")
    visit.give("inpaint", take(tmp_path / "take.wav"))
    text = visit.box("inpaint", "regions")
    visit.page.evaluate(
        """async () => {
            const canvas = document.querySelector('#inpaint-body ondes-source canvas.over');
            const press = (key) => canvas.dispatchEvent(new KeyboardEvent('keydown', { key, shiftKey: true }));
            const { typed } = window.ondes;
            window.told = [];
            window.ondes.typed = (tab, said) => {
                window.told.push(said);
                const first = window.told.length === 1;
                if (first) press('ArrowRight'); // as if one key came before the box has told, and one after
                typed(tab, said);
                if (first) press('ArrowRight');
            };
            press('ArrowRight');
            press('ArrowRight');
        }"""
    )
    sooner_or_later(text).to_have_value("0-0.4")
    visit.becomes("window.told.at(-1)", "0-0.4")
    assert visit.page.evaluate(REGIONS) == [[0, 0.4]]
    text.fill("1-2")
    visit.becomes(REGIONS, [[1, 2]])


def test_wrong_values_are_answered_beside_their_control(visit: Visit) -> None:
    visit.foreseen |= {"404"}  # the sound that the page listens to never comes
    body = visit.open("generate")
    visit.box("generate", "steps").fill("many")
    visit.page.click("#generate-run")
    wrong = visit.page.locator("#generate-steps .o-error")
    sooner_or_later(wrong).to_have_text("Steps is “many”, which is no number; Steps goes from 1 to 1000.")
    visit.box("generate", "steps").fill("2")
    body.locator("#generate-style input").fill("polka")
    body.locator("#generate-style input").press("Enter")
    visit.page.click("#generate-run")
    sooner_or_later(body.locator(".o-error:not([hidden])")).to_contain_text("polka")
    sooner_or_later(wrong).to_have_count(0)


def test_wrong_files_are_answered_beside_the_drop_zone(visit: Visit, tmp_path: Path) -> None:
    visit.foreseen |= {"422"}  # the file is refused
    visit.open("vary")
    source = visit.page.locator("#vary-body ondes-source")
    (tmp_path / "notes.wav").write_bytes(b"no sound at all" * 100)
    source.locator("input[type=file]").set_input_files(tmp_path / "notes.wav")
    wrong = source.locator(".o-error:not([hidden])")
    sooner_or_later(wrong).to_contain_text("notes.wav")
    source.locator("input[type=file]").set_input_files(duet(tmp_path / "duet.mid"))
    sooner_or_later(wrong).to_have_text(re.compile("^duet.mid is notes"))
    visit.page.click("#vary-run")
    sooner_or_later(wrong).to_contain_text("Sound is missing")


def test_a_file_can_be_dropped(visit: Visit, tmp_path: Path) -> None:
    visit.open("vary")
    sound = list(take(tmp_path / "take.wav", 0.5).read_bytes())
    visit.page.locator("#vary-body .o-zone").evaluate(
        """(zone, bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.wav', { type: 'audio/wav' }));
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
    body.locator(".o-state", has_text="Cancelled.").wait_for(timeout=30_000)  # it would take minutes
    sooner_or_later(body.locator("progress")).to_be_hidden()
    assert visit.page.evaluate("document.querySelector('#generate-body .o-result').dataset.job") is None


def test_result_and_source_are_switched_at_the_same_position(visit: Visit, tmp_path: Path) -> None:
    body = visit.open("vary")
    visit.give("vary", take(tmp_path / "take.wav"))
    visit.box("vary", "steps").fill("2")
    visit.run("vary")
    visit.played("vary")
    player = "document.querySelector('#vary-body .o-result ondes-player').mixer"
    assert visit.page.evaluate(f"{player}.levels") == [1, 0]
    # The clock stands still while a slow machine clicks, so that the sound does not end meanwhile.
    begun_s = visit.page.evaluate(
        f"""async () => {{
            const mixer = {player};
            await mixer.seek(1.0);
            await mixer.play();
            await mixer.context.suspend();
            return mixer.nowS;
        }}"""
    )
    assert 1 <= begun_s < 3
    body.get_by_text("Source: take.wav").click()
    visit.becomes(f"{player}.levels", [0, 1])
    assert visit.page.evaluate(f"[{player}.nowS, {player}.isPlaying]") == [begun_s, True]
    visit.page.evaluate(
        f"""async () => {{
            const {{ context }} = {player};
            const stood = context.currentTime;
            await context.resume();
            while (context.currentTime <= stood) await new Promise(requestAnimationFrame);
        }}"""
    )


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
    jobs = [visit.job(job) for job in (first, second)]
    assert [job["task"]["seed"] for job in jobs] == [int(seed)] * 2
    assert jobs[0]["files"][0]["sha256"] == jobs[1]["files"][0]["sha256"]
    sooner_or_later(visit.box("generate", "seed")).to_have_value(seed)
    assert visit.page.evaluate("window.ondesStats === undefined"), "nobody listened meanwhile"


def test_music_is_heard_before_it_is_finished(visit: Visit) -> None:
    visit.foreseen |= {"stream", "ERR_"}  # the stream is cut off where the job is
    body = visit.open("synthesize")
    body.get_by_role("button", name="Example: band").click()
    body.locator("ondes-source .o-transport").wait_for()
    visit.box("synthesize", "steps").fill("10")  # it must not be finished before it is cancelled
    visit.page.click("#synthesize-run")
    visit.page.wait_for_function("window.ondesStats?.first_sound_ms > 0")
    sooner_or_later(body.locator(".o-state")).to_have_text(re.compile("^Making it"))
    visit.page.wait_for_function("window.ondesStats.received_s > 4")
    stats = visit.page.evaluate("window.ondesStats")
    assert (stats["sample_rate_hz"], stats["channels"]) == (44_100, 2)
    assert stats["first_sound_ms"] >= stats["first_block_ms"]
    body.get_by_role("button", name="Cancel").click()
    body.locator(".o-state", has_text="Cancelled.").wait_for()


def test_a_score_that_the_page_writes_keeps_notes_bars_and_metres(visit: Visit, tmp_path: Path) -> None:
    before = visit.ask("/v1/files/example:prelude/notes").json()
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
    seeds = [visit.job(job)["task"]["seed"] for job in jobs]
    assert seeds == [11, 22]
    for each in (visit, other):
        sooner_or_later(each.page.locator("#generate-body .o-history li")).to_have_count(1)
    visit.reload()
    visit.open("generate")
    assert visit.finished("generate") == jobs[0]
    other.end()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_named_focus_is_seen_and_400_pixels_are_enough(
    browser: Browser, studio_url: str, scheme: str
) -> None:
    narrow = Visit.begin(browser, studio_url, viewport={"width": 400, "height": 800}, color_scheme=scheme)
    narrow.becomes("document.body.classList.contains('dark')", scheme == "dark")
    for tab in TITLES:
        narrow.open(tab)
        narrow.becomes("document.documentElement.scrollWidth", 400)
        narrow.becomes(
            """() => [...document.querySelectorAll('input, textarea, select, button, canvas')]
                .filter((each) => each.checkVisibility() && each.getAttribute('aria-hidden') !== 'true')
                .filter((each) => !(each.labels?.length || each.textContent.trim() || each.title
                    || each.getAttribute('aria-label') || each.closest('label')))
                .map((each) => each.outerHTML.slice(0, 200))""",
            [],
        )
    run = narrow.page.locator("#chain-notes-run")
    run.focus()
    narrow.page.keyboard.press("Shift+Tab")
    narrow.page.keyboard.press("Tab")
    sooner_or_later(run).to_be_focused()
    sooner_or_later(run).to_have_css("outline-style", "solid")
    narrow.end()
