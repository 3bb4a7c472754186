"""`ondes import` of Keras weights: the statistics are typed, the model writes music."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from dmc_layout import golden_weights, write_keras
from ondes.errors import UserError
from ondes.pipelines.dmc import DmcPipeline
from ondes.pipelines.dmc_exchange import TypedStatistics, import_dmc, read_statistics

RANGES: dict[str, Any] = {"pitch": (8.176, 12543.854), "duration": (0.0, 2.1333), "delta": (0.0, 2.0)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_keras(tmp_path / "unet_000020.h5", golden_weights())


def test_imported_weights_write_music_within_the_typed_ranges(file: Path, tmp_path: Path) -> None:
    import_dmc(str(file), tmp_path / "mine", TypedStatistics(**RANGES))
    pipeline = DmcPipeline.from_pretrained(tmp_path / "mine")
    assert pipeline.statistics.high == (12543.854, 2.1333, 2.0)
    assert pipeline.network.config["time_code"] == "scrambled"
    triples = pipeline.sample(steps=2, notes=16)
    assert triples[..., 1].max() <= 2.1333
    said = json.loads((tmp_path / "mine" / "source.json").read_text())
    sum_ = hashlib.sha256(file.read_bytes()).hexdigest()
    assert said == {"layout": "keras", "name": file.name, "sha256": {file.name: sum_}}


def test_statistics_come_from_a_file_from_options_or_from_both(tmp_path: Path) -> None:
    stored = tmp_path / "statistics.json"
    stored.write_text(json.dumps({"low": [0, 0.1, 0], "high": [127, 4, 4], "pitch_encoding": "midi"}))
    whole = TypedStatistics(stored).resolved("x.h5")
    assert (whole.pitch_encoding, whole.scaling, whole.low, whole.high) == (
        "midi",
        "minmax",
        (0.0, 0.1, 0.0),
        (127.0, 4.0, 4.0),
    )
    assert TypedStatistics(stored, delta=(0.5, 9)).resolved("x.h5").high == (127.0, 4.0, 9.0)
    assert TypedStatistics(**RANGES).resolved("x.h5").pitch_encoding == "hz"


def test_missing_and_wrong_statistics_are_one_line(file: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"x\.h5 does not say how .* likely are --pitch-range 8\.176"
    ) as refused:
        TypedStatistics(pitch=RANGES["pitch"], delta=RANGES["delta"]).resolved("x.h5")
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="statistics of duration say 2 to 1"):
        TypedStatistics(pitch=RANGES["pitch"], delta=RANGES["delta"], duration=(2, 1)).resolved("x.h5")
    for text, words in (
        ("[1]", "holds a list; give an object"),
        ("{", "cannot be read as statistics"),
        ('{"low": [0, 0, 0]}', "incomplete"),
        ('{"minimum": 3}', "no field 'minimum'"),
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UserError, match=words):
            read_statistics(tmp_path / "bad.json")
    with pytest.raises(UserError, match="all three ranges"):
        import_dmc(str(file), tmp_path / "never", TypedStatistics())
    assert not (tmp_path / "never").exists()
