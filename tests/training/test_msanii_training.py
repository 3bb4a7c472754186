"""Training of the published audio model: its losses, its averaging, its data, whole runs of both stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rendered_sines import TRAINER  # pyright: ignore[reportMissingImports]

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.models.msanii_unet import MsaniiUNet
from ondes.models.msanii_vocoder import MsaniiVocoder
from ondes.pipelines.msanii import MsaniiPipeline
from ondes.representations.msanii_mel import MSANII, MsaniiFeatures, to_log_mel
from ondes.training.cli import main
from ondes.training.msanii import RandomSlices, RandomSounds, find_files, magnitude_losses

CONFIGS = Path(__file__).parents[2] / "configs"
UNET = {
    "width": 8,
    "hidden_factor": 1,
    "multipliers": [1, 1],
    "time_size": 8,
    "dilations": [1, 1],
    "heads": 2,
    "attention": [False, True],
    "resampling": [True, False],
    "blocks": [1, 1],
}
STAGES = {
    "audio": ("MsaniiTraining", "ondes.models.msanii_unet.MsaniiUNet", UNET),
    "vocoder": (
        "MsaniiVocoderTraining",
        "ondes.models.msanii_vocoder.MsaniiVocoder",
        {"width": 8, "hidden_factor": 1},
    ),
}


def write_config(task: str, run: Path, folder: Path, **init: Any) -> Path:
    name, network, sizes = STAGES[task]
    config = {
        "run": str(run),
        "save_every": 2,
        "seed_everything": 0,
        "model": {
            "class_path": f"ondes.training.msanii.{name}",
            "init_args": {"model": {"class_path": network, "init_args": sizes}, "warm_up_steps": 2, **init},
        },
        "data": {
            "class_path": "ondes.training.msanii.RandomSounds",
            "init_args": {
                "folders": [str(folder)],
                "batch": 2,
                "samples": 7 * 1024,
                "validation_batches": 1,
            },
        },
        "trainer": {**TRAINER, "max_steps": 4, "gradient_clip_val": 1.0},
    }
    path = run.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def runs(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An unbroken run of each stage."""
    place = tmp_path_factory.mktemp("runs")
    made = {}
    for task in STAGES:
        init = {"ema_start": 3, "ema_every": 2} if task == "audio" else {}
        main(task, ["--config", str(write_config(task, place / task, pairs, **init))])
        made[task] = place / task
    return made


@pytest.mark.slow
def test_both_stages_make_a_pipeline_with_one_scale(runs: dict[str, Path], pairs: Path) -> None:
    model = MsaniiPipeline.from_pretrained(
        runs["audio"] / "model", vocoder=runs["vocoder"] / "model", default_steps=2, griffin_lim_iterations=1
    )
    assert model.features == MsaniiFeatures.from_config(model.vocoder.config["features"])
    values = torch.cat(
        [
            to_log_mel(torch.tensor(Audio.read(pairs / f"{number}.flac").samples)).flatten()
            for number in range(3)
        ]
    )
    scale = model.features.scaling
    assert scale.mean == pytest.approx(float(values.double().mean()), abs=1e-4)
    assert scale.variance == pytest.approx(float(values.double().var()), rel=1e-4)
    scaled = scale.to_features(values)
    assert (float(scaled.min()), float(scaled.max())) == (
        pytest.approx(-1, abs=1e-5),
        pytest.approx(1, abs=1e-5),
    )
    assert model.sample(1, duration_s=0.3)[0].samples.shape == (2, 13230)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["audio", "vocoder"])
def test_a_resumed_run_ends_as_an_unbroken_one(
    task: str, runs: dict[str, Path], pairs: Path, tmp_path: Path
) -> None:
    init = {"ema_start": 3, "ema_every": 2} if task == "audio" else {}
    config = str(write_config(task, tmp_path / "run", pairs, **init))
    main(task, ["--config", config, "--trainer.max_steps", "2"])
    main(task, ["--config", config])
    resumed, unbroken = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
        for run in (tmp_path / "run", runs[task])
    )
    assert list(resumed) == list(unbroken)
    for name, value in resumed.items():
        assert torch.allclose(value, unbroken[name], atol=1e-6), name


@pytest.mark.slow
def test_the_average_is_a_copy_at_first_and_then_lags(runs: dict[str, Path]) -> None:
    state = torch.load(runs["audio"] / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
    differences = [
        float((value - state[f"average.module.{name.removeprefix('model.')}"]).abs().max())
        for name, value in state.items()
        if name.startswith("model.")
    ]
    # Copied after step 2, blended once after step 4: nearly the weights of step 2 still.
    assert 1e-5 < max(differences) < 1e-2


@pytest.mark.slow
def test_published_optimiser_and_warm_up(runs: dict[str, Path]) -> None:
    stored = torch.load(runs["audio"] / "checkpoints" / "last.ckpt", weights_only=False)
    group = stored["optimizer_states"][0]["param_groups"][0]
    assert (group["betas"], group["initial_lr"]) == ((0.5, 0.999), 2e-4)
    schedule = stored["lr_schedulers"][0]
    assert (schedule["start_factor"], schedule["total_iters"]) == (1 / 3, 2)
    assert group["lr"] == pytest.approx(2e-4)


@pytest.mark.parametrize(
    ("file", "weights", "frames"),
    [
        ("audio/msanii.yaml", 49_878_016, 8192),
        ("audio/msanii_small.yaml", None, 512),
        ("vocoder/msanii.yaml", 1_412_097, 512),
    ],
)
def test_configurations_are_the_published_networks(file: str, weights: int | None, frames: int) -> None:
    config = yaml.safe_load((CONFIGS / file).read_text())
    chosen = config["model"]["init_args"]["model"]
    kind = {"MsaniiUNet": MsaniiUNet, "MsaniiVocoder": MsaniiVocoder}[chosen["class_path"].split(".")[-1]]
    with torch.device("meta"):
        network = kind(**chosen["init_args"])
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == weights or (weights is None and 2e6 < count < 5e6)
    assert MSANII.frames(config["data"]["init_args"]["samples"]) == frames


def test_every_epoch_has_each_file_once_and_batches_depend_on_their_number_alone(pairs: Path) -> None:
    files = find_files([pairs], "train")
    settings: dict[str, Any] = {"batch": 3, "samples": 2048, "normalise": False, "seed": 1}
    slices = RandomSlices(files, MSANII, **settings)
    batch = slices.at(5)
    assert torch.equal(batch.samples, RandomSlices(files, MSANII, **settings).at(5).samples)
    assert not torch.equal(batch.samples, slices.at(6).samples)
    loud = RandomSlices(files, MSANII, **(settings | {"normalise": True})).at(5).samples
    assert torch.allclose(loud.abs().amax((1, 2)), torch.ones(3))
    # Three files, three slices: every file has its own key, so its own spectrum.
    peaks = {int(torch.fft.rfft(one[0]).abs().argmax()) for one in batch.samples}
    assert len(peaks) == 3


def test_any_folder_of_audio_of_any_rate_is_taken(tmp_path: Path) -> None:
    for split, rate_hz in (("train", 22_050), ("validation", 48_000)):
        (tmp_path / split).mkdir()
        Audio(np.full((1, rate_hz // 4), 0.25, np.float32), rate_hz).write(tmp_path / split / "a.wav")
    (tmp_path / "train" / "notes.txt").write_text("no audio")
    data = RandomSounds([tmp_path], batch=1, samples=20 * 1024, validation_batches=1)
    data.setup("fit")
    samples = next(iter(data.train_dataloader())).samples
    assert samples.shape == (1, 2, 20 * 1024)
    assert float(samples[0, 1, 5000]) == pytest.approx(0.25, abs=0.01)
    assert torch.equal(samples[..., 12_000:], torch.zeros(1, 2, 8480))


def test_losses_are_the_published_formulas() -> None:
    made, truth = torch.rand(2, 2, 5, 7, generator=torch.Generator().manual_seed(0)), torch.ones(2, 2, 5, 7)
    losses = magnitude_losses(made, truth)
    whole = ((made - truth) ** 2).sum().sqrt() / ((truth**2).sum().sqrt() + 1e-6)
    assert float(losses["convergence"]) == pytest.approx(float(whole))
    assert float(losses["log_magnitude"]) == pytest.approx(float((made + 1e-6).log().abs().mean()), rel=1e-4)


def test_wrong_data_is_refused_in_one_line(pairs: Path, tmp_path: Path) -> None:
    config = str(write_config("audio", tmp_path / "run", pairs))
    with pytest.raises(UserError, match=r"are 9 frames, and this network needs a multiple of 2; .* 9216"):
        main("audio", ["--config", config, "--data.init_args.samples", "8192"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError):
        find_files([tmp_path / "empty"], "train")
    (tmp_path / "mels").mkdir()
    (tmp_path / "mels" / "manifest.jsonl").write_text('{"id": "a", "mel": "a.npy", "split": "train"}\n')
    with pytest.raises(UserError, match="holds log-mels and no audio"):
        find_files([tmp_path / "mels"], "train")
