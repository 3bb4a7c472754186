"""`ondes import` of Mixture2Music's checkpoints, and `ondes separate` with what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

from sine_pipeline import Ondes

from mixture2music_layout import decoder_state, network_state, write_checkpoint
from ondes.score import read_score
from ondes.scores.notation import Page, to_midi


def test_checkpoints_become_a_model_that_separates(ondes: Ondes, tmp_path: Path) -> None:
    network = write_checkpoint(tmp_path / "TransUNet.ckpt", network_state())
    decoder = write_checkpoint(tmp_path / "SimpleDecoder.ckpt", decoder_state())
    mine = tmp_path / "mine"
    run = ondes("import", network, "--decoder", decoder, "-o", mine)
    assert (run.status, run.out) == (0, "")
    assert "imported from the layout 'mixture2music'" in run.err
    source = json.loads((mine / "source.json").read_text())
    assert set(source["sha256"]) == {"TransUNet.ckpt", "SimpleDecoder.ckpt"}
    page = Page("", 0)
    for step in range(8):
        page.note(step / 2, 48 + 3 * step, 0.5, 80)
    (tmp_path / "mix.mid").write_bytes(to_midi([page], [(0.0, 90.0)]))
    run = ondes("separate", tmp_path / "mix.mid", "--model", mine, "--steps", 2, "-o", tmp_path / "parts.mid")
    assert run.status == 0, run.err
    pitches = [note.pitch for track in read_score(tmp_path / "parts.mid").tracks for note in track.notes]
    assert sorted(pitches) == [48 + 3 * step for step in range(8)]
    assert json.loads((tmp_path / "parts.json").read_text())["choices"]["steps"] == 2
    words = "--model", mine, "--steps", 2, "--sampler", "ddpm", "-o", tmp_path / "other.mid"
    assert ondes("separate", tmp_path / "mix.mid", *words).status == 0
    assert json.loads((tmp_path / "other.json").read_text())["choices"]["sampler"] == "ddpm"
    assert ondes("replay", tmp_path / "other.json").status == 0


def test_a_decoder_of_another_model_is_refused(ondes: Ondes, tmp_path: Path) -> None:
    decoder = write_checkpoint(tmp_path / "SimpleDecoder.ckpt", decoder_state())
    run = ondes("import", tmp_path, "--decoder", decoder, "-o", tmp_path / "mine")
    assert run.status == 2
    assert "is no TransUNet of Mixture2Music, so it has no decoder" in run.err
    run = ondes("import", decoder, "-o", tmp_path / "mine")
    assert run.status == 2
    assert "which is none of model." in run.err
