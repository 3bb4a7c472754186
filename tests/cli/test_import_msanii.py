"""`ondes import msanii.pt`, and the commands of audio with what it makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sine_pipeline import Ondes

from msanii_layout import write_msanii
from ondes.audio import Audio
from ondes.representations.msanii_mel import MsaniiSpec, msanii_filters


def test_a_published_checkpoint_becomes_a_model_that_edits(ondes: Ondes, tmp_path: Path) -> None:
    filters = msanii_filters(MsaniiSpec(8000, 64, 32, 6)).T.contiguous()
    file, mine = write_msanii(tmp_path / "msanii.pt", filters, containers=True), tmp_path / "mine"
    run = ondes("import", file, "-o", mine)
    assert (run.status, run.out) == (0, "")
    assert "imported from the layout 'msanii'" in run.err
    piece = tmp_path / "piece.wav"
    run = ondes("generate", "-o", piece, "--duration", 0.4, "--steps", 2, "--model", mine)
    assert run.status == 0, run.err
    made = Audio.read(piece)
    assert made.samples.shape == (2, 3200)
    assert json.loads(piece.with_suffix(".json").read_text())
    fixed = tmp_path / "fixed.wav"
    words = ["--regions", "0.1-0.2", "--steps", 2, "--model", mine, "--no-sidecar"]
    run = ondes("inpaint", piece, "-o", fixed, *words)
    assert run.status == 0, run.err
    assert np.array_equal(Audio.read(fixed).samples[:, 1600:], made.samples[:, 1600:])
    run = ondes("generate", "-o", piece, "--duration", 0.4, "--style", "jazz", "--model", mine)
    assert run.status == 2
    assert "Msanii knows no styles" in run.err


def test_compat_is_of_msanii_alone(ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("import", tmp_path, "-o", tmp_path / "mine", "--compat")
    assert run.status == 2
    assert "the only model with --compat" in run.err
