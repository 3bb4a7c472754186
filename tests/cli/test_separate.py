"""`ondes separate`: files, records, replays, the page, stems and refusals; a tiny random network separates."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from sine_pipeline import Ondes, SinePipeline
from symusic.core import NoteTick, ScoreTick, TrackTick

from ondes.models.part_labeller import PartLabeller
from ondes.pipelines.separation import Separation, SeparationPipeline
from ondes.pipelines.separation_notes import MixtureNotes
from ondes.representations.ensembles import parse_ensemble
from ondes.score import read_score
from ondes.tasks import separating
from ondes.tasks.separation_page import page


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved separator of random weights."""
    torch.manual_seed(0)
    network = PartLabeller(width=16, hidden=16, blocks=1, heads=2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    folder = tmp_path_factory.mktemp("separator")
    SeparationPipeline(network, window_notes=16, overlap_notes=8, default_steps=3).save_pretrained(folder)
    return folder


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    """A piano track of chords."""
    score, track = ScoreTick(480), TrackTick("all", 0, False)
    for step in range(8):
        for voice, pitch in enumerate((76, 67, 60, 48)):
            track.notes.append(NoteTick(step * 240, 240, pitch + step % 3, 60 + 5 * voice + step))
    score.tracks.append(track)
    path = tmp_path / "mix.mid"
    path.write_bytes(score.dumps_midi())
    return path


def notes_of(path: Path) -> Counter[tuple[int, int, int, int]]:
    return Counter(
        (note.time, note.duration, note.pitch, note.velocity)
        for track in read_score(path).tracks
        for note in track.notes
    )


def test_parts_are_written_and_replayed_to_the_byte(
    ondes: Ondes, model: Path, mix: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts.mid"
    run = ondes("separate", mix, "--into", "string quartet", "-o", out, "--model", model, "--seed", 4)
    assert (run.status, run.out) == (0, "")
    assert "parts.mid: 32 notes in 4 parts in" in run.err
    assert notes_of(out) == notes_of(mix)
    assert {track.program for track in read_score(out).tracks} <= {40, 41, 42}
    record = json.loads((tmp_path / "parts.json").read_text())
    assert (record["verb"], record["choices"]["into"], record["choices"]["steps"]) == (
        "separate",
        "string quartet",
        3,
    )
    before = out.read_bytes()
    out.unlink()
    assert ondes("replay", tmp_path / "parts.json").status == 0
    assert out.read_bytes() == before


def test_a_known_part_is_kept_and_named_in_the_record(
    ondes: Ondes, model: Path, mix: Path, tmp_path: Path
) -> None:
    score, track = ScoreTick(480), TrackTick("cello", 42, False)
    for step in range(8):
        track.notes.append(NoteTick(step * 240, 240, 48 + step % 3, 75 + step))
    score.tracks.append(track)
    known = tmp_path / "known.mid"
    known.write_bytes(score.dumps_midi())
    out = tmp_path / "parts.mid"
    words = ("separate", mix, "--into", "violin, cello", "--given", known, "-o", out, "--model", model)
    assert ondes(*words).status == 0
    (cello,) = (track for track in read_score(out).tracks if track.program == 42)
    assert {(note.time, note.pitch) for note in cello.notes} >= {
        (step * 240, 48 + step % 3) for step in range(8)
    }
    assert ondes("replay", tmp_path / "parts.json").status == 0
    known.write_bytes(b"another")
    run = ondes("replay", tmp_path / "parts.json")
    assert run.status == 2
    assert "have changed" in run.err


@pytest.mark.slow
def test_alternatives_come_with_a_page_of_their_own(
    ondes: Ondes, model: Path, mix: Path, tmp_path: Path
) -> None:
    page = tmp_path / "out.html"
    run = ondes(
        "separate",
        mix,
        "--into",
        "violin, cello",
        "-n",
        2,
        "-o",
        tmp_path / "alt",
        "--report",
        page,
        "--model",
        model,
    )
    assert run.status == 0
    assert sorted(path.name for path in (tmp_path / "alt").iterdir()) == [
        "01.mid",
        "02.mid",
        "separation.json",
    ]
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 5
    assert text.count("<h2>Alternative") == 2
    assert text.count("<figcaption>Confidence: paler notes are less sure</figcaption>") == 2
    assert "://" not in text
    assert "mean confidence" in text


def test_doublings_are_counted(ondes: Ondes, model: Path, mix: Path, tmp_path: Path) -> None:
    words = "separate", mix, "--into", "violin, viola, cello", "-o", tmp_path / "p.mid", "--model", model
    assert "several parts" not in ondes(*words).err
    run = ondes(*words, "--allow-doubling")
    more = notes_of(tmp_path / "p.mid") - notes_of(mix)
    assert more
    assert f"notes that play in several parts: {len(more)}\n" in run.err


@pytest.mark.slow
def test_rolls_of_long_pieces_have_several_lines(tmp_path: Path) -> None:
    heights = []
    for steps in (8, 400):  # at 120 quarter notes a minute: 4 s and 200 s
        score, track = ScoreTick(480), TrackTick("", 0, False)
        for step in range(steps):
            track.notes.append(NoteTick(step * 480, 480, 60 + step % 5, 64))
        score.tracks.append(track)
        notes = MixtureNotes.of(score)
        labels = np.zeros((1, steps), np.int64)
        made = Separation(
            [score], labels, np.ones((1, steps)), parse_ensemble("piano"), notes, labels[..., None] > 0
        )
        (first, *_) = re.findall(r"base64,([^\"]+)", page("song", score, made))
        heights.append(int.from_bytes(base64.b64decode(first)[20:24], "big"))
    assert heights == [340, 1540]


def test_the_parts_are_played_as_stems(
    ondes: Ondes, sines: SinePipeline, model: Path, mix: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audio"
    run = ondes(
        "separate", mix, "--into", "violin, cello", "-o", tmp_path / "p.mid", "--audio", out, "--model", model
    )
    assert run.status == 0
    names = sorted(path.name for path in out.iterdir())
    assert names[-2:] == ["mix.json", "mix.wav"]
    assert set(names[:-2]) <= {"01-violin.wav", "02-cello.wav", "01-cello.wav"}
    assert len(names) > 2
    assert sines.model_hash in (out / "mix.json").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--into", "violn, cello"], "no instrument or ensemble: 'violn'; did you mean 'violin'"),
        (["--into", "drums"], "nobody plays the 32 notes that are not on the drum channel"),
        (["-o", "x.wav"], "x.wav has no MIDI suffix"),
        (["--report", "page.pdf"], "page.pdf has no HTML suffix; name it page.html"),
        (["--polyphony", "two"], "--polyphony 'two' is no number of notes"),
        (["--sampler", "ddpm"], "labels notes and has no sampler 'ddpm'; leave that out"),
        (["--into", "violin, cello", "--polyphony", "1,1,1"], "3 numbers of notes at once for 2 parts"),
        (["--audio", "out.wav"], "looks like a file"),
        (["--given", "nothing.mid"], "nothing.mid does not exist"),
        (["-n", "3", "-o", "x.mid"], "-n 3 writes a folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    ondes: Ondes,
    model: Path,
    mix: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = ondes("separate", mix, "--model", model, *words)
    assert run.status == 2
    assert message in run.err
    assert [path.name for path in tmp_path.iterdir()] == ["mix.mid"]


def test_a_score_is_never_written_over(ondes: Ondes, model: Path, mix: Path) -> None:
    before = mix.read_bytes()
    run = ondes("separate", mix, "--into", "violin, cello", "-o", mix, "--model", model)
    assert run.status == 2
    assert "is the score itself" in run.err
    assert mix.read_bytes() == before


def test_a_score_without_notes_is_refused_and_one_note_is_enough(
    ondes: Ondes, model: Path, tmp_path: Path
) -> None:
    score = ScoreTick(480)
    score.tracks.append(TrackTick("", 0, False))
    (tmp_path / "none.mid").write_bytes(score.dumps_midi())
    run = ondes("separate", tmp_path / "none.mid", "--into", "piano", "--model", "no such model")
    assert run.status == 2
    assert "has no notes" in run.err
    score.tracks[0].notes.append(NoteTick(0, 480, 60, 64))
    (tmp_path / "one.mid").write_bytes(score.dumps_midi())
    out = tmp_path / "one.parts.mid"
    assert ondes("separate", tmp_path / "one.mid", "-o", out, "--model", model).status == 0
    assert sum(notes_of(out).values()) == 1


def test_parts_that_are_separate_already_are_said_and_can_be_kept(
    ondes: Ondes, model: Path, tmp_path: Path
) -> None:
    score = ScoreTick(480)
    for name, program in (("Flute", 73), ("Horn", 60)):
        track = TrackTick(name, program, False)
        track.notes.append(NoteTick(0, 480, program, 64))
        score.tracks.append(track)
    path, out = tmp_path / "duo.mid", tmp_path / "out.mid"
    path.write_bytes(score.dumps_midi())
    run = ondes("separate", path, "--into", "flute, horn", "-o", out, "--model", model)
    assert "separate parts already (Flute, Horn)" in run.err
    assert "--keep" in run.err
    run = ondes("separate", path, "-o", out, "--keep", "--model", model)
    assert "separate parts already" not in run.err
    assert [(track.name, track.program) for track in read_score(out).tracks] == [("Flute", 73), ("Horn", 60)]


def test_the_model_has_the_name_of_the_issue() -> None:
    assert separating.DEFAULT_MODEL == "separate-small"
