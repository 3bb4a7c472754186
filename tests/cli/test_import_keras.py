"""`ondes import` of Keras weights."""

from __future__ import annotations

from pathlib import Path

from sine_pipeline import Ondes

from dmc_layout import golden_weights, write_keras
from ondes.pipelines.dmc import DmcPipeline


def test_weights_of_keras_are_imported_with_typed_statistics(ondes: Ondes, tmp_path: Path) -> None:
    file, mine = write_keras(tmp_path / "unet_000020.h5", golden_weights()), tmp_path / "mine"
    run = ondes("import", file, "-o", mine)
    assert run.status == 2
    assert "give --statistics FILE.json, or all three ranges" in run.err
    assert not mine.exists()
    ranges = ["--pitch-range", 30, 4000, "--duration-range", 0, 2.5, "--delta-range", 0, 2]
    run = ondes("import", file, "-o", mine, *ranges)
    assert (run.status, run.out) == (0, "")
    assert "imported from the layout 'keras'" in run.err
    assert DmcPipeline.from_pretrained(mine).statistics.high == (4000, 2.5, 2)


def test_statistics_of_other_layouts_are_refused(ondes: Ondes, tmp_path: Path) -> None:
    run = ondes("import", tmp_path, "-o", tmp_path / "mine", "--delta-range", 0, 2)
    assert run.status == 2
    assert "all others hold their statistics" in run.err
