"""Folders of pairs: the same whoever makes them, whole after any stop, and honest about what they hold."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.datasets import pairs
from ondes.datasets.named import folder_entries
from ondes.datasets.pairs import PairSettings, RejectionError, make_pair, render_pairs
from ondes.datasets.render import open_renderer
from ondes.errors import UserError
from ondes.score import notes_to_score, read_score, to_notes


@pytest.fixture(scope="module")
def scores(tmp_path_factory, notes_of):
    folder = tmp_path_factory.mktemp("scores")
    for name, program in (("a", 0), ("b", 40), ("c", 73)):
        rows = [(0.25 * i, 0.25 * i + 0.25, 60 + (i * 7) % 24, 80, 0) for i in range(60)]
        (folder / f"{name}.mid").write_bytes(bytes(notes_to_score(notes_of(rows, (program,))).dumps_midi()))
    return folder


@pytest.fixture
def settings(soundfont):
    return PairSettings(soundfont, backend="midirenderer", seed=3, seconds=2.0, tail_s=0.5)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


HOURS = 12 / 3600


def test_audio_is_the_render_of_the_midi_beside_it(tmp_path, scores, settings, soundfont):
    report = render_pairs(folder_entries(scores), tmp_path, settings, hours=HOURS)
    rows = rows_of(tmp_path)
    assert report.pairs == len(rows) == 5
    assert report.seconds == pytest.approx(12.5)
    renderer = open_renderer(soundfont, "midirenderer", tail_s=0.5)
    for row in rows[:3]:
        notes = to_notes(read_score(tmp_path / row["midi"]))
        audio = Audio.read(tmp_path / row["audio"])
        again = renderer.render(notes, reverb=row["reverb"])
        assert np.abs(audio.samples - again.samples).max() <= 1 / 32768
        assert row["midi_sha256"] == hashlib.sha256((tmp_path / row["midi"]).read_bytes()).hexdigest()
        assert row["soundfont_sha256"] == hashlib.sha256(soundfont.read_bytes()).hexdigest()
        assert row["split"] in ("train", "validation", "test")


@pytest.mark.slow
def test_two_workers_make_the_same_folder_as_one(tmp_path, scores, settings):
    entries = folder_entries(scores)
    render_pairs(entries, tmp_path / "one", settings, hours=HOURS)
    render_pairs(entries, tmp_path / "two", settings, hours=HOURS, workers=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert {name: one[name] for name in one if name in two} == one
    extra = set(two) - set(one)
    assert all(name not in json.dumps(rows_of(tmp_path / "two")) for name in extra)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, scores, settings):
    entries = folder_entries(scores)
    render_pairs(entries, tmp_path / "whole", settings, hours=HOURS)

    def stop(done_s, total_s):
        if done_s > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_pairs(entries, tmp_path / "parts", settings, hours=HOURS, progress=stop)
    with (tmp_path / "parts" / "manifest.jsonl").open("a") as file:
        file.write('{"id": "half a li')
    assert len(rows_of(tmp_path / "whole")) == 5
    render_pairs(entries, tmp_path / "parts", settings, hours=HOURS)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    render_pairs(entries, tmp_path / "parts", settings, hours=HOURS)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def has_processes(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_kill_9_leaves_no_half_item_and_no_workers(tmp_path, scores, settings):
    out = tmp_path / "out"
    code = (
        "from pathlib import Path\n"
        "from ondes.datasets.named import folder_entries\n"
        "from ondes.datasets.pairs import PairSettings, render_pairs\n"
        "if __name__ == '__main__':\n"
        f"    settings = PairSettings(Path({str(settings.soundfont)!r}), 'midirenderer', 3, 2.0, 0.5)\n"
        f"    entries, out = folder_entries(Path({str(scores)!r})), Path({str(out)!r})\n"
        "    render_pairs(entries, out, settings, hours=9, workers=2)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    for _ in range(3000):
        if (out / "manifest.jsonl").exists() and len((out / "manifest.jsonl").read_text().splitlines()) > 4:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    end_s = time.monotonic() + 120
    while (left := has_processes(process.pid)) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not left, "its workers find out that it is gone"
    made = len(rows_of(out))
    report = render_pairs(folder_entries(scores), out, settings, hours=(made + 2) * 2.5 / 3600)
    assert report.pairs == made + 2
    for row in rows_of(out):
        assert Audio.read(out / row["audio"]).duration_s == 2.5
    render_pairs(folder_entries(scores), tmp_path / "whole", settings, hours=(made + 2) * 2.5 / 3600)
    assert rows_of(out) == rows_of(tmp_path / "whole")


def test_other_settings_are_refused(tmp_path, scores, settings):
    entries = folder_entries(scores)
    render_pairs(entries, tmp_path, settings, hours=1 / 3600)
    with pytest.raises(UserError, match="seed 3 instead of 4"):
        render_pairs(entries, tmp_path, replace(settings, seed=4), hours=1 / 3600)
    with pytest.raises(UserError, match="scores_sha256"):
        render_pairs(entries[:1], tmp_path, settings, hours=1 / 3600)


def test_folders_that_cannot_be_used_are_refused(tmp_path, scores, settings):
    entries = folder_entries(scores)
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("")
    with pytest.raises(UserError, match="is a file"):
        render_pairs(entries, tmp_path / "file", settings, hours=1)
    with pytest.raises(UserError, match="holds other files"):
        render_pairs(entries, tmp_path / "full", settings, hours=1)
    with pytest.raises(UserError, match="cannot be written"):
        render_pairs(entries, Path("/proc/ondes"), settings, hours=1)
    with pytest.raises(UserError, match="give positive numbers"):
        render_pairs(entries, tmp_path / "new", settings, hours=0)
    assert not (tmp_path / "new").exists()


class Playing:
    """A renderer that makes what it is told to."""

    soundfont = Path("none.sf2")
    tail_s = 0.0
    soundfont_hash = "0"

    def __init__(self, *peaks):
        self.peaks = list(peaks)
        self.heard = []

    def render(self, score, *, reverb="dry"):  # noqa: ARG002
        self.heard.append(score)
        return Audio(np.full((2, 1000), self.peaks.pop(0), np.float32), 44100)


def test_silent_pairs_are_rejected(scores, settings):
    with pytest.raises(RejectionError, match="silent"):
        make_pair(folder_entries(scores), Playing(0.0), settings, 0)


def test_loud_pairs_are_turned_down_in_score_and_audio_or_rejected(scores, settings):
    player = Playing(2.0, 0.9)
    pair = make_pair(folder_entries(scores), player, settings, 0)
    assert pair.row["peak"] == 0.9
    loud, soft = (min(float(part.controls.gain_db(1.0)) for part in notes.parts) for notes in player.heard)
    assert loud - soft == pytest.approx(20 * np.log10(2 / 0.98 / 0.9), abs=1.0)
    with pytest.raises(RejectionError, match="clipped"):
        make_pair(folder_entries(scores), Playing(2.0, 1.5), settings, 0)


def test_unreadable_scores_are_rejected_and_do_not_go_on_for_ever(tmp_path, settings, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.mid").write_bytes(b"MThd nonsense")
    monkeypatch.setattr(pairs, "MOST_REJECTED_IN_A_ROW", 4)
    with pytest.raises(UserError, match=r"4 pairs in a row were rejected \(\{'broken': 4\}\)"):
        render_pairs(
            folder_entries(tmp_path / "a"), tmp_path / "out", replace(settings, probe_share=0.0), hours=1
        )
    refused = (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(refused[0]) == {"index": 0, "rejected": "broken"}
