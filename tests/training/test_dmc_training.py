"""Training of the published composer: its loss, its batches, whole runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rendered_sines import TRAINER  # pyright: ignore[reportMissingImports]

from ondes.errors import UserError
from ondes.models.dmc_unet import DmcUNet
from ondes.pipelines.dmc import DmcPipeline
from ondes.representations.triples import TripleStatistics, from_scaled
from ondes.scores.notation import Page, to_midi
from ondes.training.cli import main
from ondes.training.dmc import DmcTraining, RandomSegments, TripleBatch, TripleData, roll

TINY: dict[str, Any] = {"notes": 16, "width": 4, "time_size": 8}


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """A folder with five scales."""
    place = tmp_path / "scores"
    place.mkdir()
    for number in range(5):
        page = Page("Piano", 0)
        for step in range(40):
            page.note(step / 2, 40 + number + step % 12, 0.5, 80)
        (place / f"{number}.mid").write_bytes(to_midi([page], [(0.0, 90.0)]))
    return place


def write_config(run: Path, scores: Path, **data: Any) -> Path:
    config = {
        "run": str(run),
        "save_every": 2,
        "seed_everything": 0,
        "model": {
            "model": {"class_path": "ondes.models.dmc_unet.DmcUNet", "init_args": TINY},
            "lower_from": 2,
        },
        "data": {
            "data": str(scores),
            "validation_data": str(scores),
            "batch": 4,
            "notes": 16,
            "validation_batches": 1,
            "cache_folder": str(run / "cache"),
            **data,
        },
        "trainer": {**TRAINER, "max_steps": 4},
    }
    run.mkdir(parents=True, exist_ok=True)
    path = run / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def train(run: Path, scores: Path, *words: str) -> dict[str, Any]:
    """Train on MIDI pitches with z-scores; returns the last checkpoint."""
    config = write_config(run, scores, pitch_encoding="midi", scaling="zscore")
    main("compose-dmc", ["--config", str(config), *words])
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)


@pytest.mark.slow
def test_a_run_saves_a_model_that_knows_its_statistics(scores: Path, tmp_path: Path) -> None:
    state = train(tmp_path, scores)
    assert state["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(1e-6)
    pipeline = DmcPipeline.from_pretrained(tmp_path / "model")
    assert (pipeline.statistics.pitch_encoding, pipeline.statistics.scaling) == ("midi", "zscore")
    assert 40 <= pipeline.statistics.mean[0] <= 55
    assert pipeline.sample(2, steps=2).shape == (2, 16, 3)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2


@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit(scores: Path, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", scores)["state_dict"]
    train(tmp_path / "parts", scores, "--trainer.max_steps", "2")
    parts = train(tmp_path / "parts", scores)["state_dict"]
    for key, value in whole.items():
        assert torch.equal(value, parts[key]), key


def test_the_published_configuration_is_read_and_has_the_published_size() -> None:
    file = Path(__file__).parents[2] / "configs" / "compose" / "dmc.yaml"
    config = yaml.safe_load(file.read_text())
    with torch.device("meta"):
        network = DmcUNet(**config["model"]["model"]["init_args"])
    assert sum(parameter.numel() for parameter in network.parameters()) == 12_316_355
    assert (config["data"]["pitch_encoding"], config["data"]["batch"]) == ("hz", 64)
    assert config["model"]["learning_rate"] == 1e-4
    DmcTraining(DmcUNet(**TINY), **{k: v for k, v in config["model"].items() if k != "model"})
    TripleData(**config["data"] | {"cache_folder": None})


def test_the_loss_is_the_squared_error_of_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    training = DmcTraining(DmcUNet(**TINY))
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    told: list[torch.Tensor] = []
    data = torch.rand(400, 16, 3)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0).float()

    def oracle(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        told.append(timestep)
        share = kept[timestep][:, None, None]
        return (noisy - share.sqrt() * data) / (1 - share).sqrt() + 0.25

    monkeypatch.setattr(training.model, "forward", oracle)
    loss = training.training_step(TripleBatch(data, torch.tensor(0)))
    assert float(loss) == pytest.approx(0.25**2, abs=1e-3)
    assert torch.equal(told[0].sort().values, told[0].sort().values.clamp(0, 999))
    assert 0 <= int(told[0].min()) < 20
    assert 980 < int(told[0].max()) <= 999
    training.training_step(TripleBatch(data, torch.tensor(0)))
    training.training_step(TripleBatch(data, torch.tensor(1)))
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])


def test_every_epoch_has_each_segment_once_in_another_order() -> None:
    segments = np.arange(10, dtype=np.float32)[:, None, None].repeat(2, 1).repeat(3, 2)
    batches = RandomSegments(segments, batch=4, seed=1)
    seen = torch.cat([batches.at(number).triples[:, 0, 0] for number in range(5)]).reshape(2, 10)
    assert torch.equal(seen.sort(1).values, torch.arange(10.0).expand(2, 10))
    assert not torch.equal(seen[0], seen[1])
    again = iter(RandomSegments(segments, batch=4, seed=1, first=3))
    assert torch.equal(next(again).triples, batches.at(3).triples)


def test_statistics_are_those_of_the_training_data_for_both_splits(scores: Path) -> None:
    data = TripleData(str(scores), str(scores / "..") + "/scores", batch=4, notes=16, scaling="minmax")
    data.setup("fit")
    assert isinstance(data.statistics, TripleStatistics)
    assert data.statistics.low[0] == pytest.approx(440 * 2 ** ((40 - 69) / 12))
    assert float(data.scaled["train"].min()) == 0
    pitches = from_scaled(data.scaled["validation"], data.statistics)[..., 0]
    assert set(np.unique(pitches)) == set(range(40, 56))


def test_a_roll_shows_each_note_where_it_sounds() -> None:
    drawn = roll(np.array([[60, 0.5, 0], [64, 0.25, 0.25], [60, 0.01, 1]]))
    sounding = drawn > 0
    assert torch.nonzero(sounding[60])[:, 0].tolist() == [0, 1, 2, 3, 10]
    assert torch.nonzero(sounding[64])[:, 0].tolist() == [2, 3]
    assert int(sounding.sum()) == 7
    assert not math.isnan(float(drawn.sum()))


def test_wrong_words_are_refused_before_anything_is_trained(scores: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "run", scores, pitch_encoding="herz")
    with pytest.raises(UserError, match="no pitch encoding 'herz': did you mean 'hz'"):
        main("compose-dmc", ["--config", str(config)])
