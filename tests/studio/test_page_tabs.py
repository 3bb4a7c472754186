"""Every tab in Chromium, with real files and the bundled models: given, run, seen, heard and downloaded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_bench import RATE_HZ, Visit, duet, needs_chromium, sooner_or_later, take

from ondes.audio import Audio

pytestmark = [pytest.mark.slow, needs_chromium]

SCORES = ("compose", "separate")
LOOK_S = 3.0
"""What is made in less, a busy page may never see at work."""


def prepare(visit: Visit, tab: str, folder: Path) -> None:
    """Inputs and options with which a tab takes seconds."""
    if tab in ("separate", "synthesize"):
        visit.give(tab, duet(folder / "duet.mid"))
    if tab in ("vary", "interpolate", "inpaint", "outpaint"):
        visit.give(tab, take(folder / "take.wav"))
    if tab == "interpolate":
        visit.give(tab, take(folder / "other.wav", hz=330), 1)
    texts = {
        "compose": {"bars": "2"},
        "generate": {"duration_s": "2"},
        "inpaint": {"regions": "1-1.5"},
        "outpaint": {"after_s": "1"},
    }.get(tab, {})
    if tab != "separate":
        opened = visit.page.locator(f"#{tab}-body .o-more-options button").first
        if not visit.box(tab, "steps").is_visible():
            opened.click()
        texts = texts | {"steps": "2"}
    for name, text in texts.items():
        visit.box(tab, name).fill(text)


EXPECTED_S = {
    "synthesize": None,
    "generate": 2.0,
    "vary": 3.0,
    "interpolate": 3.0,
    "inpaint": 3.0,
    "outpaint": 4.0,
}


@pytest.mark.parametrize("tab", ["compose", "separate", *EXPECTED_S])
def test_a_tab_makes_what_the_api_gives(visit: Visit, tmp_path: Path, tab: str) -> None:
    visit.open(tab)
    prepare(visit, tab, tmp_path)
    visit.watch_states(tab)
    job = visit.job(visit.run(tab))
    assert job["kind"] == tab
    assert job["state"] == "done"
    seen: list[str] = visit.page.evaluate("window.seen")
    assert all(
        re.match(r"$|Waiting for its turn …$|Making it: \d+ %.*\.$|Done in ", text) for text in seen
    ), seen
    if job["finished_at"] - job["started_at"] > LOOK_S:
        assert any(text.startswith("Making it:") for text in seen), seen
    assert seen[-1].startswith("Done in ")
    main = job["files"][0]
    heard = visit.played(tab)
    assert heard["loudest"] > 1e-4
    if tab not in SCORES:
        assert heard["sampleRate"] == main["sample_rate_hz"] == RATE_HZ
        assert heard["numberOfChannels"] == 2
        assert heard["duration"] == pytest.approx(main["duration_s"], abs=1e-3)
        assert main["duration_s"] == pytest.approx(EXPECTED_S[tab] or main["duration_s"], abs=1e-3)
    for name in ("MIDI", "Piano roll PNG") if tab in SCORES else ("WAV", "FLAC", "Spectrogram PNG"):
        address, found = visit.downloaded(tab, name)
        assert found == visit.ask(address).content
        assert main["id"] in address
    address, record = visit.downloaded(tab, "Replay JSON")
    assert record == visit.ask(address).content
    assert json.loads(record)


def test_what_is_dragged_over_the_waveform_is_made_anew_and_nothing_else(
    visit: Visit, tmp_path: Path
) -> None:
    visit.open("inpaint")
    source = take(tmp_path / "take.wav")
    visit.give("inpaint", source)
    visit.box("inpaint", "steps").fill("2")
    drag(visit, "inpaint", 0.2, 0.4)
    drag(visit, "inpaint", 0.7, 0.8)
    drawn = visit.box("inpaint", "regions")
    sooner_or_later(drawn).to_have_value(re.compile(","))
    text = drawn.input_value()
    regions = [[float(word) for word in pair.split("-")] for pair in text.split(",")]
    np.testing.assert_allclose(regions, [[0.6, 1.2], [2.1, 2.4]], atol=0.02)
    job = visit.job(visit.run("inpaint"))
    assert job["task"]["regions"] == text
    _, found = visit.downloaded("inpaint", "WAV")
    (tmp_path / "made.wav").write_bytes(found)
    before, after = Audio.read(source).samples, Audio.read(tmp_path / "made.wav").samples
    changed = np.flatnonzero((before != after).any(0)) / RATE_HZ
    edges = np.array(regions)[:, :, None]
    inside = ((changed >= edges[:, 0] - 1e-4) & (changed <= edges[:, 1] + 1e-4)).any(0)
    assert len(changed) > 1000
    assert inside.all()


def drag(visit: Visit, tab: str, first: float, last: float) -> None:
    """Pull the mouse over a share of an input's picture."""
    area = visit.page.locator(f"#{tab}-body ondes-source canvas.over").first
    area.scroll_into_view_if_needed()
    box: Any = area.bounding_box()
    visit.page.mouse.move(box["x"] + first * box["width"], box["y"] + 40)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + last * box["width"], box["y"] + 60, steps=5)
    visit.page.mouse.up()


def test_bars_dragged_over_the_roll_are_filled_in(visit: Visit, tmp_path: Path) -> None:
    body = visit.open("compose")
    body.get_by_label("fill in bars").check()
    sooner_or_later(body).to_have_attribute("data-verb", "infill")
    visit.give("compose", duet(tmp_path / "duet.mid"))
    drag(visit, "compose", 0.6, 0.9)
    sooner_or_later(visit.box("compose", "bars")).to_have_value("2")
    body.locator(".o-more-options button").first.click()
    visit.box("compose", "steps").fill("2")
    job = visit.job(visit.run("compose"))
    assert (job["task"]["verb"], job["task"]["bars"]) == ("infill", [2, 2])
    notes = visit.ask(f"/v1/files/{job['files'][0]['id']}/notes").json()
    before = [note for note in notes["notes"] if note[0] < 2.0]
    assert [note[2] for note in before if notes["parts"][note[4]]["program"] == 0] == [62, 64, 65, 67]


def test_parts_are_muted_and_heard_alone(visit: Visit, tmp_path: Path) -> None:
    body = visit.open("synthesize")
    prepare(visit, "synthesize", tmp_path)
    body.get_by_label("Parts as single files").check()
    visit.run("synthesize")
    visit.played("synthesize")
    player = body.locator(".o-result ondes-player")
    levels = "document.querySelector('#synthesize-body .o-result ondes-player').mixer.levels"
    assert visit.page.evaluate(levels) == [1, 1]
    player.get_by_role("button", name="Mute").first.click()
    assert visit.page.evaluate(levels) == [0, 1]
    player.get_by_role("button", name="Mute").first.click()
    player.get_by_role("button", name="Solo").first.click()
    assert visit.page.evaluate(levels) == [1, 0]
    assert player.get_by_role("button", name="Solo").first.get_attribute("aria-pressed") == "true"


def test_the_chain_goes_from_noise_to_longer_and_notes_can_be_edited_between(visit: Visit) -> None:
    visit.open("chain-notes")
    visit.box("chain-notes", "bars").fill("2")
    composed = visit.job(visit.run("chain-notes"))["files"][0]
    parts = visit.page.locator("#chain-parts-body")
    parts.get_by_role("button", name="Edit notes").click()
    canvas = parts.locator("ondes-source canvas.over")
    canvas.focus()
    canvas.press("Tab")
    canvas.press("Delete")
    parts.get_by_role("button", name="Use edited notes").click()
    parts.locator(".o-facts", has_text="edited.mid").wait_for()
    visit.page.get_by_label("classifier").last.check()
    separated = visit.job(visit.run("chain-parts"))
    edited = visit.ask(f"/v1/files/{separated['task']['score']}/info").json()
    assert edited["notes"] == composed["notes"] - 1
    visit.box("chain-sound", "steps").fill("2")
    played = visit.job(visit.run("chain-sound"))
    assert played["task"]["score"] == separated["files"][0]["id"]
    visit.page.locator("#chain-longer-body .o-transport").wait_for()
    visit.box("chain-longer", "steps").fill("2")
    visit.box("chain-longer", "after_s").fill("1")
    longer = visit.job(visit.run("chain-longer"))
    assert longer["task"]["audio"] == played["files"][0]["id"]
    assert longer["files"][0]["duration_s"] == pytest.approx(played["files"][0]["duration_s"] + 1, abs=1e-3)
