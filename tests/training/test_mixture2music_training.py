"""Training of the published separator: its loss, its data, whole runs, and how a configuration chooses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rendered_sines import TRAINER  # pyright: ignore[reportMissingImports]

from ondes.datasets.note_cache import build_note_cache
from ondes.errors import UserError
from ondes.models.trans_unet import RollDecoder, TransUNet
from ondes.pipelines.mixture2music import Mixture2MusicPipeline
from ondes.scores.notation import Page, to_midi
from ondes.training.cli import main, names_class
from ondes.training.mixture2music import Mixture2MusicTraining, RollDecoderTraining
from ondes.training.roll_windows import MixtureRolls, RollBatch, RollWindows

NETWORK: dict[str, Any] = {"width": 32, "token_size": 8, "head_size": 8, "layers": 1, "most_tokens": 72}
PLACE = "ondes.training.mixture2music"
CONFIGS = Path(__file__).parents[2] / "configs" / "separate"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Notes of two songs for piano and bass, and of one for piano alone."""
    folder = tmp_path_factory.mktemp("rolls")
    (folder / "songs").mkdir()
    for number in range(3):
        pages = [Page("Piano", 0), Page("Bass", 33)][: 2 if number else 1]
        for step in range(60):
            for page in pages:
                page.note(step / 2, 40 + 20 * (page is pages[0]) + (step + number) % 12, 0.5, 80)
        (folder / "songs" / f"{number}.mid").write_bytes(to_midi(pages, [(0.0, 90.0)]))
    build_note_cache(folder / "songs", folder / "notes")
    return folder / "notes"


def write_config(run: Path, cache: Path, system: str = "Mixture2MusicTraining", **network: Any) -> Path:
    kind, sizes = (
        ("TransUNet", NETWORK) if system == "Mixture2MusicTraining" else ("RollDecoder", {"width": 32})
    )
    inner = {"class_path": f"ondes.models.trans_unet.{kind}", "init_args": {**sizes, **network}}
    data = {"train_cache": str(cache), "validation_cache": str(cache), "batch": 2, "validation_batches": 1}
    config = {
        "run": str(run),
        "save_every": 2,
        "seed_everything": 0,
        "model": {"class_path": f"{PLACE}.{system}", "init_args": {"model": inner}},
        "data": {
            "class_path": "ondes.training.roll_windows.MixtureRolls",
            "init_args": {**data, "least_cells": 20},
        },
        "trainer": {**TRAINER, "max_steps": 4},
    }
    run.mkdir(parents=True, exist_ok=True)
    path = run / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit(cache: Path, tmp_path: Path) -> None:
    states = {}
    for name, words in (("whole", [[]]), ("parts", [["--trainer.max_steps", "2"], []])):
        config = write_config(tmp_path / name, cache)
        for more in words:
            main("separate", ["--config", str(config), *more])
        states[name] = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=False)
    for key, value in states["whole"]["state_dict"].items():
        assert torch.equal(value, states["parts"]["state_dict"][key]), key
    # The checkpoint of the last step is older than its validation.
    assert states["whole"]["lr_schedulers"][0]["last_epoch"] == 1


@pytest.mark.slow
def test_a_run_leaves_a_separator(cache: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, cache)
    main("separate", ["--config", str(config), "--trainer.max_steps", "2"])
    pipeline = Mixture2MusicPipeline.from_pretrained(tmp_path / "model")
    assert pipeline.network.config["schedule"] == "linear"
    assert pipeline.sample(np.ones((16, 72), np.bool_), steps=1).shape == (5, 16, 72)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


@pytest.mark.slow
def test_the_decoder_is_trained_by_the_same_command(cache: Path, tmp_path: Path) -> None:
    main("separate", ["--config", str(write_config(tmp_path, cache, "RollDecoderTraining"))])
    decoder = RollDecoder.from_pretrained(tmp_path / "model", low_cpu_mem_usage=False)
    assert decoder.config["parts"] == 5


def test_layers_that_do_not_fit_the_data_are_refused(cache: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, cache, parts=4)
    with pytest.raises(UserError, match="the network has 4 layers and the data 5"):
        main("separate", ["--config", str(config)])


def test_published_configurations_have_the_published_sizes() -> None:
    counts = {}
    for name, kind in (("mixture2music", TransUNet), ("mixture2music_decoder", RollDecoder)):
        config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
        assert config["data"]["init_args"]["batch"] == 512
        with torch.device("meta"):
            network = kind(**config["model"]["init_args"]["model"]["init_args"])
        counts[name] = sum(parameter.numel() for parameter in network.parameters())
    assert counts == {"mixture2music": 4_977_349, "mixture2music_decoder": 175_173}


def test_the_loss_is_hubers_of_the_noise_within_the_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    training = Mixture2MusicTraining(TransUNet(**NETWORK))
    monkeypatch.setattr(training, "log", lambda *_, **__: None)
    rolls = (torch.rand(300, 5, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.02).float()
    batch = RollBatch(rolls, torch.tensor(0))
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0).float()
    told: list[torch.Tensor] = []

    def oracle(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        told.append(timestep)
        assert not noisy[(batch.mixture == 0).expand(noisy.shape)].any()
        share = kept[timestep][:, None, None, None]
        return (noisy - share.sqrt() * rolls) / (1 - share).sqrt() + 0.5

    monkeypatch.setattr(training.model, "forward", oracle)
    assert float(training.training_step(batch)) == pytest.approx(0.5 * 0.5**2, abs=1e-4)
    assert 0 <= int(told[0].min()) < 20
    assert 980 < int(told[0].max()) <= 999
    # An answer of 0 costs the published 0.4247 (the Huber loss of normal noise) for each cell of the mixture.
    monkeypatch.setattr(training.model, "forward", lambda noisy, _: torch.zeros_like(noisy))
    density = float(batch.mixture.mean())
    assert float(training.training_step(batch)) == pytest.approx(0.4247 * density, rel=0.03)


def test_the_decoder_sees_the_cleanest_level(monkeypatch: pytest.MonkeyPatch) -> None:
    training = RollDecoderTraining(RollDecoder(width=32))
    rolls = torch.ones(4, 5, 32, 72)
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(training.model, "forward", lambda nearly: seen.append(nearly) or 0 * nearly)
    loss = training.batch_loss(
        training.model, RollBatch(rolls, torch.tensor(0)), torch.Generator().manual_seed(0)
    )
    assert float(loss) == pytest.approx(np.log(2))
    assert float(seen[0].std()) == pytest.approx(0.01, rel=0.05)


def test_windows_come_from_songs_of_two_parts_and_each_once_an_epoch(cache: Path) -> None:
    data = MixtureRolls(cache, cache, batch=4, least_cells=20)
    data.setup("fit")
    songs, places = data.read["train"]
    assert len(songs) == 2
    assert places.tolist() == [[song, start] for song in (0, 1) for start in range(0, 49, 16)]
    windows = RollWindows(songs, places, parts=5, batch=4, seed=0)
    rolls = torch.cat([windows.at(number).rolls for number in range(2)])
    assert rolls.shape == (8, 5, 64, 72)
    assert rolls.sum((0, 2, 3)).gt(0).tolist() == [True, False, True, False, False]
    assert len(torch.unique(rolls.flatten(1), dim=0)) == len(
        np.unique([windows.songs[s].rolls(5, 64, start=t).tobytes() for s, t in places.tolist()])
    )
    with pytest.raises(UserError, match="lower least_cells"):
        MixtureRolls(cache, cache, least_cells=500).setup("fit")


def test_which_system_is_meant_is_in_the_configuration(tmp_path: Path) -> None:
    assert names_class(["--config", str(CONFIGS / "mixture2music.yaml")])
    assert names_class([f"--config={CONFIGS / 'mixture2music_quartet.yaml'}"])
    assert names_class(["--model", "ondes.training.mixture2music.Mixture2MusicTraining"])
    assert not names_class(["--config", str(CONFIGS / "small.yaml"), "--model.learning_rate", "1"])
    assert not names_class(["--config", str(tmp_path / "none.yaml")])
